"""The columns that a model reads, and the rows before each batch that its windows reach back to."""

import numpy as np

from sklstm.cli.errors import InputError, UsageError
from sklstm.cli.tables import refuse_unknown


def columns_of(model, table, given, others):
    """Return the columns of a table that a model reads.

    Parameters
    ----------
    model : estimator
        Fitted.
    table : table of `sklstm.cli.tables`
    given : list of str or None
        Those that the user named.
    others : list of str
        Columns that are no features: keys, targets, what is kept.

    Returns
    -------
    list of str
    """
    n_features, names = getattr(model, "n_features_in_", None), getattr(model, "feature_names_in_", None)
    if given is not None:
        columns = list(given)
        _refuse_other_order(columns, names)
    elif names is not None:
        columns = list(names)
    else:
        columns = [name for name in table.schema.names if name not in others]
    refuse_unknown(table, columns)
    if n_features is not None and len(columns) != n_features:
        found = "--features names" if given is not None else "the table has, beside those of other options,"
        advice = "" if given is not None else " Name them in the order of the fit: --features A,B,..."
        raise InputError(f"{table.path}: the model reads {n_features} columns, {found} {len(columns)}.{advice}")
    return columns


def _refuse_other_order(columns, names):
    """Raise for columns given twice, or those of the model in another order than it reads them."""
    twice = [name for place, name in enumerate(columns) if name in columns[:place]]
    if twice:
        raise UsageError(f"--features names {twice[0]!r} twice.")
    if names is not None and columns != list(names) and sorted(columns) == sorted(names):
        raise UsageError(f"--features: the model was fitted on these columns in the order {','.join(names)}.")


def is_plain(model):
    """Return whether a model reads its columns as one array of numbers, whatever their names and types."""
    return hasattr(model, "_architecture")


def open_features(model, table, columns, reach):
    """Return what makes X of batches: `Arrays` for a network, else `Frames`, which keep names and types."""
    kinds = [table.schema.field(name).type for name in columns]
    if is_plain(model):
        refuse_no_numbers(table.path, columns, kinds)
        return Arrays(columns, reach)
    try:
        import pandas as pd  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"a {type(model).__name__} reads tables with names and types of their columns: pip install pandas."
        ) from error
    names = getattr(model, "feature_names_in_", columns)
    return Frames(columns, list(names), reach)


def refuse_no_numbers(path, columns, kinds):
    """Raise unless columns of some types are numbers."""
    from pyarrow import types

    for name, kind in zip(columns, kinds, strict=True):
        is_number = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_null(kind)
        if not is_number:
            hint = ": cast it to double" if types.is_decimal(kind) else ""
            raise InputError(f"{path}: column {name!r} holds {kind}, expected numbers{hint}.")


class Arrays:
    """Makes arrays of the columns of batches, behind the last rows of the batch before.

    Parameters
    ----------
    columns : list of str
    reach : int
        Rows before that are kept.
    """

    def __init__(self, columns, reach):
        self._columns, self._reach = columns, reach
        self._before = None

    def joined(self, batch, goes_on):
        """Return X, and how many rows at its beginning are those of the batch before.

        Parameters
        ----------
        batch : pyarrow.Table
        goes_on : bool
            Whether its first rows follow those of the batch before, in the same group.

        Returns
        -------
        X : ndarray of shape (n_before + n_rows, n_features)
        n_before : int
        """
        n_before = len(self._before) if goes_on and self._before is not None else 0
        X = np.empty((n_before + batch.num_rows, len(self._columns)), _dtype_of(batch.schema, self._columns))
        if n_before:
            X[:n_before] = self._before
        for place, name in enumerate(self._columns):
            row = n_before
            for chunk in batch.column(name).chunks:
                numbers = chunk.cast("uint8") if chunk.type == "bool" else chunk
                X[row : row + len(chunk), place] = numbers.to_numpy(zero_copy_only=False)
                row += len(chunk)
        return X, n_before

    def keep(self, X, begin):
        """Keep the last rows of X, from the row `begin` of its last group on."""
        self._before = X[max(begin, len(X) - self._reach) :].copy()

    def not_finite(self, X):
        """Return row, column and value of the first number that is not finite, None without one."""
        if X.dtype.kind != "f":
            return None
        places = np.argwhere(~np.isfinite(X))
        return (int(places[0][0]), self._columns[places[0][1]], X[tuple(places[0])]) if len(places) else None


def _dtype_of(schema, columns):
    """Return the dtype of a table with these columns, which pandas would give it as one array."""
    import pyarrow as pa

    kinds = {schema.field(name).type for name in columns}
    return np.float32 if kinds <= {pa.float32(), pa.float16()} else np.float64


class Frames:
    """Makes a DataFrame of the columns of each batch, behind the last rows of the batch before.

    Parameters
    ----------
    columns, names : list of str
        In the table, and as the model knows them.
    reach : int
        Rows before that are kept.
    """

    def __init__(self, columns, names, reach):
        self._columns, self._names, self._reach = columns, names, reach
        self._before = None

    def joined(self, batch, goes_on):
        """Return X, and how many rows at its beginning are those of the batch before, see `Arrays.joined`."""
        import pandas as pd

        frame = _plain(batch.select(self._columns)).to_pandas(ignore_metadata=True)
        frame.columns = self._names
        if not goes_on or self._before is None or not len(self._before):
            return frame, 0
        return pd.concat([self._before, frame], ignore_index=True), len(self._before)

    def keep(self, X, begin):
        """Keep the last rows of X, see `Arrays.keep`."""
        self._before = X.iloc[max(begin, len(X) - self._reach) :].copy()

    def not_finite(self, X):
        """Return None: what may be missing is up to the steps of a pipeline."""
        return


def _plain(batch):
    """Return a table whose dictionaries are decoded: each batch has others."""
    import pyarrow as pa

    fields = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
        for field in batch.schema
    ]
    return batch.cast(pa.schema(fields))
