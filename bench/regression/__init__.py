"""Whether numbers changed: two sets of score rows compared, and frozen predictions scored anew."""
