"""The stage that writes tables, figures and page."""
