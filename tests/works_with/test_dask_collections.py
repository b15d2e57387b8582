"""Arrays and frames of dask as X: lazy answers, equal to those for the computed table, bit for bit."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from order_case import LABELS, TRAIN, X, Y, classifier, regressor
from sklearn.exceptions import NotFittedError

pytestmark = [
    pytest.mark.filterwarnings("default"),  # of other packages
    pytest.mark.filterwarnings("error::UserWarning:sklstm"),
]
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")

N = len(X)
GROUPS = np.repeat(["a", "b", "c", "d"], [150, 3, 447, 300])
# Some shorter than the window, some of one row, some between borders of groups.
CHUNKS = (100, 2, 1, 1, 46, 3, 247, 200, 300)
NAMES = ["u", "v", "w"]


@pytest.fixture(autouse=True)
def in_this_thread():
    import dask

    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.fixture(scope="module")
def model():
    return regressor(max_iter=1).fit(X[TRAIN], Y[TRAIN])


@pytest.fixture(scope="module")
def named():
    return regressor(max_iter=1).fit(pd.DataFrame(X[TRAIN], columns=NAMES), Y[TRAIN])


def lazy(table=X, chunks=CHUNKS):
    return da.from_array(np.asarray(table), chunks=(chunks, 2))


def frame(empty=False, **columns):
    """As many partitions as there are chunks, whose sizes dask does not know."""
    table = pd.DataFrame(X, columns=NAMES, index=pd.date_range("2024", periods=N, freq="h")).assign(**columns)
    parts = np.split(np.arange(N), np.cumsum(CHUNKS)[:-1])
    parts = [rows for part in parts for rows in ((part, part[:0]) if empty else (part,))]
    return dd.from_map(lambda rows: table.iloc[rows], parts, meta=table.iloc[:0]), table


def check(answer, expected):
    assert isinstance(answer, da.Array)
    assert answer.dtype == expected.dtype
    assert answer.ndim == expected.ndim
    assert answer.shape[1:] == expected.shape[1:]
    result = answer.compute()
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result, expected)


def test_an_array(model):
    answer = model.predict(lazy())
    assert answer.chunks == (CHUNKS,)
    check(answer, model.predict(X))


def test_a_partition_alone_is_that_of_the_whole(model):
    assert (model.predict(lazy()).blocks[6].compute() == model.predict(X)[153:400]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_other_dtypes(model, dtype):
    table = (10 * X).astype(dtype)
    check(model.predict(lazy(table)), model.predict(table))


def test_unknown_chunk_sizes(model):
    some = lazy()
    chosen = some[some[:, 0] > -0.5]
    answer = model.predict(chosen)
    assert np.isnan(answer.shape[0])
    check(answer, model.predict(X[X[:, 0] > -0.5]))


def test_context_across_short_partitions(model):
    check(model.predict(lazy(), context=X[:7]), model.predict(X, context=X[:7]))
    check(model.predict(lazy(), context=X[:2]), model.predict(X, context=X[:2]))
    check(model.predict(lazy(), context=np.empty((0, 3))), model.predict(X))


@pytest.mark.parametrize("kind", ["array", "dask", "lists"])
def test_groups(model, kind):
    groups = {"array": GROUPS, "dask": da.from_array(GROUPS, chunks=170), "lists": GROUPS.tolist()}[kind]
    check(model.predict(lazy(), groups=groups), model.predict(X, groups=GROUPS))


def test_groups_with_context(model):
    context, labels = X[:40], np.repeat(["d", "c", "x", "a"], 10)
    expected = model.predict(X, groups=GROUPS, context=context, context_groups=labels)
    assert (expected != model.predict(X, groups=GROUPS)).any()
    check(model.predict(lazy(), groups=GROUPS, context=context, context_groups=labels), expected)


@pytest.mark.parametrize("empty", [False, True])
def test_a_frame_by_group(named, empty):
    some, table = frame(empty, series=GROUPS)
    table, groups = table[NAMES], table["series"]
    check(named.predict(some[NAMES], groups=some["series"]), named.predict(table, groups=groups))
    check(named.predict(some[NAMES]), named.predict(table))


@pytest.mark.parametrize("groups", [None, GROUPS])
def test_carried_rows(groups):
    own = None if groups is None else groups[TRAIN]
    model = regressor(max_iter=1, carry_context=True)
    model.fit(pd.DataFrame(X[TRAIN], columns=NAMES), Y[TRAIN], groups=own)
    table = pd.DataFrame(X[500:], columns=NAMES)
    labels = None if groups is None else groups[500:]
    chunks = (2, 1, 97, 300)
    parts = dd.from_map(lambda rows: table.iloc[rows], np.split(np.arange(400), np.cumsum(chunks)[:-1]), meta=table[:0])
    if groups is not None:
        labels = da.from_array(labels, chunks=(chunks,))
    check(model.predict(parts, groups=labels), model.predict(table, groups=None if labels is None else groups[500:]))


def test_labels_and_probabilities():
    model = classifier(max_iter=1).fit(X[TRAIN], LABELS[TRAIN])
    for method in ("predict", "predict_proba", "predict_log_proba"):
        check(getattr(model, method)(lazy()), getattr(model, method)(X))


@pytest.mark.parametrize(
    "options",
    [
        {"n_seeds": 2},
        {"window_norm": "last", "target_column": 0},
        {"linear_skip": 4, "bidirectional": True, "cell": "lstm"},
        {"sequence_length": 1},
        {"dtype": "float64", "patch_length": 2},
    ],
    ids=str,
)
def test_networks(options):
    model = regressor(max_iter=1, **options).fit(X[TRAIN], Y[TRAIN])
    check(model.predict(lazy()), model.predict(X))


def test_several_outputs_and_quantiles():
    y = np.column_stack([Y, X[:, 1]])
    model = regressor(max_iter=1, loss="quantile", quantile=[0.1, 0.5, 0.9]).fit(X[TRAIN], y[TRAIN])
    check(model.predict(lazy()), model.predict(X))
    check(model.predict_quantiles(lazy()), model.predict_quantiles(X))


def test_units_of_groups():
    model = regressor(max_iter=1, group_scaling="standard", target_column=0, early_stopping=False)
    model.fit(X, Y, groups=GROUPS)
    check(model.predict(lazy(), groups=GROUPS), model.predict(X, groups=GROUPS))
    other = np.where(GROUPS == "d", "new", GROUPS)
    with pytest.raises(ValueError, match="'new' is no group of the fit"):
        model.predict(lazy(), groups=other, context=X[:9], context_groups=["new"] * 9).compute()


@pytest.mark.parametrize("targets", ["sample", "sequence"])
def test_sets_of_sequences(targets):
    sequences = X.reshape(150, 6, 3)
    y = Y.reshape(150, 6)
    model = regressor(max_iter=1, targets=targets).fit(sequences, y if targets == "sequence" else y[:, -1])
    some = da.from_array(sequences, chunks=((100, 1, 49), 4, 2))
    check(model.predict(some), model.predict(sequences))
    with pytest.raises(ValueError, match="each sequence of X stands for itself"):
        model.predict(some, groups=np.zeros(150))


def test_a_score_is_that_of_the_table(model):
    assert model.score(lazy(), Y) == model.score(X, Y)


def test_a_group_in_two_partitions_apart_is_an_error(model):
    groups = np.repeat([0, 1, 0], [400, 200, 300])
    with pytest.raises(ValueError, match="label 0 comes in 2 separate blocks"):
        model.predict(X, groups=groups)
    for chunks in [(N,), (400, 500), (450, 450), (300, 300, 300), (500, 50, 50, 300)]:
        parts = da.from_array(groups, chunks=(chunks,))
        with pytest.raises(ValueError, match=r"label 0 comes in .*separate blocks"):
            model.predict(lazy(chunks=chunks), groups=parts).compute()


def test_bad_numbers_are_found_when_it_is_computed(model):
    table = X.copy()
    table[200, 1] = np.nan
    answer = model.predict(lazy(table))
    with pytest.raises(ValueError, match="X contains NaN"):
        answer.compute()


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (ValueError, "X has 2 features, but DeepLSTMRegressor is expecting 3", lambda m: m.predict(lazy()[:, :2])),
        (ValueError, "X has 2 features", lambda m: m.predict(frame()[0][["u", "v"]])),
        (ValueError, "groups has 899 labels, but X has 900 rows", lambda m: m.predict(lazy(), groups=GROUPS[1:])),
        (
            ValueError,
            "groups is in memory, but the sizes of the partitions of X are not known",
            lambda m: m.predict(frame()[0], groups=GROUPS),
        ),
        (
            ValueError,
            "groups has 1 partitions, but X has 9",
            lambda m: m.predict(frame()[0], groups=da.from_array(GROUPS, chunks=N)),
        ),
        (ValueError, "groups must be 1-D", lambda m: m.predict(lazy(), groups=lazy())),
        (TypeError, "context is a collection of dask", lambda m: m.predict(lazy(), context=lazy())),
        (
            ValueError,
            "context_groups is missing",
            lambda m: m.predict(lazy(), groups=GROUPS, context=X[:3]),
        ),
        (TypeError, "of dask; expected an array of 2 or 3 axes", lambda m: m.predict(__import__("dask").delayed(X))),
        (TypeError, "X is a Series of dask with ndim=1", lambda m: m.predict(frame()[0]["u"])),
    ],
)
def test_what_does_not_fit_is_told_at_once(model, error, message, call):
    with pytest.raises(error, match=message):
        call(model)


def test_a_model_that_is_not_fitted():
    with pytest.raises(NotFittedError):
        regressor().predict(lazy())


def test_what_reads_beyond_a_window_is_refused():
    stateful = regressor(max_iter=1, training="stateful", shuffle=False).fit(X[TRAIN], Y[TRAIN])
    with pytest.raises(ValueError, match="training='stateful' carries its states"):
        stateful.predict(lazy())
    decoder = regressor(max_iter=1, decoder="recurrent", known_columns=[1], early_stopping=False)
    decoder.fit(X[:-2], np.column_stack([Y[1:-1], Y[2:]]), future=X[-2:])
    with pytest.raises(ValueError, match="a decoder with known_columns reads rows after"):
        decoder.predict(lazy())


def test_dask_is_imported_for_its_collections_alone():
    code = (
        "import sys, numpy as np; from sklstm import DeepLSTMRegressor as R\n"
        "X = np.random.default_rng(0).normal(size=(50, 2))\n"
        "R(4, max_iter=1, sequence_length=3).fit(X, X[:, 0]).predict(X)\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('dask', 'distributed')],"
        " 'sklstm._dask_collections' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] False"
