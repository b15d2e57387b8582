"""Networks of recurrent layers: their shapes, their parameters, the arrays they work in."""
