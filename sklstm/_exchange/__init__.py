"""Networks of other libraries and formats: what their layers know, how their parameters lie, and back."""
