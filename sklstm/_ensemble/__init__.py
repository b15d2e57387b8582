"""What the weighted ensembles are made of: their inputs, their members, their weights."""
