"""Transformers of columns on sets of sequences."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, OneHotEncoder, QuantileTransformer, StandardScaler
from sklearn.utils import check_array
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import _get_feature_names

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor
from sklstm.exceptions import InconsistentVersionWarning
from sklstm.preprocessing import CollectionTransformer
from sklstm.streaming import stream

RNG = np.random.default_rng(0)
LENGTHS = RNG.integers(3, 9, size=30)
ARRAY = 3.0 + 2.0 * RNG.normal(size=(30, 6, 4))
RAGGED = [3.0 + 2.0 * RNG.normal(size=(length, 4)) for length in LENGTHS]
FRAMES = [pd.DataFrame(x, columns=list("abcd")) for x in RAGGED]
LABELS = np.where(np.arange(30) % 2, "up", "down")
Y = np.arange(30.0)
SETS = {"3-D": ARRAY, "list": RAGGED, "tuple": tuple(RAGGED), "float32": ARRAY.astype(np.float32)}
TRANSFORMERS = {
    "scaler": StandardScaler(),
    "range": MinMaxScaler(),
    "pca": PCA(2),
    "ranks": QuantileTransformer(n_quantiles=20),
    "pipeline": make_pipeline(SimpleImputer(), StandardScaler()),
    "columns": ColumnTransformer([("first", StandardScaler(), [0, 1]), ("others", "passthrough", [3])]),
    "supervised": SelectKBest(f_regression, k=2),
}
SMALL = {"hidden_size": 4, "max_iter": 2, "random_state": 0, "n_jobs": 1}


def rows_of(X):
    return X.reshape(-1, X.shape[2]) if isinstance(X, np.ndarray) else np.concatenate(X)


# What is computed


@pytest.mark.parametrize("name", TRANSFORMERS)
@pytest.mark.parametrize("kind", SETS)
def test_fitted_on_all_rows_and_applied_to_each_sequence(name, kind):
    X, transformer = SETS[kind], TRANSFORMERS[name]
    found = CollectionTransformer(transformer).fit(X, Y).transform(X)
    table = clone(transformer).fit(rows_of(X), np.repeat(Y, [len(x) for x in X]))
    assert type(found) is type(X)
    assert len(found) == len(X)
    for answer, x in zip(found, X, strict=True):
        np.testing.assert_array_equal(answer, table.transform(x))
    if isinstance(X, np.ndarray):
        assert found.dtype == table.transform(X[0]).dtype


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_sequence_alone_and_in_a_set(name):
    """Bit for bit: products over all rows at once would round otherwise."""
    wide = np.random.default_rng(1).normal(size=(40, 37, 4))
    model = CollectionTransformer(TRANSFORMERS[name]).fit(wide, np.arange(40.0))
    together = model.transform(wide)
    for i in (0, 7, 39):
        np.testing.assert_array_equal(model.transform(wide[i : i + 1])[0], together[i])
        np.testing.assert_array_equal(model.transform([wide[i]])[0], together[i])


def test_no_row_of_another_sequence_is_read():
    differences = CollectionTransformer(FunctionTransformer(lambda x: np.diff(x, axis=0, prepend=x[:1])))
    for found, x in zip(differences.fit_transform(RAGGED), RAGGED, strict=True):
        np.testing.assert_array_equal(found, np.diff(x, axis=0, prepend=x[:1]))


def test_sequences_that_become_shorter():
    halves = CollectionTransformer(FunctionTransformer(lambda x: x[::2]))
    assert halves.fit_transform(ARRAY).shape == (30, 3, 4)
    own = CollectionTransformer(FunctionTransformer(lambda x: x[x[:, 0] > 3]))
    assert [len(x) for x in own.fit_transform(ARRAY)] == [(x[:, 0] > 3).sum() for x in ARRAY]


def test_missing_values_are_filled():
    holes = [np.where(RNG.random(x.shape) < 0.2, np.nan, x) for x in RAGGED]
    for imputer in (SimpleImputer(), KNNImputer()):
        filled = CollectionTransformer(imputer).fit_transform(holes)
        expected = clone(imputer).fit(np.concatenate(holes))
        for found, x in zip(filled, holes, strict=True):
            np.testing.assert_array_equal(found, expected.transform(x))
    with pytest.raises(ValueError, match=r"X\[4\]: Input X contains NaN"):
        CollectionTransformer(PCA(2)).fit(RAGGED).transform([*RAGGED[:4], RAGGED[4] * np.nan])


def test_back_again():
    for X in (ARRAY, RAGGED):
        model = CollectionTransformer(make_pipeline(StandardScaler(), PCA())).fit(X)
        again = model.inverse_transform(model.transform(X))
        assert type(again) is type(X)
        np.testing.assert_allclose(rows_of(again), rows_of(X))
    assert not hasattr(CollectionTransformer(KNNImputer()), "inverse_transform")


def test_weights_of_sequences():
    weights = 1.0 / LENGTHS
    found = CollectionTransformer(StandardScaler()).fit(RAGGED, sample_weight=weights)
    mean = np.mean([x.mean(axis=0) for x in RAGGED], axis=0)
    np.testing.assert_allclose(found.transformer_.mean_, mean)
    excluded = CollectionTransformer(StandardScaler()).fit(RAGGED, sample_weight=(np.arange(30) < 20).astype(float))
    np.testing.assert_allclose(excluded.transformer_.mean_, np.concatenate(RAGGED[:20]).mean(axis=0))
    with pytest.raises(TypeError, match="PCA takes no sample_weight"):
        CollectionTransformer(PCA(2)).fit(RAGGED, sample_weight=weights)
    with pytest.raises(ValueError, match=r"sample_weight has shape \(29,\), expected \(30,\)"):
        CollectionTransformer(StandardScaler()).fit(RAGGED, sample_weight=weights[1:])


def test_weights_are_routed():
    with config_context(enable_metadata_routing=True):
        first = CollectionTransformer(StandardScaler()).set_fit_request(sample_weight=True)
        last = DeepLSTMRegressor(**SMALL).set_fit_request(sample_weight=False)
        model = make_pipeline(first, last).fit(RAGGED, Y, sample_weight=1.0 / LENGTHS)
    expected = CollectionTransformer(StandardScaler()).fit(RAGGED, sample_weight=1.0 / LENGTHS)
    np.testing.assert_array_equal(model[0].transformer_.mean_, expected.transformer_.mean_)


@pytest.mark.parametrize(
    "y", [[x[:, 0] ** 3 for x in RAGGED], [x[:, :2] for x in RAGGED], pd.Series([x[:, 0] ** 3 for x in RAGGED])]
)
def test_targets_of_steps(y):
    found = CollectionTransformer(PCA(2)).fit(RAGGED, y)
    assert found.transform(RAGGED)[0].shape == (LENGTHS[0], 2)
    if np.ndim(y[0]) == 1:
        best = CollectionTransformer(SelectKBest(f_regression, k=1)).fit(RAGGED, y)
        assert best.transformer_.get_support().tolist() == [True, False, False, False]


def test_a_target_of_each_sequence_goes_with_all_of_its_rows():
    levels = ARRAY.copy()
    levels[:, :, 2] += Y[:, np.newaxis]
    best = CollectionTransformer(SelectKBest(f_regression, k=1)).fit(levels, Y)
    assert best.transformer_.get_support().tolist() == [False, False, True, False]


# Data frames and names


def test_data_frames_keep_their_names():
    scaler = ColumnTransformer([("scale", StandardScaler(), ["a", "c"]), ("keep", "passthrough", ["d"])])
    model = CollectionTransformer(scaler).fit(FRAMES)
    assert model.feature_names_in_.tolist() == list("abcd")
    assert model.get_feature_names_out().tolist() == ["scale__a", "scale__c", "keep__d"]
    expected = clone(scaler).fit(pd.concat(FRAMES))
    for found, frame in zip(model.transform(FRAMES), FRAMES, strict=True):
        np.testing.assert_array_equal(found, expected.transform(frame))
    with pytest.raises(ValueError, match=r"X\[3\]: The feature names.*\n?.*same order"):
        model.transform([*FRAMES[:3], FRAMES[3][list("badc")]])
    with pytest.raises(ValueError, match=r"X\[1\]: The feature names"):
        model.fit([FRAMES[0], FRAMES[1][list("badc")]])


def test_names_are_forgotten_by_a_refit_on_arrays():
    model = CollectionTransformer(StandardScaler()).fit(FRAMES).fit(RAGGED)
    assert not hasattr(model, "feature_names_in_")
    assert model.get_feature_names_out().tolist() == ["x0", "x1", "x2", "x3"]
    assert model.get_feature_names_out(list("abcd")).tolist() == list("abcd")


def test_numbers_as_names_are_not_matched():
    """pandas would put columns of equal numbers below each other, and NaN where there are none."""
    shifted = [pd.DataFrame(x, columns=np.arange(4) + i) for i, x in enumerate(RAGGED)]
    found = CollectionTransformer(StandardScaler()).fit(shifted)
    np.testing.assert_allclose(found.transformer_.mean_, StandardScaler().fit(np.concatenate(RAGGED)).mean_)


@pytest.mark.parametrize("container", [pl.DataFrame, pa.Table.from_pandas])
def test_other_data_frames(container):
    model = CollectionTransformer(StandardScaler()).fit([container(frame) for frame in FRAMES])
    expected = CollectionTransformer(StandardScaler()).fit(FRAMES)
    if _get_feature_names(container(FRAMES[0])) is not None:  # scikit-learn 1.6 finds none in tables of polars 2
        assert model.feature_names_in_.tolist() == list("abcd")
    found = model.transform([container(frame) for frame in FRAMES])
    np.testing.assert_allclose(rows_of(found), rows_of(expected.transform(FRAMES)))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_set_output(library):
    kind = {"pandas": pd.DataFrame, "polars": pl.DataFrame}[library]
    for X in (FRAMES, RAGGED, ARRAY):
        plain = CollectionTransformer(StandardScaler()).fit(X)
        model = clone(CollectionTransformer(StandardScaler()).set_output(transform=library)).fit(X)
        found = model.transform(X)
        assert all(type(x) is kind for x in found)
        assert list(found[0].columns) == model.get_feature_names_out().tolist()
        np.testing.assert_array_equal(np.concatenate(found), rows_of(plain.transform(X)))
        assert type(model.set_output(transform="default").transform(X)) is type(X)
        with config_context(transform_output=library):
            assert type(plain.transform(X)[0]) is kind
    pipeline = make_pipeline(CollectionTransformer(StandardScaler()), DeepLSTMRegressor(**SMALL))
    pipeline.set_output(transform="pandas").fit(FRAMES, Y)
    assert pipeline[-1].feature_names_in_.tolist() == list("abcd")


# In pipelines and searches


def test_before_a_network():
    for X in (ARRAY, RAGGED, FRAMES):
        model = make_pipeline(CollectionTransformer(PCA(2)), DeepLSTMClassifier(**SMALL)).fit(X, LABELS)
        reduced = CollectionTransformer(PCA(2)).fit_transform(X)
        expected = DeepLSTMClassifier(**SMALL).fit(reduced, LABELS)
        np.testing.assert_array_equal(model.predict_proba(X), expected.predict_proba(reduced))


def test_in_a_search():
    pipeline = make_pipeline(CollectionTransformer(PCA()), DeepLSTMClassifier(**SMALL))
    grid = {"collectiontransformer__transformer__n_components": [1, 3]}
    for X in (ARRAY, RAGGED):
        search = GridSearchCV(pipeline, grid, cv=StratifiedKFold(2), n_jobs=2).fit(X, LABELS)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
        assert search.best_estimator_[0].transformer_.n_components_ in (1, 3)
    whole = {"collectiontransformer__transformer": [StandardScaler(), PCA(2)]}
    assert len(GridSearchCV(pipeline, whole, cv=2).fit(ARRAY, LABELS).cv_results_["params"]) == 2


def test_row_by_row():
    """A stream passes its rows through the transformer inside."""
    inner = make_pipeline(StandardScaler(), PCA(2))
    model = make_pipeline(CollectionTransformer(inner), DeepLSTMRegressor(**SMALL)).fit(RAGGED, Y)
    rows = stream(model)
    for i, row in enumerate(RAGGED[3], 1):
        np.testing.assert_allclose(rows.step(row), model.predict([RAGGED[3][:i]])[0], rtol=1e-6)
    lags = CollectionTransformer(FunctionTransformer(lambda x: np.cumsum(x, axis=0)))
    with pytest.raises(ValueError, match=r"'collectiontransformer' .*cannot be run row by row"):
        stream(make_pipeline(lags, DeepLSTMRegressor(**SMALL)).fit(RAGGED, Y))


def test_a_pickle_warns_of_another_version():
    model = CollectionTransformer(PCA(2)).fit(RAGGED)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(rows_of(again.transform(RAGGED)), rows_of(model.transform(RAGGED)))
    with pytest.warns(InconsistentVersionWarning, match="CollectionTransformer"):
        again.__setstate__({**model.__getstate__(), "_sklstm_version": "0.0.1"})


# What is refused


TABLE = ARRAY[0]
REFUSED = {
    "a table": (TABLE, r"X is a table of shape \(6, 4\).* For a table use StandardScaler itself.*pass \[X\]"),
    "a frame": (FRAMES[0], "X is a table of shape"),
    "a sparse table": (csr_array(TABLE), "X is a table of shape"),
    "rows in a list": (TABLE.tolist()[0], "X has 1 dimension, expected a set of sequences"),
    "a column": (Y, "X has 1 dimension,"),
    "4-D": (ARRAY[np.newaxis], "X has 4 dimensions,"),
    "no sequences": ([], "X holds no sequences"),
    "none in a tuple": ((), "X holds no sequences"),
    "no entries": (ARRAY[:0], r"X has an empty axis: its shape is \(0, 6, 4\)"),
    "no steps": (ARRAY[:, :0], "X has an empty axis"),
    "no columns": (ARRAY[:, :, :0], "X has an empty axis"),
    "an empty sequence": ([*RAGGED, RAGGED[0][:0]], r"X\[30\] is an empty sequence"),
    "a 1-D sequence": ([*RAGGED, RAGGED[0][0]], r"X\[30\] has 1 dimension"),
    "another width": ([*RAGGED, RAGGED[0][:, :3]], r"X\[30\] has 3 features, .* expecting 4 features"),
    "a mask": (np.ma.masked_array(ARRAY, ARRAY > 5), "X is a masked array"),
    "infinity": ([*RAGGED, np.abs(RAGGED[0]) * np.inf], "X contains infinity"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused(kind):
    X, message = REFUSED[kind]
    model = CollectionTransformer(StandardScaler()).fit(RAGGED)
    mean = model.transformer_.mean_
    for call in (model.fit, model.transform, CollectionTransformer(StandardScaler()).fit):
        with pytest.raises(ValueError, match=message):
            call(X)
    assert model.transformer_.mean_ is mean, "a fit that fails changes nothing"


def test_other_widths_than_were_fitted():
    model = CollectionTransformer(StandardScaler()).fit(ARRAY)
    with pytest.raises(ValueError, match=r"6 features.*expecting 4.*\(last axis\)|pass X.transpose\(0, 2, 1\)"):
        model.transform(ARRAY.transpose(0, 2, 1))
    with pytest.raises(ValueError, match=r"X\[0\] has 3 features, but CollectionTransformer is expecting 4 features"):
        model.transform([x[:, :3] for x in RAGGED])


def test_no_containers_are_refused():
    for X in ({"a": Y}, (x for x in RAGGED), pl.DataFrame(TABLE).lazy()):
        with pytest.raises(TypeError, match=r"^X is a "):
            CollectionTransformer(StandardScaler()).fit(X)


def test_sparse_answers_are_refused():
    codes = RNG.integers(0, 3, size=(10, 5, 1))
    with pytest.raises(TypeError, match=r"OneHotEncoder returns sparse matrices.*sparse_output=False"):
        CollectionTransformer(OneHotEncoder()).fit_transform(codes)
    dense = CollectionTransformer(OneHotEncoder(sparse_output=False)).fit_transform(codes)
    np.testing.assert_array_equal(dense.argmax(axis=2), codes[:, :, 0])


def test_what_is_no_transformer():
    with pytest.raises(ValueError, match="'transformer' parameter of CollectionTransformer must be"):
        CollectionTransformer(LinearRegression()).fit(ARRAY)
    with pytest.raises(TypeError, match="Cannot clone"):
        CollectionTransformer(StandardScaler).fit(ARRAY)
    with pytest.raises(NotFittedError):
        CollectionTransformer(StandardScaler()).transform(ARRAY)


def test_targets_of_other_sequences():
    with pytest.raises(ValueError, match="y has 29 entries, X has 30 sequences"):
        CollectionTransformer(StandardScaler()).fit(ARRAY, Y[1:])


# scikit-learn's own checks: its tables, each row a sequence of one step


class RowsAsSequences(CollectionTransformer, auto_wrap_output_keys=None):
    """Takes tables, so that the checks can be run."""

    def fit(self, X, y=None):
        return super().fit(self._sequences(X), y)

    def transform(self, X):
        return np.concatenate(super().transform(self._sequences(X)))

    @staticmethod
    def _sequences(X):
        return check_array(X, dtype=None, ensure_all_finite=False)[:, np.newaxis]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


class WeightedRowsAsSequences(RowsAsSequences, auto_wrap_output_keys=None):
    """The same where the transformer takes weights."""

    def fit(self, X, y=None, sample_weight=None):
        return CollectionTransformer.fit(self, self._sequences(X), y, sample_weight=sample_weight)


OTHER_WORDS = {"check_n_features_in_after_fitting": "the message names the shape of the set"}


@parametrize_with_checks(
    [WeightedRowsAsSequences(StandardScaler()), RowsAsSequences(PCA(1)), RowsAsSequences(SimpleImputer())],
    expected_failed_checks=lambda estimator: OTHER_WORDS,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
