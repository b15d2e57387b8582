"""Training: losses, optimizers, clipping and the loop over epochs."""
