"""Fitted models of every kind, and how they are compared: what tests of model files run over."""

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from sklstm import (
    DeepLSTMClassifier,
    DeepLSTMRegressor,
    DeepRNNClassifier,
    DeepRNNRegressor,
    LSTMFeatureSelector,
    WeightedEnsembleClassifier,
    WeightedEnsembleRegressor,
    quantize,
)
from sklstm.cells import LSTM
from sklstm.compression import distill, factorize, prune
from sklstm.model_selection import PurgedTimeSeriesSplit
from sklstm.preprocessing import CollectionTransformer

N = 90
RNG = np.random.default_rng(5)
X = RNG.normal(size=(N, 3))
SIGNAL = X[:, 0] + np.roll(X[:, 1], 1)
Y = 20.0 + 5.0 * SIGNAL
LABELS = np.where(SIGNAL > 0, "up", "down")
GROUPS = np.repeat(["b", "a", "c"], [40, 10, 40])
ARRAY = RNG.normal(size=(24, 6, 3))
ARRAY_Y = ARRAY[:, -1, 0] + ARRAY[:, -2, 1]
FRAME = pd.DataFrame(X, columns=["price", "volume", "hour"], index=pd.date_range("2024-01-01", periods=N, freq="h"))
DAYS = pd.DataFrame(X, columns=["price", "volume", "hour"], index=[f"row {k}" for k in range(N)])
SMALL = {"hidden_size": 4, "sequence_length": 5, "max_iter": 2, "random_state": 0, "n_jobs": 1}


def regressor(kind=DeepRNNRegressor, **parameters):
    return kind(**{**SMALL, **parameters})


def classifier(kind=DeepRNNClassifier, **parameters):
    return kind(**{**SMALL, **parameters})


def twice(model, *data, **keywords):
    """A model in the middle of calls of `partial_fit`."""
    return model.partial_fit(*data, **keywords).partial_fit(*data)


def transposed(model):
    """A model whose matrices lie in memory column by column."""
    model.parameters_ = {name: np.asfortranarray(array) for name, array in model.parameters_.items()}
    return model


def ahead(n_turns):
    return np.stack([np.roll(Y, -k - 1) for k in range(n_turns)], axis=1)


TABLE = {
    "default": lambda: regressor().fit(X, Y),
    "lstm": lambda: regressor(DeepLSTMRegressor, cell=LSTM(peephole=True, layer_norm=True)).fit(X, Y),
    "float64": lambda: regressor(dtype="float64").fit(X, Y),
    "bfloat16": lambda: regressor(dtype="bfloat16").fit(X, Y),
    "transposed": lambda: transposed(regressor(n_layers=2, hidden_size=[6, 4], residual=1).fit(X, Y)),
    "layers": lambda: regressor(
        hidden_size=(6, 4), residual=1, norm="rms", norm_first=True, feedforward="swiglu", output_gate="silu"
    ).fit(X, Y),
    "directions": lambda: regressor(bidirectional=True, pooling="attention", attention_heads=2).fit(X, Y),
    "constraint": lambda: regressor(cell="elman", recurrent_constraint="scaled_orthogonal").fit(X, Y),
    "window norm": lambda: regressor(window_norm="standard", target_column="price", known_columns=["hour"]).fit(
        FRAME, FRAME["price"]
    ),
    "skip": lambda: regressor(linear_skip=3).fit(X, Y),
    "fine skip": lambda: twice(regressor(linear_skip=3, linear_skip_training="fine_tune"), X, Y),
    "early stopping": lambda: regressor(
        early_stopping=True, scoring="neg_mean_absolute_error", max_iter=4, sequence_length=3
    ).fit(X, Y),
    "stateful": lambda: regressor(training="stateful", shuffle=False, bptt_steps=4).fit(X, Y),
    "outputs": lambda: regressor(patch_length=2).fit(X, np.column_stack([Y, -Y])),
    "poisson": lambda: regressor(loss="poisson").fit(X, np.round(np.abs(Y))),
    "constant": lambda: regressor(input_scaling="robust").fit(X, np.full(N, 3.0)),
    "huber": lambda: regressor(loss="huber", huber_delta=np.float64(0.5)).fit(X.astype(np.float32), Y),
    "quantiles": lambda: regressor(loss="quantile", quantile=np.array([0.1, 0.5, 0.9])).fit(X, Y),
    "conformal": lambda: regressor(
        loss="quantile", quantile=(0.25, 0.5, 0.75), conformal=True, early_stopping=True, validation_fraction=0.3
    ).fit(X, Y),
    "decoder": lambda: regressor(decoder="recurrent", known_columns=[2]).fit(X, ahead(3), future=X[:3]),
    "parallel decoder": lambda: regressor(decoder="parallel", linear_skip=2).fit(X, np.stack([ahead(2)] * 2, axis=2)),
    "seeds": lambda: regressor(n_seeds=3).fit(X, Y),
    "seeds in parts": lambda: twice(regressor(n_seeds=2), X, Y),
    "adam": lambda: twice(regressor(solver="adam", max_grad_norm="adaptive"), X, Y),
    "sgd": lambda: twice(regressor(solver="sgd", learning_rate="reduce_on_plateau"), X, Y),
    "schedule free": lambda: twice(regressor(solver="schedule_free"), X, Y),
    "frame in parts": lambda: twice_in_time(regressor()),
    "names": lambda: regressor(carry_context=True).fit(DAYS, Y),
    "random state": lambda: regressor(random_state=np.random.RandomState(3)).fit(X, Y),
    "set_output": lambda: regressor().fit(FRAME, Y).set_output(transform="pandas"),
    "carried": lambda: regressor(carry_context=True).fit(X, Y),
    "int8": lambda: quantize(regressor(hidden_size=16).fit(X, Y), X, max_error=1.0),
    "int16": lambda: quantize(
        regressor(n_seeds=2, hidden_size=16, cell="gru").fit(X, Y), X, dtype="int16", max_error=1.0
    ),
    "pruned": lambda: prune(regressor().partial_fit(X, Y), 0.5),
    "factorized": lambda: factorize(regressor(hidden_size=16, n_layers=2).fit(X, Y), rank=3),
    "distilled": lambda: distill(regressor(hidden_size=8).fit(X, Y), regressor(), X),
    "two labels": lambda: classifier().fit(X, LABELS),
    "three labels": lambda: classifier(class_weight={0: 1.0, 1: 2.0, 2: 1.0}).fit(X, np.digitize(SIGNAL, [-1, 1])),
    "objects": lambda: classifier(n_seeds=2).fit(X, LABELS.astype(object)),
    "bools": lambda: classifier(DeepLSTMClassifier, label_smoothing=0.1).fit(X, SIGNAL > 0),
    "floats": lambda: classifier(class_weight="balanced").fit(X, np.where(SIGNAL > 0, 1.0, -1.0)),
    "many labels": lambda: classifier(class_weight=[{0: 1, 1: 2}, {0: 1, 1: 1}]).fit(
        X, np.c_[SIGNAL > 0, X[:, 0] > 1] * 1
    ),
    "labels in parts": lambda: twice(classifier(), X, LABELS, classes=["down", "level", "up"]),
    "carried labels": lambda: classifier(carry_context=True).fit(FRAME, LABELS),
    "pruned labels": lambda: prune(classifier(n_seeds=2).fit(X, LABELS), 0.3, threshold="matrix"),
    "selector": lambda: LSTMFeatureSelector(
        n_features_to_select=2, min_autocorrelation=0.0, max_noise_ratio=np.inf
    ).fit(X, Y),
    "named selector": lambda: LSTMFeatureSelector(0.5, min_autocorrelation=0.0, max_noise_ratio=1e9).fit(FRAME, Y),
    "ensemble": lambda: WeightedEnsembleRegressor(
        [("net", regressor()), ("none", "drop"), ("ridge", Ridge(alpha=0.1))], weights=(0.3, 0.0, 0.7)
    ).fit(X, Y),
    "learned weights": lambda: WeightedEnsembleRegressor(
        [("net", regressor(DeepLSTMRegressor)), ("line", make_pipeline(RobustScaler(), LinearRegression()))],
        weights="auto",
        cv=PurgedTimeSeriesSplit(3),
    ).fit(FRAME, Y),
    "ensemble of labels": lambda: WeightedEnsembleClassifier(
        [("net", classifier()), ("logit", LogisticRegression(C=0.5))], weights="inverse_loss", cv=TimeSeriesSplit(3)
    ).fit(X, LABELS),
    "dynamic weights": lambda: (
        WeightedEnsembleRegressor(
            [("net", regressor()), ("ridge", Ridge())], weights="dynamic", cv=2, error_score=np.nan
        )
        .fit(X[:60], Y[:60])
        .update(X[60:], Y[60:])
    ),
    "calibrated": lambda: WeightedEnsembleClassifier(
        [("net", classifier()), ("logit", LogisticRegression())], weights="dynamic", calibration="isotonic", cv=2
    ).fit(X, LABELS),
    "pipeline": lambda: make_pipeline(StandardScaler(), MinMaxScaler(), regressor(carry_context=True)).fit(FRAME, Y),
    "selecting pipeline": lambda: make_pipeline(
        StandardScaler(),
        LSTMFeatureSelector(2, min_autocorrelation=0.0, max_noise_ratio=1e9),
        classifier(),
    ).fit(X, LABELS),
}
GROUPED = {
    "groups": lambda: regressor().fit(X, Y, groups=GROUPS),
    "carried groups": lambda: regressor(carry_context=True).fit(X, Y, groups=GROUPS),
    "units": lambda: regressor(group_scaling="standard", group_weight="equal").fit(X, Y, groups=GROUPS),
    "units of a column": lambda: regressor(
        group_scaling="mean_absolute_difference", target_column=[0, 0], window_norm="last"
    ).fit(X, np.c_[X[:, 0], X[:, 0]], groups=GROUPS),
    "mixed labels": lambda: regressor(group_scaling="standard").fit(X, Y, groups=MIXED),
    "panel": lambda: classifier(carry_context=True).fit(PANEL, LABELS, groups=GROUPS),
}
SETS = {
    "sequences": lambda: regressor(cell="mingru").fit(ARRAY, ARRAY_Y),
    "steps": lambda: regressor(targets="sequence").fit(ARRAY, ARRAY[:, :, 0]),
    "labels of steps": lambda: classifier(targets="sequence").fit(ARRAY, ARRAY[:, :, 0] > 0),
    "ragged": lambda: classifier(pooling="mean").fit([one[: 2 + k % 5] for k, one in enumerate(ARRAY)], ARRAY_Y > 0),
    "collection": lambda: CollectionTransformer(make_pipeline(SimpleImputer(), PCA(2))).fit(ARRAY),
    "collection in a pipeline": lambda: make_pipeline(
        CollectionTransformer(StandardScaler()), CollectionTransformer(SELECTOR), regressor()
    ).fit(ARRAY, ARRAY_Y),
}
SELECTOR = LSTMFeatureSelector(2, min_autocorrelation=0.0, max_noise_ratio=np.inf)
MIXED = np.array(["b"] * 40 + [7] * 10 + [("c", 2)] * 0 + [2.5] * 40, object)
PANEL = FRAME.set_axis(FRAME.index[[*range(40), *range(10), *range(40)]])
MODELS = {**TABLE, **GROUPED, **SETS}


def twice_in_time(model):
    return model.partial_fit(FRAME[:45], Y[:45]).partial_fit(FRAME[45:], Y[45:])


def data_of(name):
    """Return X and keywords to ask the model of a name with."""
    if name in SETS:
        return ARRAY, {}
    groups = {"mixed labels": MIXED}.get(name, GROUPS) if name in GROUPED else None
    return (PANEL if name == "panel" else X), {} if groups is None else {"groups": groups}


def answers(name, model):
    """Return what all methods of a model say."""
    table, keywords = data_of(name)
    if hasattr(model, "feature_names_in_") or name == "pipeline":
        table = table if name == "panel" else FRAME.reset_index(drop=True)
    if name == "decoder":
        keywords = {"future": X[:3]}
    methods = ("predict", "predict_proba", "predict_log_proba", "predict_quantiles", "transform")
    return {
        method: getattr(model, method)(table, **({} if method == "transform" and name == "decoder" else keywords))
        for method in methods
        if hasattr(model, method)
    }


def assert_same(first, second, where="model"):
    """Raise unless two values have the same types and bits, objects the same attributes."""
    assert type(first) is type(second), (where, type(first), type(second))
    if isinstance(first, np.ndarray):
        assert first.dtype == second.dtype, (where, first.dtype, second.dtype)
        assert first.shape == second.shape, (where, first.shape, second.shape)
        if first.dtype.kind == "O":
            assert_same(first.tolist(), second.tolist(), where)
        else:
            assert first.tobytes() == second.tobytes(), where
    elif isinstance(first, np.generic):
        assert first.dtype == second.dtype, where
        assert first.tobytes() == second.tobytes(), where
    elif isinstance(first, float):
        assert np.float64(first).tobytes() == np.float64(second).tobytes(), where
    elif isinstance(first, dict):
        assert first.keys() == second.keys(), (where, first.keys() ^ second.keys())
        for key, value in first.items():
            assert_same(value, second[key], f"{where}[{key!r}]")
    elif isinstance(first, list | tuple):
        assert len(first) == len(second), where
        for k, (one, other) in enumerate(zip(first, second, strict=True)):
            assert_same(one, other, f"{where}[{k}]")
    elif isinstance(first, np.random.RandomState):
        assert_same(first.get_state(), second.get_state(), where)
    elif isinstance(first, pd.DataFrame):
        pd.testing.assert_frame_equal(first, second, check_exact=True)
    elif hasattr(first, "__dict__") and not isinstance(first, type):
        assert_same(vars(first), vars(second), where)
    else:
        assert first == second, where
