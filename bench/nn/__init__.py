"""Network parts that two methods or more share."""
