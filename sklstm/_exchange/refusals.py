"""What an export or an import refuses, by the name of the parameter, since the other side has nothing like it."""

from sklearn.utils.validation import check_is_fitted

from sklstm._cell_choice import cell_of_kernel
from sklstm._compression.models import check_model
from sklstm._network.architecture import Architecture
from sklstm._snapshot import snapshot_of

# Fields of `Architecture`: their plain value, the parameter of the constructor, and what other values stand for.
_OPTIONS = {
    "residual": (0, "residual", "residual connections"),
    "output_gate": (None, "output_gate", "gates on the output of layers"),
    "norm": (None, "norm", "normalisation between layers"),
    "feedforward": (0.0, "feedforward", "feedforward blocks behind layers"),
    "cell_norm": (False, "cell__layer_norm", "normalisation inside cells"),
    "peephole": (False, "cell__peephole", "peepholes"),
    "projection_size": (0, "cell__projection_size", "projections of h"),
    "zoneout": (0.0, "zoneout", "mean of the old and the new state"),
    "attention_heads": (0, "attention_heads", "self-attention on the top layer"),
    "patch_length": (1, "patch_length", "patches of several rows"),
    "window_norm": (None, "window_norm", "normalisation of windows"),
    "linear_skip": (0, "linear_skip", "linear map of the last rows beside the network"),
    "decoder": ("direct", "decoder", "decoder"),
}


def exported(model, caller):
    """Return a snapshot of a fitted model, checked, and its `Architecture`.

    Parameters
    ----------
    model : object
    caller : str
        Name of the function that was called.
    """
    check_model(model, caller)
    check_is_fitted(model)
    model = snapshot_of(model)
    if hasattr(model, "quantization_dtype_"):
        raise ValueError(
            f"{caller}: the model was quantised to {model.quantization_dtype_}. Hand over the float model that it was "
            "made from."
        )
    model._network()  # refuses damaged attributes
    if hasattr(model, "group_labels_"):
        raise ValueError(
            f"{caller}: group_scaling={model.group_scaling!r} cannot be exported: each group has a unit of its own, "
            "and the other side knows no groups."
        )
    return model, Architecture(**model._architecture)


def refuse_options(architecture, caller, side, knows=()):
    """Raise for an option of the network that the other side does not have.

    Parameters
    ----------
    architecture : Architecture
    caller : str
    side : str
        What the other side is, such as "torch.nn.LSTM"; the sentence goes on with "has no".
    knows : sequence of str
        Fields that it has.
    """
    for field, (plain, parameter, what) in _OPTIONS.items():
        value = getattr(architecture, field)
        if field not in knows and value != plain:
            raise ValueError(f"{caller}: {parameter}={value!r} has no place there: {side} has no {what}.")
    if architecture.pooling not in ("last", "mean"):
        raise ValueError(
            f"{caller}: pooling={architecture.pooling!r} has no place there: {side} has no pooling by attention."
        )


def refuse_cell(architecture, cells, caller, side):
    """Raise for a cell that the other side does not have."""
    if architecture.cell not in cells:
        known = ", ".join(cell_of_kernel(cell) for cell in cells)
        raise ValueError(
            f"{caller}: cell={cell_of_kernel(architecture.cell)} has no place there: {side} has layers for {known}."
        )
