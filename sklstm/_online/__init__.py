"""Learning online: a model that predicts rows as they come, and learns from their truths."""
