"""The steps of the integers that layers read, from what they read of a data set."""

import numpy as np

from sklstm._fitted import empty_network
from sklstm._network.integers import SMALLEST, IntegerLayout, kinds_of, to_flat
from sklstm._validation import check_range, overflow

# The range of integers is so many times the largest number that was read. Inputs drift; bounded states hardly grow, and
# 8 bits are few. Measured on ETTh1, on the hours after those of the steps: doc/guide/faster_and_smaller.md.
INPUT_MARGIN = 3.0
STATE_MARGIN = {"int8": 1.25, "int16": 1.5}


def measure_steps(model, layout, parts, dtype):
    """Return the step of each column that each layer reads.

    Parameters
    ----------
    model : estimator
        Fitted.
    layout : ParameterLayout
        Of its network.
    parts : list of Sequences
    dtype : {"int8", "int16"}

    Returns
    -------
    dict of str to ndarray
        ``step_x_l0`` (columns,), ..., float32.
    """
    floats = IntegerLayout(layout.architecture, (None,) * layout.architecture.n_layers)
    network = empty_network(model, floats, "float32")
    network.load(to_flat(model.parameters_, floats))
    for part in parts:  # of float64 maybe
        check_range(network, part.table, columns=getattr(model, "feature_names_in_", None))
    steps = {}
    for name, largest in network.read_ranges(parts).items():
        if not np.isfinite(largest).all():
            raise overflow("X", network.dtype_name)
        part, layer = name.split("_")[0], int(name.split("_l")[1].split("_")[0])
        margin = INPUT_MARGIN if (part, layer) == ("x", 0) else STATE_MARGIN[dtype]
        steps[f"step_{name}"] = steps_of(largest, margin, kinds_of(dtype, layer, layout.architecture)[part])
    return steps


def steps_of(largest, margin, kind):
    """Return one step for all columns, by the largest size of each; as for 1 where only zeros were read."""
    # Single rows show no state, but the windows of later calls will have some: those of most cells are at most 1.
    reach = margin * (largest.max() or 1.0)
    # Kernels multiply by the inverse, which is to be a number too.
    return np.full(len(largest), max(reach / kind.highest, SMALLEST), np.float32)
