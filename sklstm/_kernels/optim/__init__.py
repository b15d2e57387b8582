"""Steps of the optimizers."""
