"""Changes of numbers: two sets of score rows compared, and frozen predictions scored anew."""
