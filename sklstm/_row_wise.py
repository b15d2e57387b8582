"""Row-wise steps of a pipeline, and how they are run on rows that arrive one at a time."""

import copy

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.feature_selection import SelectorMixin
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.validation import check_is_fitted

from sklstm._row_arithmetic import RowArithmetic
from sklstm._row_checks import refuse_what_is_no_row

# Transformers of scikit-learn whose `transform` computes each row from that row and the fitted attributes alone.
# Excluded are those that iterate until all rows together have converged (NMF) and those that draw random numbers.
_ROW_WISE = frozenset(
    {
        *("Binarizer", "KBinsDiscretizer", "KernelCenterer", "MaxAbsScaler", "MinMaxScaler", "Normalizer"),
        *("OneHotEncoder", "OrdinalEncoder", "PolynomialFeatures", "PowerTransformer", "QuantileTransformer"),
        *("RobustScaler", "SplineTransformer", "StandardScaler", "TargetEncoder"),
        *("KNNImputer", "MissingIndicator", "SimpleImputer"),
        *("FactorAnalysis", "FastICA", "IncrementalPCA", "KernelPCA", "PCA", "TruncatedSVD"),
        *("CCA", "PLSCanonical", "PLSRegression", "PLSSVD", "LinearDiscriminantAnalysis"),
        *("AdditiveChi2Sampler", "Nystroem", "PolynomialCountSketch", "RBFSampler", "SkewedChi2Sampler"),
        *("GaussianRandomProjection", "SparseRandomProjection", "FeatureAgglomeration", "KMeans", "MiniBatchKMeans"),
    }
)


class RowWiseSteps:
    """The steps of a fitted pipeline before its last, copied, one row of several streams at a time.

    Parameters
    ----------
    steps : list of (str, transformer)
        In their order; "passthrough" and None do nothing.
    vouched : iterable of str
        Names of steps (of nested ones joined by ``__``) that the user says are row-wise.
    """

    def __init__(self, steps, vouched=()):
        # A transformer of sets of sequences has one of tables inside.
        steps = [(name, getattr(step, "_table_transformer", step)) for name, step in steps]
        vouched = _check_vouched(vouched, steps)
        for name, step in steps:
            _refuse_others(name, step, vouched)
        self.steps = [copy.deepcopy(step) for _, step in steps if not _does_nothing(step)]
        first = self.steps[0] if self.steps else None
        self.names = getattr(first, "feature_names_in_", None)
        self.n_features = getattr(first, "n_features_in_", None)
        self._names_in_order = None if self.names is None else list(self.names)
        self._last_index = None
        if first is not None:
            self._arithmetic = RowArithmetic(self.steps, self.n_features, lambda x: self.transform(self._named(x)))

    def transform_rows(self, x, n_streams):
        """Return the new rows after the last step, see `row_table`."""
        values = self._plain(x)
        expected = (self.n_features,) if n_streams is None else (n_streams, self.n_features)
        if values is not None and values.shape == expected:
            rows = self._arithmetic(values)
            if rows is not None:
                return rows
        rows = np.asarray(self.transform(self.row_table(x, n_streams)))
        return rows[0] if n_streams is None else rows

    def _plain(self, x):
        """Return the values of an array, or of a Series with the names of fit; None for other input."""
        if type(x) is np.ndarray:
            return x
        index = getattr(x, "index", None)
        if index is None or not hasattr(x, "to_numpy") or getattr(x, "ndim", 0) != 1:
            return None
        # The rows of a table share one index.
        if index is not self._last_index:
            if list(index) != self._names_in_order:
                return None
            self._last_index = index
        return x.to_numpy()

    def transform(self, table):
        """Return a table of independent rows after the last step."""
        for step in self.steps:
            table = step.transform(table)
        return table

    def row_table(self, x, n_streams):
        """Return the new rows as a table with the feature names of `fit`.

        Parameters
        ----------
        x : array-like of shape (n_features,) or (n_streams, n_features)
            One row for each stream.
        n_streams : int or None
            None for one stream without an axis.

        Returns
        -------
        ndarray or DataFrame of shape (n_streams or 1, n_features)
        """
        refuse_what_is_no_row(x)
        if hasattr(x, "iloc") and np.ndim(x) == 1:
            # Columns of their own dtypes, as in the table.
            x = x.to_frame().T.infer_objects()
        if hasattr(x, "columns") or hasattr(x, "column_names"):
            table, shape = x, np.shape(x)
        else:
            table = np.asarray(x)
            shape = table.shape
            table = table.reshape(1, -1) if n_streams is None else table
        n_features = self.n_features if self.n_features is not None else shape[-1] if shape else 0
        expected = (n_features,) if n_streams is None else (n_streams, n_features)
        if shape != expected and not (n_streams is None and shape == (1, n_features)):
            each = "" if n_streams is None else f" for each of {n_streams} streams"
            raise ValueError(
                f"x has shape {shape}, expected {expected}: one row of the {n_features} features that the pipeline was "
                f"fitted on{each}."
            )
        return self._named(table)

    def rows_before(self, context, n_streams):
        """Return the rows before the streams after these steps, None where there are none."""
        if context is None or not self.steps:
            return context
        if n_streams is None:
            return context if _is_empty(context) else self.transform(self._named(_as_table(context)))
        return [rows if _is_empty(rows) else self.transform(self._named(_as_table(rows))) for rows in context]

    def _named(self, table):
        """Give a plain array the names that the first step was fitted with: otherwise it would warn at every row."""
        if self.names is None or not isinstance(table, np.ndarray):
            return table
        try:
            from pandas import DataFrame
        except ImportError:
            return table
        return DataFrame(table, columns=self.names)


def _as_table(rows):
    return rows if hasattr(rows, "columns") else np.asarray(rows)


def _is_empty(rows):
    return np.shape(rows)[:1] == (0,)


def _does_nothing(step):
    return step is None or (isinstance(step, str) and step in ("passthrough", "drop"))


def _check_vouched(vouched, steps):
    if isinstance(vouched, str):
        raise TypeError(f"row_wise must be a list of names of steps, found the string {vouched!r}.")
    vouched, known = set(vouched), set(_all_names(steps))
    if vouched - known:
        raise ValueError(f"row_wise names {sorted(vouched - known)}, but the steps are {sorted(known)}.")
    return vouched


def _parts(step):
    """Return the named transformers inside a step."""
    if isinstance(step, Pipeline):
        return step.steps
    if isinstance(step, FeatureUnion):
        return step.transformer_list
    if isinstance(step, ColumnTransformer):
        return [(name, part) for name, part, _ in getattr(step, "transformers_", step.transformers)]
    return []


def _all_names(steps, prefix=""):
    for name, step in steps:
        yield prefix + name
        yield from _all_names(_parts(step), f"{prefix}{name}__")


def _refuse_others(name, step, vouched):
    """Raise for a step whose result for a row may depend on other rows."""
    if _does_nothing(step) or name in vouched:
        return
    kind = type(step).__name__
    if not hasattr(step, "transform"):
        raise ValueError(f"step {name!r} ({kind}) has no method transform, so no row can pass through it.")
    if isinstance(step, (Pipeline, FeatureUnion, ColumnTransformer)):
        for inner, part in _parts(step):
            _refuse_others(f"{name}__{inner}", part, vouched)
        return
    check_is_fitted(step)
    reason = _why_not(step)
    if reason is not None:
        raise ValueError(
            f"step {name!r} ({kind}) cannot be run row by row: {reason}. If its answer for a row depends on that row "
            f"alone, say so: row_wise=[{name!r}]."
        )


def _why_not(step):
    """Return why the result of a transformer may depend on other rows, None if it does not."""
    kind, package = type(step).__name__, type(step).__module__.partition(".")[0]
    if isinstance(step, FunctionTransformer):
        if step.func is None or isinstance(step.func, np.ufunc):
            return None
        return f"its function {getattr(step.func, '__name__', step.func)!r} may look at other rows (lags, differences)"
    if hasattr(step, "sequence_length"):
        return "it reads windows of rows"
    if package == "sklearn" and (kind in _ROW_WISE or isinstance(step, SelectorMixin)):
        return None
    if package == "sklstm" and isinstance(step, SelectorMixin):
        return None
    return "it is not one of the transformers that are known to answer for each row alone"
