"""Tables, figures and the report page: views of the score rows. No torch, and no number typed by hand."""
