"""Transformers of columns, applied to sets of sequences."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils import get_tags
from sklearn.utils._param_validation import HasMethods
from sklearn.utils._set_output import _get_output_config, _safe_set_output
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from sklstm._pickles import VersionedPickles
from sklstm._snapshot import replace_fitted, snapshot_of
from sklstm._stacked_rows import check_set, for_each_row
from sklstm._typing import Array, available_if, checks_parameters
from sklstm._validation import advice_for_axes, check_names_of_list, check_weights, naming, refuse_other_width

__all__ = ["CollectionTransformer"]

# Transformers of scikit-learn whose answer for a number depends on that number and the fitted attributes alone, bit for
# bit: all rows can be transformed at once.
_BY_NUMBER = frozenset({"Binarizer", "MaxAbsScaler", "MinMaxScaler", "RobustScaler", "SimpleImputer", "StandardScaler"})


def _has(name):
    def check(self):
        getattr(getattr(self, "transformer_", self.transformer), name)  # raises what the user is to see
        return True

    return check


class CollectionTransformer(
    VersionedPickles,
    TransformerMixin,
    BaseEstimator,
    auto_wrap_output_keys=None,  # type: ignore[call-arg]  # `transform` returns no table
):
    """A transformer of columns for sets of sequences.

    Scalers, imputers, decompositions and other transformers of scikit-learn take tables. This makes one take sets of
    sequences, 3-D arrays and lists of 2-D arrays of different lengths: it is fitted on the rows of all sequences, one
    below the other, and transforms each sequence. It goes before a network in a `Pipeline`, and a search reaches the
    parameters of the transformer as ``collectiontransformer__transformer__...``.

    Parameters
    ----------
    transformer : transformer
        Transformer of tables, with `fit` and `transform`; a `Pipeline`, a `ColumnTransformer` or a `FeatureUnion` will
        do. It is cloned, and stays as it is.

    Attributes
    ----------
    transformer_ : transformer
        The fitted clone. It transforms tables.

    n_features_in_ : int
        Number of columns of each sequence seen during `fit`.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where the sequences are data frames and these are all strings.

    See Also
    --------
    sklearn.preprocessing.StandardScaler : One of the transformers; a network standardises its columns by itself.
    sklearn.compose.ColumnTransformer : Other transformers for other columns, also inside of this one.

    Notes
    -----
    Each sequence is transformed as a table of its own, so that the answer does not depend on the other sequences of a
    set, and a transformer that reads several rows (a `FunctionTransformer` of differences) reads none of another
    sequence. Scalers and imputers whose answer depends on single numbers take all rows at once, with the same result.

    A transformer that reads `y` gets the target of a sequence for each of its rows, and `fit_transform` is `fit` and
    then `transform`, without the inner folds of a `TargetEncoder`. Long sequences have more rows than short ones and
    count more; ``sample_weight=1 / lengths`` counts all alike.

    Examples
    --------
    Sequences of different lengths with missing values, which no network takes:

    >>> import numpy as np
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.impute import SimpleImputer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklstm import DeepLSTMClassifier
    >>> from sklstm.preprocessing import CollectionTransformer
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(length, 4)) for length in rng.integers(5, 9, size=40)]
    >>> y = np.array(["up" if x[-1, 0] > 0 else "down" for x in X])
    >>> X[3][1, 2] = np.nan
    >>> fill_and_reduce = CollectionTransformer(make_pipeline(SimpleImputer(), PCA(2)))
    >>> reduced = fill_and_reduce.fit_transform(X)
    >>> len(reduced), reduced[3].shape == (len(X[3]), 2)
    (40, True)
    >>> model = make_pipeline(fill_and_reduce, DeepLSTMClassifier(8, max_iter=2, random_state=0)).fit(X, y)
    >>> model.predict(X).shape
    (40,)
    """

    transformer_: Any
    n_features_in_: int
    feature_names_in_: Array

    _parameter_constraints: ClassVar[dict[str, Any]] = {"transformer": [HasMethods(["fit", "transform"])]}

    def __init__(self, transformer: Any) -> None:
        self.transformer = transformer

    @checks_parameters(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: ArrayLike | None = None, *, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the transformer on the rows of all sequences.

        Parameters
        ----------
        X : array of shape (n_sequences, n_steps, n_features) or list of arrays (n_steps_i, n_features)
            Sequences; also data frames in a list.

        y : array-like of shape (n_sequences,) or (n_sequences, n_outputs), or list of arrays, default=None
            Targets of the sequences, or of each of their steps; most transformers ignore them.

        sample_weight : array-like of shape (n_sequences,), default=None
            Weight of each sequence, which all of its rows have. None means equal weights of all rows.

        Returns
        -------
        self : object
            Fitted transformer.

        Raises
        ------
        TypeError
            If there is a `sample_weight` and the transformer takes none.
        ValueError
            If X is a table, empty, or has sequences of different widths, and whatever the transformer refuses.
        """
        given = check_set(X, _name_of(self.transformer))
        work = snapshot_of(self)  # a fit that fails changes nothing
        vars(work).pop("feature_names_in_", None)
        work._check_columns(given, reset=True)
        arguments = {}
        if sample_weight is not None:
            if not has_fit_parameter(self.transformer, "sample_weight"):
                raise TypeError(f"{_name_of(self.transformer)} takes no sample_weight.")
            weights = check_weights(sample_weight, len(given.entries), n_axes=1)
            arguments["sample_weight"] = np.repeat(weights, given.lengths)
        rows = None if y is None else for_each_row(y, given.lengths, "y")
        work.transformer_ = clone(self.transformer)
        with naming("X"):
            work.transformer_.fit(given.stacked(), rows, **arguments)
        replace_fitted(self, vars(work))
        return self

    def transform(self, X: ArrayLike) -> Any:
        """Transform each sequence.

        Parameters
        ----------
        X : array of shape (n_sequences, n_steps, n_features) or list of arrays (n_steps_i, n_features)
            Sequences with the columns seen during `fit`.

        Returns
        -------
        X_new : array or list
            What the transformer makes of each sequence, in the kind of container that X is. It is a list where
            `set_output` asks for data frames, and where sequences of one length become sequences of several.
        """
        check_is_fitted(self)
        model = snapshot_of(self)  # another thread may fit it meanwhile
        given = check_set(X, _name_of(model.transformer))
        model._check_columns(given, reset=False)
        return model._answers(given, model.transformer_.transform)

    @available_if(_has("inverse_transform"))
    def inverse_transform(self, X: ArrayLike) -> Any:
        """Transform each sequence back.

        Parameters
        ----------
        X : array of shape (n_sequences, n_steps, n_features_out) or list of arrays (n_steps_i, n_features_out)
            Output of `transform`.

        Returns
        -------
        X_original : array or list
            What the transformer makes of each sequence, in the kind of container that X is.
        """
        check_is_fitted(self)
        model = snapshot_of(self)
        given = check_set(X, _name_of(model.transformer))
        return model._answers(given, model.transformer_.inverse_transform)

    @available_if(_has("get_feature_names_out"))
    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> Array:
        """Return the names of the columns that `transform` gives.

        Parameters
        ----------
        input_features : array-like of str of shape (n_features_in_,), default=None
            Names of the columns of X; None for those seen during `fit`.

        Returns
        -------
        feature_names_out : ndarray of str
            The names, by the transformer.
        """
        check_is_fitted(self)
        names: Array = self.transformer_.get_feature_names_out(input_features)
        return names

    def set_output(self, *, transform: str | None = None) -> Self:
        """Choose what each transformed sequence is.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            "pandas" and "polars": data frames, in a list; "default": as the transformer gives it; None: no change.

        Returns
        -------
        self : object
            This transformer.
        """
        for inner in (self.transformer, getattr(self, "transformer_", None)):
            if inner is not None:
                _safe_set_output(inner, transform=transform)
        return self

    @property
    def _table_transformer(self):
        """What a stream passes its rows through."""
        return self.transformer_

    def _check_columns(self, given, reset):
        """Store (`reset`) or compare number and names of the columns."""
        if reset:
            self.n_features_in_ = given.widths[0]
        advice = advice_for_axes(given.entries, self.n_features_in_)
        for i, width in enumerate(given.widths):
            title = f"X of shape {given.entries.shape}" if given.kind is np.ndarray else f"X[{i}]"
            refuse_other_width(self, width, self.n_features_in_, title, f" (the last axis).{advice}")
        if given.kind is not np.ndarray:
            check_names_of_list(self, given.entries, reset, "X")

    def _answers(self, given, function):
        """Apply a method of the fitted transformer to each sequence, or to all rows where that is the same."""
        kind = type(self.transformer_)
        is_by_number = kind.__name__ in _BY_NUMBER and kind.__module__.startswith("sklearn.")
        if (
            is_by_number
            and given.is_plain()
            and _get_output_config("transform", self.transformer_)["dense"] == "default"
        ):
            with naming("X"):
                rows = function(given.stacked())
            return given.like(np.split(rows, np.cumsum(given.lengths)[:-1]))
        answers = []
        for i, entry in enumerate(given.entries):
            with naming(f"X[{i}]"):
                answers.append(function(entry))
            if issparse(answers[-1]):
                raise TypeError(
                    f"{_name_of(self.transformer)} returns sparse matrices, which no network takes; make it return "
                    "arrays, for instance by sparse_output=False."
                )
        return given.like(answers)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "transformer_")

    def __sklearn_tags__(self):
        tags, inner = super().__sklearn_tags__(), get_tags(self.transformer)
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, True
        for name in ("allow_nan", "categorical", "string", "positive_only"):
            setattr(tags.input_tags, name, getattr(inner.input_tags, name))
        tags.target_tags = inner.target_tags
        tags.requires_fit, tags.non_deterministic = inner.requires_fit, inner.non_deterministic
        tags.no_validation = inner.no_validation
        return tags


def _name_of(transformer):
    return type(transformer).__name__
