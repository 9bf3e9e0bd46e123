"""Kinds of rows of a table: the only place that names and explains them, for tables, the page and `explain`."""

KINDS = {
    "measured": "trained or run here, scored here",
    "measured-third-party-weights": "others' weights, scored here",
    "submitted": "scored here from someone's folder of results",
    "control": "ours, beside the paper's rows; not ranked with them",
    "floor": "what no method should fall below",
    "published": "the paper's number only; its code isn't public",
    "pending": "not in this version or profile yet",
}
"""Kind of row -> its meaning for readers; the page's style sheet gives each its mark."""

LEARNED = ("measured", "measured-third-party-weights", "submitted")
"""Kinds that are ranked among each other."""
