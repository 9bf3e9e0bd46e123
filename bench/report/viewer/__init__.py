"""The page that compares pictures: scenes packed into small scripts, and the page that shows them."""
