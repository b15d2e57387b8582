"""Numbers that are finite, but too large for a network of a dtype, and answers that are not finite."""

import numpy as np


def check_range(network, table, name="X", columns=None):
    """Raise if a column of a table holds a number with which the products of the network would overflow.

    Parameters
    ----------
    network : Network
    table : ndarray of shape (n_rows, n_features)
        Finite numbers.
    name : str, default="X"
        Name of the table in messages.
    columns : sequence of str or None
        Names of its columns.

    Raises
    ------
    ValueError
        If there is one; the column and the row are named.
    """
    place = network.first_beyond_range(table)
    if place is None:
        return
    row, column = place
    title = column if columns is None else repr(columns[column])
    raise ValueError(
        f"{name} holds {table[place]:g} in column {title} (row {row}), {beyond_range(network, table, place)}"
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
