"""What streams take over of a fitted model."""

from copy import copy


def too_large(n_streams, length):
    """Return the message about streams that do not fit into memory; `length` is that of windows, or None."""
    if length is None:
        return f"n_streams={n_streams}: the states of so many streams do not fit into memory."
    return (
        f"sequence_length={length} with n_streams={n_streams}: streams that keep the rows of so long windows do not "
        "fit into memory. Where no stream gets so many rows, window=False says the same, as it reads all rows so far "
        "and keeps none of them; else take fewer streams or set a shorter sequence_length."
    )


def was_trained_on_windows(model):
    """Return whether a fitted model knows windows of a table."""
    return model._fitted_on == "table" and not model._architecture["every_step"]


def bound_copy(model):
    """Return a copy that no later call of the model changes, without what only training needs."""
    bound = copy(model)
    bound.parameters_ = dict(model.parameters_)
    if hasattr(model, "other_networks_"):
        bound.other_networks_ = [{"parameters_": dict(one["parameters_"])} for one in model.other_networks_]
    for name in ("_training_state", "context_", "context_groups_"):
        bound.__dict__.pop(name, None)
    return bound


def hidden_state(z, out=None):
    """Return a copy of features, or fill `out`."""
    if out is None:
        return z.copy()
    out[...] = z
    return out
