"""Numbers that are finite, but too large for a network of a dtype."""


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
    value, dtype, largest, column = table[place], network.dtype.name, network.largest_input, place[1]
    unit = "" if network.input_scale is None else f" times the scale of that column, {network.input_scale[column]:g}"
    ways = "Rescale or clip that column"
    if dtype == "float32" and abs(value) < 1e100:
        ways = "Set dtype='float64', or rescale or clip that column"
    return (
        f"too large for {dtype=}, which reads numbers up to {largest:g}{unit}. {ways}; is it a code for a missing "
        "value?"
    )
