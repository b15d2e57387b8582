"""Numbers that are finite, but beyond what the dtype of a network holds."""


def check_range(network, table, name="X"):
    """Raise if a column of a table holds a number that the network would read as infinity.

    Parameters
    ----------
    network : Network
    table : ndarray of shape (n_rows, n_features)
        Finite numbers.
    name : str, default="X"
        What the user calls it.

    Raises
    ------
    ValueError
        If there is one; the column and the row are named.
    """
    place = network.first_beyond_range(table)
    if place is None:
        return
    (row, column), dtype = place, network.dtype.name
    value = table[row, column]
    scaled = "" if network.input_scale is None else f", standardised with scale {network.input_scale[column]:g},"
    ways = "Set dtype='float64', or rescale" if dtype == "float32" else "Rescale"
    raise ValueError(
        f"{name} holds {value:g} in column {column} (row {row}){scaled} too large for {dtype=}. {ways} it."
    )
