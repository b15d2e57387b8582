"""How stacked layers are run over a batch."""
