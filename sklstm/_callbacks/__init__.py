"""Callbacks of scikit-learn on the estimators: their contexts, what they are told of an epoch, and callbacks."""
