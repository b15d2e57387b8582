"""Numbers that are finite, but too large for a network of a dtype, and answers that are not finite."""

import numpy as np

from sklstm._network.input_range import first_beyond_range
from sklstm._network.integers import largest_input
from sklstm._warn import warn_user
from sklstm.exceptions import QuantizationWarning

NEGATIVE_GAP = "the time_column: expected the time since the row before, at least 0 (and not scaled)"


def check_range(network, table, name="X", columns=None, *, in_units=False):
    """Raise if a table holds a number with which the products of the network would overflow, or a negative time gap.

    Parameters
    ----------
    network : Network
    table : ndarray of shape (n_rows, n_features)
        Finite numbers.
    name : str, default="X"
        Name of the table in messages.
    columns : sequence of str or None
        Names of its columns.
    in_units : bool, default=False
        Whether the table is in the units of its groups.

    Raises
    ------
    ValueError
        If there is one; the column and the row are named.
    """
    place = network.first_beyond_range(table)
    negative = network.first_negative_gap(table) if place is None else None
    if place is None and negative is None:
        return
    row, column = place or negative
    title = column if columns is None else repr(columns[column])
    if place is None:
        raise ValueError(f"{name} holds {table[negative]:g} in column {title} (row {row}), {NEGATIVE_GAP}.")
    unit = " units of its group" * in_units
    raise ValueError(
        f"{name} holds {table[place]:g}{unit} in column {title} (row {row}), {beyond_range(network, table, place)}"
    )


def warn_of_clipped_inputs(estimator, network, table):
    """Warn if the integers of a quantised model do not reach a number of a table, which they clip.

    With `window_norm` nothing is said: what a window is normalised to is not known here.
    """
    shape = network.architecture
    if network.layout.integers is None or shape.window_norm is not None:
        return
    reach = largest_input(estimator.parameters_, estimator.quantization_dtype_, shape)
    place = first_beyond_range(table, network.input_mean, network.input_scale, reach, None)
    if place is None:
        return
    row, column = place
    names = getattr(estimator, "feature_names_in_", None)
    scale = 1.0 if network.input_scale is None else network.input_scale[column]
    mean = 0.0 if network.input_mean is None else network.input_mean[column]
    lowest, highest = mean - reach * scale, mean + reach * scale
    warn_user(
        f"X holds {table[place]:g} in column {column if names is None else repr(str(names[column]))} (row {row}), "
        f"beyond what the integers of this model reach there, {lowest:.4g} to {highest:.4g}. "
        "Such numbers are clipped, and answers may be far from those of the float model: quantize it with an X that "
        "holds numbers of this size.",
        QuantizationWarning,
    )


def beyond_range(network, table, place):
    """Return the message about a number that is too large for the network."""
    value, dtype, largest, column = table[place], network.dtype_name, network.largest_input, place[1]
    unit = "" if network.input_scale is None else f" times the scale of that column, {network.input_scale[column]:g}"
    ways = "Rescale or clip that column"
    if dtype != "float64" and network.layout.integers is None and abs(value) < 1e100:
        ways = "Set dtype='float64', or rescale or clip that column"
    return (
        f"too large for {dtype=}, which reads numbers up to {largest:g}{unit}. {ways}; is it a code for a missing "
        "value?"
    )


def refuse_overflow(outputs, place, dtype):
    """Raise if an output of the network is not a finite number, as where states without bounds have grown too large.

    Parameters
    ----------
    outputs : ndarray of shape (n_samples, n_outputs)
        What a network returned for numbers within its range.
    place : callable
        Returns where the answer of that number belongs, as a part of a sentence.
    dtype : str
        Of the network, in the message.

    Raises
    ------
    ValueError
        If there is one; the first is named.
    """
    finite = np.isfinite(outputs)
    if not finite.all():
        raise overflow(place(int(np.argmin(finite.all(axis=1)))), dtype)


def overflow(place, dtype):
    """Return the error about states that have grown beyond a dtype."""
    return ValueError(
        f"the states of the network have grown beyond {dtype=} at {place}. Those of a cell with activation='relu' "
        "may grow at every step: train on sequences as long as this one, or take a cell with tanh."
    )
