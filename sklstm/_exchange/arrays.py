"""Arrays of other libraries: as NumPy arrays, without an import of the library they come from."""

from collections.abc import Mapping

import numpy as np


def as_array(value, name):
    """Return a tensor, or an array, as a NumPy array of float64.

    Parameters
    ----------
    value : object
        A tensor of PyTorch on any device, an array, or what `numpy.asarray` takes.
    name : str
        Its name in messages.
    """
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.double() if value.is_floating_point() else value  # NumPy has no bfloat16
        value = value.numpy()
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} is of dtype {array.dtype}, expected floating-point numbers.")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds NaN or infinity.")
    return array


def state_of(value, argument, caller):
    """Return the state dict of a module of PyTorch, or a state dict itself, as a dict of float64 arrays.

    Parameters
    ----------
    value : object
    argument : str
        Name of the argument in messages.
    caller : str
        Name of the function that was called.
    """
    state = value.state_dict() if callable(getattr(value, "state_dict", None)) else value
    if isinstance(value, type) or not isinstance(state, Mapping):
        found = f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"
        raise TypeError(f"{caller}: {argument} is {found}, expected a torch.nn.Module or its state dict.")
    return {str(name): as_array(one, f"{argument}[{name!r}]") for name, one in state.items()}


def in_blocks(array, order):
    """Return the blocks of rows of an array, as many as `order` names, in another order."""
    blocks = np.split(array, len(order))
    return np.concatenate([blocks[k] for k in order])
