"""`sklstm.streaming.stream` of a pipeline: what its `predict` says, row by row, or why not."""

import copy
import pickle
import re
import warnings
from inspect import signature

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import NMF, PCA
from sklearn.ensemble import BaggingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectKBest, VarianceThreshold, f_regression
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
)
from stream_case import LENGTH, ROWS, TABLE, TARGETS, fitted

from sklstm import DeepRNNClassifier, DeepRNNRegressor, LSTMFeatureSelector, WeightedEnsembleRegressor
from sklstm.streaming import PipelineStream, Stream, stream

pl = pytest.importorskip("polars")
X, Y = 100.0 + 5.0 * TABLE, TARGETS["one"]
LONG = 100.0 + 5.0 * np.concatenate(ROWS[:3])


def lstm(**parameters):
    return DeepRNNRegressor(
        **{"hidden_size": 5, "sequence_length": LENGTH, "max_iter": 1, **parameters, "random_state": 0}
    )


def pipeline(*steps, **parameters):
    return make_pipeline(*steps, lstm(**parameters)).fit(X, Y)


def named(steps):
    """Return an id without the addresses of functions: every worker must collect the same tests."""
    return re.sub(r" at 0x\w+", "", str(steps))


def run(made, rows):
    return [made.step(row) for row in np.moveaxis(rows, -2, 0)]


# Said, as their default warns; scikit-learn 1.6 has no choice.
HAS_QUANTILES = "quantile_method" in signature(KBinsDiscretizer).parameters
QUANTILES = {"quantile_method": "averaged_inverted_cdf"} if HAS_QUANTILES else {}
EXACT = [
    (StandardScaler(),), (MinMaxScaler(),), (MaxAbsScaler(), RobustScaler()), (QuantileTransformer(n_quantiles=20),),
    (PowerTransformer(),), (KBinsDiscretizer(4, encode="ordinal", **QUANTILES),),
    (PolynomialFeatures(2), StandardScaler()), (SplineTransformer(),), (SimpleImputer(), StandardScaler()),
    (Normalizer(),), ("passthrough", StandardScaler()), (StandardScaler(), "passthrough"), ("passthrough",), (None,),
    (SelectKBest(f_regression, k=2),), (VarianceThreshold(), StandardScaler()),
    (LSTMFeatureSelector(), StandardScaler()),
    (FunctionTransformer(np.log1p), StandardScaler()), (FunctionTransformer(), StandardScaler()),
    (ColumnTransformer([("scale", StandardScaler(), [0, 2]), ("none", "passthrough", [1])]),),
    (ColumnTransformer([("scale", StandardScaler(), [0]), ("off", "drop", [1])], remainder=MinMaxScaler()),),
    (FeatureUnion([("scale", StandardScaler()), ("off", "drop"), ("same", "passthrough")]),),
    (make_pipeline(StandardScaler(), SelectKBest(f_regression, k=2)), MinMaxScaler()),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:k=.* is greater than n_features")
@pytest.mark.parametrize("steps", EXACT, ids=named)
def test_row_by_row_the_pipeline_says_the_same(steps):
    model = pipeline(*steps)
    before = pickle.dumps(model)
    assert_array_equal(run(stream(model), LONG), model.predict(LONG))
    several = stream(model, n_streams=3, context=100.0 + 5.0 * ROWS[:3, :2])
    expected = np.stack([model.predict(100.0 + 5.0 * rows)[2:] for rows in ROWS[:3]], axis=1)
    assert_array_equal(run(several, 100.0 + 5.0 * ROWS[:3, 2:]), expected)
    assert pickle.dumps(model) == before


@pytest.mark.parametrize("steps", [(StandardScaler(), PCA(2)), (KNNImputer(),)], ids=named)
def test_sums_over_columns_agree_to_rounding(steps):
    model = pipeline(*steps)
    assert_allclose(run(stream(model), LONG), model.predict(LONG), rtol=1e-5)


def test_context_goes_through_the_steps():
    """Handed to `predict` of a pipeline, it reaches the network as it is."""
    model = pipeline(StandardScaler())
    for context in (LONG[:20], LONG[:20].tolist(), LONG[:2]):
        n = len(context)
        assert_array_equal(run(stream(model, context=context), LONG[n:]), model.predict(LONG)[n:])
    assert_array_equal(run(stream(model, context=LONG[:0]), LONG), model.predict(LONG))


def test_carried_rows_are_as_the_network_saw_them():
    model = pipeline(StandardScaler(), carry_context=True)
    made = stream(model)
    assert_array_equal(made.state["rows"][0], model[-1].context_)
    assert_array_equal(run(made, LONG), model.predict(LONG))


@pytest.mark.parametrize("parameters", [{"training": "stateful", "shuffle": False}, {"bidirectional": True}], ids=named)
def test_the_network_decides_about_windows(parameters):
    model = pipeline(StandardScaler(), **parameters)
    assert_array_equal(run(stream(model), LONG), model.predict(LONG))


def test_every_method_that_answers():
    model = make_pipeline(MinMaxScaler(), DeepRNNClassifier(5, max_iter=1, random_state=0)).fit(
        X, TARGETS["two labels"]
    )
    for method in ("predict", "predict_proba", "predict_log_proba", "transform"):
        assert_array_equal(run(stream(model, response_method=method), LONG), getattr(model, method)(LONG))
    made = stream(model, response_method="predict_proba")
    out = np.empty(2)
    assert made.step(LONG[0], out=out) is out
    assert_array_equal(out, model.predict_proba(LONG[:1])[0])
    carried = stream(model, window=False)
    assert_array_equal(
        run(carried, LONG[:9]), [model[-1].predict(model[:-1].transform(LONG)[None, :t])[0] for t in range(1, 10)]
    )


# Names


def frames():
    frame = pd.DataFrame(LONG, columns=list("abc"))
    frame["d"] = np.where(LONG[:, 0] > 100, "up", "down")
    columns = [("scale", StandardScaler(), ["c", "a"]), ("code", OneHotEncoder(sparse_output=False), ["d"])]
    return frame, make_pipeline(ColumnTransformer(columns), lstm()).fit(frame, LONG[:, 0])


def test_columns_by_name():
    frame, model = frames()
    expected = model.predict(frame)
    assert_array_equal([stream(model).step(row) for _, row in frame[:1].iterrows()], expected[:1])
    made = stream(model)
    assert_array_equal([made.step(row) for _, row in frame.iterrows()], expected)
    made.reset()
    assert_array_equal([made.step(frame[t : t + 1]) for t in range(len(frame))], expected)
    # Without names the order is that of fit, and no warning comes with every row.
    made.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_array_equal([made.step(row.tolist()) for row in frame.to_numpy()], expected)


@pytest.mark.parametrize("output", ["pandas", "polars", "default"])
@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
def test_frames_between_the_steps(kind, output):
    table = kind({name: X[:, k] for k, name in enumerate("abc")})
    model = make_pipeline(StandardScaler(), LSTMFeatureSelector(), MinMaxScaler(), lstm()).set_output(transform=output)
    model.fit(table, Y)
    expected = model.predict(table)
    made = stream(model)
    assert_array_equal([made.step(table[t : t + 1]) for t in range(len(X))], expected)
    assert_array_equal(run(made.reset(), X), expected)
    with pytest.raises(ValueError, match="feature names should match"):
        made.step(table[["b", "a", "c"]][:1])


@pytest.mark.parametrize(
    ("n_streams", "x", "exception", "message"),
    [
        (
            None,
            [1.0, 2.0],
            ValueError,
            r"x has shape \(2,\), expected \(3,\): one row of the 3 features that th",
        ),
        (None, np.ones((2, 3)), ValueError, r"x has shape \(2, 3\), expected \(3,\)"),
        (None, 1.0, ValueError, r"x has shape \(\), expected \(3,\)"),
        (2, np.ones(3), ValueError, r"x has shape \(3,\), expected \(2, 3\): .* for each of 2 streams"),
        (None, [1.0, np.nan, 1.0], ValueError, "contains NaN|x contains NaN"),
        (None, ["a", 1.0, 1.0], ValueError, "could not convert string|x must hold numbers, found dtype <U"),
        (None, {"a": 1.0, "b": 2.0, "c": 3.0}, TypeError, "x is a dict; expected one row: a list or"),
        (None, np.ma.masked_array(np.ones(3)), ValueError, "x is a masked array"),
    ],
)
@pytest.mark.parametrize("steps", [(StandardScaler(),), ("passthrough",)], ids=named)
def test_rows_that_are_refused(n_streams, x, exception, message, steps):
    made = stream(pipeline(*steps), n_streams=n_streams)
    before = pickle.dumps(made.state)
    with pytest.raises(exception, match=message):
        made.step(x)
    assert pickle.dumps(made.state) == before


# Rows of floats go past the checks of the steps

PLAIN = [
    (StandardScaler(),), (StandardScaler(with_mean=False),), (StandardScaler(with_std=False),), (MaxAbsScaler(),),
    (RobustScaler(), MinMaxScaler()), (RobustScaler(with_centering=False),), (RobustScaler(with_scaling=False),),
    (SimpleImputer(), SelectKBest(f_regression, k=2), StandardScaler()), (LSTMFeatureSelector(), MinMaxScaler()),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:k=.* is greater than n_features")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("steps", PLAIN, ids=named)
def test_arithmetic_of_known_steps(monkeypatch, steps, dtype):
    rows = LONG.astype(dtype)
    frame = pd.DataFrame(rows, columns=list("abc"))
    model = make_pipeline(*steps, lstm()).fit(frame, LONG[:, 0])
    expected = model.predict(frame)
    made, several = stream(model), stream(model, n_streams=2)
    for step in steps:
        monkeypatch.setattr(type(step), "transform", None)
    assert_array_equal(run(made, rows), expected)
    assert_array_equal([made.reset().step(row) for _, row in frame[:1].iterrows()], expected[:1])
    assert_array_equal(run(several, np.stack([rows, rows])), np.column_stack([expected, expected]))
    assert_array_equal(run(pickle.loads(pickle.dumps(made.reset())), rows), expected)


def test_what_the_steps_must_see():
    """Gaps, infinity, other dtypes, clipping: nothing is passed over."""
    gaps = LONG.copy()
    gaps[::3, 1] = np.nan
    model = pipeline(SimpleImputer(), StandardScaler())
    assert_array_equal(run(stream(model), gaps), model.predict(gaps))
    assert_array_equal(run(stream(model), LONG.astype(int)), model.predict(LONG.astype(int)))
    marked = np.where(np.isnan(gaps), -1.0, gaps)
    model = make_pipeline(SimpleImputer(missing_values=-1.0), lstm()).fit(marked, LONG[:, 0])
    assert_array_equal(run(stream(model), marked), model.predict(marked))
    model = pipeline(MinMaxScaler(clip=True))
    assert_array_equal(run(stream(model), 2 * LONG), model.predict(2 * LONG))
    with pytest.raises(ValueError, match="contains infinity"):
        stream(pipeline(SelectKBest(f_regression, k=2))).step([np.inf, 1.0, 1.0])
    series = pd.Series(LONG[0], index=list("bac"))
    model = make_pipeline(StandardScaler(), lstm()).fit(pd.DataFrame(LONG, columns=list("abc")), LONG[:, 0])
    with pytest.raises(ValueError, match="feature names should match"):
        stream(model).step(series)


def test_a_transformer_that_does_not_count_its_columns():
    model = make_pipeline(FunctionTransformer(), Lag()).fit(X)
    del model[1].n_features_in_
    model = Pipeline([("lag", model[1]), ("lstm", lstm().fit(X, Y))])
    made = stream(model, row_wise=["lag"])
    assert_array_equal(run(made, LONG), model.predict(LONG))


# What cannot be run row by row


class Lag(TransformerMixin, BaseEstimator):
    def __init__(self, sign=1.0):
        self.sign = sign

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return self.sign * X


class MyScaler(StandardScaler):
    pass


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (
            (FunctionTransformer(np.diff),),
            r"'functiontransformer' \(FunctionTransformer\) .*its function 'diff' may look",
        ),
        ((FunctionTransformer(lambda rows: rows),), r"its function '<lambda>' may look at other rows"),
        ((Lag(),), r"step 'lag' \(Lag\) cannot be run row by row: it is not one of .*say so: row_wise=\['lag'\]"),
        ((StandardScaler(), MyScaler()), r"step 'myscaler' \(MyScaler\) cannot be run row by row"),
        ((NMF(2),), r"step 'nmf' \(NMF\) cannot be run row by row"),
        ((lstm(),), r"step 'deeprnnregressor-1' .* cannot be run row by row: it reads windows of rows"),
        ((make_pipeline(StandardScaler(), Lag()),), r"step 'pipeline__lag' \(Lag\) .*row_wise=\['pipeline__lag'\]"),
        ((ColumnTransformer([("lagged", Lag(), [0])]),), r"step 'columntransformer__lagged' \(Lag\)"),
        ((ColumnTransformer([("s", StandardScaler(), [0])], remainder=Lag()),), "step 'columntransformer__remainder'"),
        ((FeatureUnion([("lagged", Lag())]),), r"step 'featureunion__lagged' \(Lag\)"),
    ],
)
def test_steps_that_may_look_at_other_rows(steps, message):
    model = Pipeline([*make_pipeline(*steps, lstm()).steps])
    for _, step in model.steps[:-1]:  # `diff` shortens the table
        step.fit(X, Y)
    model[-1].fit(X, Y)
    with pytest.raises(ValueError, match=message):
        stream(model)


def test_the_user_may_know_better():
    model = pipeline(StandardScaler(), FunctionTransformer(lambda rows: rows * 2), make_pipeline(Lag()))
    made = stream(model, row_wise=["functiontransformer", "pipeline__lag"])
    assert_array_equal(run(made, LONG), model.predict(LONG))
    with pytest.raises(ValueError, match=r"row_wise names \['diff'\], but the steps are \['functiontransformer', 'pip"):
        stream(model, row_wise=["diff"])
    with pytest.raises(TypeError, match="row_wise must be a list of names of steps, found the string 'functiontr"):
        stream(model, row_wise="functiontransformer")


# What is not a pipeline


def test_a_model_alone_and_a_search():
    model = fitted("one")
    assert type(stream(model)) is Stream
    assert_array_equal(run(stream(model, context=TABLE[:5]), TABLE[5:]), model.predict(TABLE)[5:])
    with pytest.raises(ValueError, match="row_wise names steps of a pipeline; found a DeepRNNRegressor"):
        stream(model, row_wise=["scale"])
    search = GridSearchCV(
        make_pipeline(StandardScaler(), lstm()), {"deeprnnregressor__hidden_size": [3, 4]}, cv=TimeSeriesSplit(2)
    )
    made = stream(search.fit(X, Y))
    assert type(made) is PipelineStream
    assert_array_equal(run(made, LONG), search.predict(LONG))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Ridge(), "expected a Pipeline, a search or a model of sklstm such as DeepRNNRegressor, found Ridge"),
        (make_pipeline(StandardScaler(), Ridge()), "the last step of the pipeline: expected .*, found Ridge"),
        (GridSearchCV(lstm(), {}), "GridSearchCV has no best_estimator_ to make a stream of: fit it"),
        (
            WeightedEnsembleRegressor([("a", lstm()), ("b", Ridge())]),
            "WeightedEnsembleRegressor averages .*make a stream of",
        ),
        (
            TransformedTargetRegressor(lstm()),
            "TransformedTargetRegressor maps the predictions back: make a stream of regressor_",
        ),
        (BaggingRegressor(lstm()), "found BaggingRegressor"),
        (3, "found int"),
    ],
    ids=named,
)
def test_what_has_no_stream(model, message):
    with pytest.raises(TypeError, match=message):
        stream(model)


def test_not_fitted():
    for model in (make_pipeline(StandardScaler(), lstm()), lstm()):
        with pytest.raises(NotFittedError):
            stream(model)


# What a stream remembers


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))])
def test_copies_and_states(how):
    model = pipeline(StandardScaler())
    expected = model.predict(LONG)
    made = stream(model)
    run(made, LONG[:10])
    saved, copied = made.state, how(made)
    assert_array_equal(run(made, LONG[10:]), expected[10:])
    assert_array_equal(run(copied, LONG[10:]), expected[10:])
    made.state = saved
    assert_array_equal(run(made, LONG[10:]), expected[10:])
    assert made.reset() is made
    assert_array_equal(run(made, LONG), expected)


def test_a_stream_keeps_the_steps_it_was_made_with():
    model = pipeline(StandardScaler())
    expected, made = model.predict(LONG), stream(model)
    model[0].partial_fit(X * 3)
    model.fit(X * 2, Y)
    assert_array_equal(run(made, LONG), expected)
