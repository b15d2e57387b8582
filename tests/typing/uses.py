"""Uses of everything public, for a type checker: `test_types.py` runs mypy --strict over it, and nobody runs it.

A line with ``type: ignore`` is one that must not pass; --strict tells of those that do.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import sklstm
from sklstm import (
    DeepLSTMClassifier,
    DeepLSTMRegressor,
    DeepRNNClassifier,
    DeepRNNRegressor,
    InconsistentVersionWarning,
    LSTMFeatureSelector,
    ModelFormatError,
    PerformanceWarning,
    QuantizationWarning,
    TimeOrderWarning,
    WeightedEnsembleClassifier,
    WeightedEnsembleRegressor,
    from_keras,
    from_torch,
    load_model,
    quantize,
    save_model,
    to_onnx,
    to_torch,
)
from sklstm.callbacks import Checkpoint, EpochRecord, LearningCurve, OptunaPruning, ProgressBar
from sklstm.cells import (
    GRU,
    LMU,
    LRU,
    LSTM,
    MGU,
    MLSTM,
    QRNN,
    RGLRU,
    RHN,
    RWKV,
    S4D,
    S5,
    SRU,
    CfC,
    Delta,
    Elman,
    ExpLSTM,
    IndRNN,
    LinearAttention,
    Mamba,
    MinGRU,
    MinLSTM,
    Retention,
    SecondOrder,
)
from sklstm.compression import distill, factorize, prune
from sklstm.datasets import load_etth1
from sklstm.inspection import (
    AttentionDisplay,
    AttributionDisplay,
    FeatureScoreDisplay,
    ForecastDisplay,
    OnlineHistoryDisplay,
    TrainingCurveDisplay,
    WeightHistoryDisplay,
    input_gradients,
    integrated_gradients,
    permutation_importance,
)
from sklstm.model_selection import PanelTimeSeriesSplit, PurgedTimeSeriesSplit, make_horizon
from sklstm.online import OnlineLearner, PageHinkley, Rollout
from sklstm.preprocessing import CollectionTransformer
from sklstm.streaming import PipelineStream, Stream, stream

Numbers = NDArray[np.float64]
assert_type(sklstm.__version__, str)


def data() -> tuple[Numbers, Numbers]:
    bunch = load_etth1()
    print(bunch.feature_names)
    pair = load_etth1(return_X_y=True)
    assert_type(pair, tuple[Numbers, Numbers])
    return pair


def regressors() -> DeepRNNRegressor:
    X, y = data()
    model = DeepLSTMRegressor(16, 2, learning_rate="cosine", max_grad_norm=None, batch_size=32, random_state=0)
    assert_type(model.fit(X[:100], y[:100], groups=[0] * 100, X_val=X[100:], y_val=y[100:]), DeepLSTMRegressor)
    assert_type(model.predict(X, context=X[:3]), Numbers)
    assert_type(model.score(X, y), float)
    assert_type(model.partial_fit(X, y, sample_weight=np.ones(len(y))), DeepLSTMRegressor)
    assert_type(model.set_params(hidden_size=3), DeepLSTMRegressor)
    assert_type(model.n_iter_, int)
    assert_type(model.loss_curve_, list[float])
    assert_type(model.validation_scores_, list[float] | None)
    assert_type(model.input_mean_, Numbers)
    print({name: array.shape for name, array in model.parameters_.items()}, model.target_mean_, model.transform(X))
    several = DeepRNNRegressor(
        [32, 16], dtype="bfloat16", loss="quantile", quantile=[0.1, 0.5, 0.9], target_column=["a", "b"]
    )
    assert_type(several.fit([X, X], [1.0, 2.0]).predict_quantiles(X), Numbers)
    print(several.attention_weights(X)["heads"].shape)
    assert_type(DeepLSTMRegressor(targets="sequence").fit([X, X], [y, y]), DeepLSTMRegressor)
    return several


def cells() -> list[DeepRNNRegressor | DeepRNNClassifier]:
    kinds = [GRU(reset_after=False), Elman(activation="relu"), MGU(), Delta(), MinGRU(candidate="tanh"), MinLSTM()]
    models: list[DeepRNNRegressor | DeepRNNClassifier] = [DeepRNNRegressor(cell=cell) for cell in kinds]
    models.append(DeepRNNRegressor(cell=IndRNN(activation="tanh")))
    models.append(DeepRNNClassifier(cell="indrnn"))
    models.append(DeepRNNRegressor(cell=SecondOrder(layer_norm=True)))
    models.append(DeepRNNClassifier(cell="second_order"))
    models.append(DeepRNNRegressor(cell=CfC(time_column="gap", backbone=False)))
    models.append(DeepRNNClassifier(cell="cfc"))
    models.append(DeepRNNRegressor(cell=MLSTM()))
    models.append(DeepRNNClassifier(cell="mlstm"))
    models.append(DeepRNNRegressor(cell=IndRNN(recurrent_bound=1.0, long_memory=True)))
    models.append(DeepRNNRegressor(cell=SRU(layer_norm=True)))

    models.append(DeepRNNRegressor(cell=RHN(depth=3)))
    models.append(DeepRNNClassifier(cell="rhn"))
    models += [
        DeepRNNRegressor(cell=cell)
        for cell in (S4D(init="inv"), S5(discretization="bilinear"), LRU(r_min=0.5), LMU(order=4))
    ]
    models += [DeepRNNRegressor(cell=cell) for cell in (Mamba(dt_rank=1), RWKV(), Retention(rotary=False))]
    models.append(DeepRNNClassifier(cell=LinearAttention(head_size=8)))
    models.append(DeepRNNClassifier(cell=RGLRU(projection_size=4, convolution=True)))
    models.append(DeepRNNRegressor(cell=QRNN(pooling="ifo", window=3)))
    models.append(DeepRNNClassifier(cell=ExpLSTM()))
    models.append(DeepRNNRegressor(cell=Elman(activation="silu")))
    models.append(DeepLSTMClassifier(cell=LSTM(peephole=True, projection_size=8, layer_norm=True)))
    return models


def classifiers() -> DeepRNNClassifier:
    X, y = data()
    labels = ["up" if value > 0 else "down" for value in y]
    model = DeepLSTMClassifier(class_weight={"up": 2.0}, label_smoothing=0.1, training="stateful", shuffle=False)
    assert_type(model.fit(X, labels), DeepLSTMClassifier)
    assert_type(model.partial_fit(X, labels, classes=["down", "up"]), DeepLSTMClassifier)
    assert_type(model.predict_proba(X), Numbers)
    assert_type(model.predict_log_proba(X), Numbers)
    assert_type(model.score(X, labels), float)
    print(model.predict(X).tolist(), model.classes_.tolist())
    return model


def streams() -> None:
    X, y = data()
    model = DeepLSTMRegressor().fit(X, y)
    rows = model.stream(n_streams=2, context=X[:10], response_method="transform")
    assert_type(rows, Stream)
    assert_type(rows.step(X[:2]), Any)
    saved = rows.state
    assert_type(saved, dict[str, NDArray[Any]])
    rows.state = saved
    assert_type(rows.reset([0]), Stream)
    assert_type(stream(model, window=True), Stream | PipelineStream)


def ensembles_and_selection() -> None:
    X, y = data()
    members = [("lstm", DeepLSTMRegressor()), ("gru", DeepRNNRegressor(cell="gru"))]
    ensemble = WeightedEnsembleRegressor(members, weights="auto", n_jobs=2).fit(X, y)
    assert_type(ensemble, WeightedEnsembleRegressor)
    assert_type(ensemble.weights_, Numbers)
    assert_type(ensemble.score(X, y, groups=[0] * len(y)), float)
    WeightedEnsembleRegressor(members, weights="inverse_loss", weights_loss=lambda *_, **weights: 1.0, shrinkage=0.1)
    assert_type(WeightedEnsembleRegressor(members, weights="equal", weights_loss="absolute_error").shrinkage_, float)
    votes = WeightedEnsembleClassifier([("lstm", DeepLSTMClassifier())], weights=[1.0]).fit(X, y > 0)
    assert_type(votes.predict_proba(X), Numbers)
    live = WeightedEnsembleRegressor(members, weights="dynamic", update_rule="best", select=1, error_score=0.0).fit(
        X, y
    )
    assert_type(live.update(X, y), WeightedEnsembleRegressor)
    assert_type(live.weight_history_, Numbers)
    assert_type(WeightHistoryDisplay.from_estimator(live), WeightHistoryDisplay)
    WeightedEnsembleClassifier([("lstm", DeepLSTMClassifier())], calibration="sigmoid", min_weight="auto")
    WeightedEnsembleClassifier([("lstm", DeepLSTMClassifier())], update_rule="worst")  # type: ignore[arg-type]
    selector = LSTMFeatureSelector(0.5, max_lag=8, target_type="continuous").fit(X, y, sample_weight=np.ones(len(y)))
    assert_type(selector, LSTMFeatureSelector)
    assert_type(selector.support_, NDArray[np.bool_])
    print(selector.transform([X, X]), issubclass(TimeOrderWarning, UserWarning))
    print(issubclass(PerformanceWarning, UserWarning))
    scaler = CollectionTransformer(selector).fit([X, X], [1.0, 2.0], sample_weight=[1.0, 2.0])
    assert_type(scaler.set_output(transform="pandas"), CollectionTransformer)
    print(scaler.transform([X, X])[0], scaler.get_feature_names_out())


def splits() -> None:
    X, y = data()
    rows, targets = make_horizon(y, 24, gap=1, groups=[0] * len(y))
    assert_type(rows, NDArray[np.bool_])
    for train, test in PurgedTimeSeriesSplit(3, horizon=25, gap=47, max_train_size=1000, train="before").split(X[rows]):
        assert_type(train, NDArray[np.intp])
        print(targets[test])
    panel = PanelTimeSeriesSplit(times="day", gap=np.timedelta64(1, "D"), test_size=timedelta(days=7), embargo=3)
    assert_type(panel.get_n_splits(X, y), int)
    next(panel.split(X, y, [0] * len(y)))


def compression() -> None:
    X, y = data()
    model = DeepLSTMRegressor().fit(X, y)
    assert_type(prune(model, 0.9, threshold="matrix"), DeepLSTMRegressor)
    assert_type(prune(model, 0.9).sparsity_, float)
    smaller = factorize(model, 8)
    assert_type(smaller, DeepLSTMRegressor)
    assert_type(smaller.factorization_error_, Numbers)
    assert_type(smaller.operations_saved_, float)
    student = distill(model, DeepRNNClassifier(4), X, y, temperature=4, alpha=0.1, groups=[0] * len(y))
    assert_type(student, DeepRNNClassifier)
    assert_type(sklstm.compression.distill(model, DeepLSTMRegressor(4), [X, X], X_val=[X]), DeepLSTMRegressor)


def integers() -> None:
    X, y = data()
    quantised = quantize(DeepLSTMRegressor().fit(X, y), X, "int16", groups=[0] * len(y), max_error=0.01)
    assert_type(quantised, DeepLSTMRegressor)
    assert_type(quantised.quantization_error_, float)
    assert_type(quantised.quantization_dtype_, str)
    assert_type(quantize(DeepRNNClassifier(), [X, X]), DeepRNNClassifier)
    print(issubclass(QuantizationWarning, UserWarning))


def files() -> None:
    X, y = data()
    save_model(DeepLSTMRegressor().fit(X, y), "model")
    model: DeepRNNClassifier = load_model(Path("model"))
    assert_type(model.predict_proba(X), Numbers)
    transformer: CollectionTransformer = load_model("model")
    assert_type(transformer.n_features_in_, int)
    sklstm.persistence.save_model(model, Path("model") / "again")
    print(issubclass(ModelFormatError, ValueError), issubclass(InconsistentVersionWarning, UserWarning))


def exchange() -> None:
    X, y = data()
    state = to_torch(DeepLSTMRegressor().fit(X, y), head="out")
    assert_type(state, dict[str, NDArray[Any]])
    assert_type(from_torch(state, estimator=DeepLSTMRegressor(), input_mean=0.0, target_scale=y), DeepLSTMRegressor)
    assert_type(from_torch(state, state, estimator=DeepRNNClassifier(), classes=["a", "b"]), DeepRNNClassifier)
    assert_type(from_keras([object()], estimator=DeepRNNClassifier(), multilabel=True), DeepRNNClassifier)
    to_onnx(DeepLSTMRegressor().fit(X, y), sequence_lens=True, dtype="float64").SerializeToString()
    for name, array in sklstm.exchange.to_torch(DeepRNNClassifier()).items():
        assert_type(name, str)
        print(array.dtype)


def pictures() -> None:
    X, y = data()
    model = DeepLSTMRegressor().fit(X, y)
    events = {"kind": ["loss"], "row": [1], "loss": [1.0]}
    assert_type(OnlineHistoryDisplay.from_history(events, event_kwargs={"lw": 2}).plot(), OnlineHistoryDisplay)
    curve = TrainingCurveDisplay.from_estimator(model, training_kwargs={"color": "black"})
    assert_type(curve, TrainingCurveDisplay)
    assert_type(TrainingCurveDisplay.from_losses([1.0, 0.5], [1.1], best_iteration=1).plot(), TrainingCurveDisplay)
    print(curve.figure_.axes, curve.ax_)
    forecast = ForecastDisplay.from_estimator(model, X, y, row=3, context=X[:5], group="a", times=range(len(y)))
    assert_type(forecast, ForecastDisplay)
    assert_type(ForecastDisplay.from_predictions(y, y, bands=[y, y], quantiles=[0.1, 0.9]), ForecastDisplay)
    assert_type(AttributionDisplay.from_estimator(model, X, output=(0, 1), kind="steps"), AttributionDisplay)
    assert_type(AttributionDisplay.from_attributions(X, feature_names=["a", "b"]).plot(sample=0), AttributionDisplay)
    assert_type(AttentionDisplay.from_estimator(model, [X, X], kind="samples", samples=[1]), AttentionDisplay)
    assert_type(AttentionDisplay.from_weights({"pooling": X}, rows_per_step=4).plot(colorbar=False), AttentionDisplay)
    importances = permutation_importance(model, X, y, scoring=lambda *_: 1.0, lag_blocks=[0, 1, 8], random_state=0)
    assert_type(FeatureScoreDisplay.from_importances(importances, score_label="s"), FeatureScoreDisplay)
    assert_type(FeatureScoreDisplay.from_estimator(LSTMFeatureSelector(), statistic="noise_ratio"), FeatureScoreDisplay)


def explanations() -> None:
    X, y = data()
    model = DeepRNNClassifier().fit(X, y > 0)
    assert_type(input_gradients(model, X, output=1, response_method="predict_proba", samples=[0]), Numbers)
    found = integrated_gradients(model, X, baseline=X[0], tol=1e-3, max_points=64, groups=[0] * len(y))
    print(found.attributions, found.baseline_predictions)


def callbacks() -> None:
    X, y = data()
    curve = LearningCurve()
    network = DeepLSTMRegressor().set_callbacks(curve, Checkpoint("net.npz", every=2), ProgressBar())
    assert_type(network, DeepLSTMRegressor)
    assert_type(network.fit(X, y), DeepLSTMRegressor)
    assert_type(LSTMFeatureSelector().set_callbacks(), LSTMFeatureSelector)
    assert_type(curve.curves, list[dict[str, Any]])
    DeepRNNClassifier().set_callbacks(OptunaPruning(None, "loss"))
    record = EpochRecord(1, 5, 0.5, 1.0, None, None, True, False, 1e-3, 100, 0.1, 0, 1)
    assert_type(record.number, int)
    assert_type(record.validation_loss, float | None)
    assert_type(record.is_best, bool)
    DeepRNNClassifier().set_callbacks(print)  # type: ignore[arg-type]
    OptunaPruning(None, "accuracy")  # type: ignore[arg-type]
    Checkpoint(3)  # type: ignore[arg-type]
    Checkpoint("net.npz", 2)  # type: ignore[call-arg]
    LearningCurve("net.csv")  # type: ignore[call-arg]


def learning_online() -> None:
    X, y = data()
    learner = OnlineLearner(DeepLSTMRegressor(), update_every=None, path=Path("run"), rollout=Rollout((0.1, 1.0)))
    assert_type(learner.fit(X, y), OnlineLearner)
    assert_type(learner.partial_fit(X, y).learn_many(X, y), OnlineLearner)
    assert_type(learner.predict(X), NDArray[Any])
    assert_type(learner.n_rows_seen_, int)
    assert_type(learner.history_, dict[str, NDArray[Any]])
    assert_type(learner.metrics(), dict[str, Any])
    assert_type(OnlineLearner.resume("run", trust=True), OnlineLearner)
    learner.learn_one({"a": 1.0}, 2.0, key="row", time=timedelta(1))
    PageHinkley(threshold=20.0).update(1.0)
    OnlineLearner(DeepLSTMRegressor(), refit="thread")  # type: ignore[arg-type]
    OnlineLearner(DeepLSTMRegressor(), 100)  # type: ignore[call-arg]


def mistakes() -> None:
    """Without types of scikit-learn, mypy takes unknown keywords of a constructor for arguments of its base class."""
    X, y = data()
    sklstm.DeepGRURegressor()  # type: ignore[attr-defined]
    DeepRNNRegressor(cell="LSTM")  # type: ignore[arg-type]
    DeepLSTMRegressor(cell="gru")  # type: ignore[arg-type]
    DeepLSTMRegressor(hidden_size="large")  # type: ignore[arg-type]
    DeepRNNRegressor(loss="log_loss")  # type: ignore[arg-type]
    DeepRNNRegressor(training="stream")  # type: ignore[arg-type]
    DeepRNNClassifier(label_smoothing=None)  # type: ignore[arg-type]
    DeepRNNRegressor().fit(X)  # type: ignore[call-arg]
    DeepRNNRegressor().fit(X, y, None)  # type: ignore[call-arg]
    DeepRNNRegressor().predict(X, group=y)  # type: ignore[call-arg]
    DeepRNNRegressor().stream(response_method="score")  # type: ignore[arg-type]
    Elman(activation="sigmoid")  # type: ignore[arg-type]
    LSTMFeatureSelector(target_type="numbers")  # type: ignore[arg-type]
    LSTMFeatureSelector(n_features=3)  # type: ignore[call-arg]
    prune(DeepRNNRegressor(), 0.5, threshold="layer")  # type: ignore[arg-type]
    quantize(DeepRNNRegressor(), X, "int4")  # type: ignore[arg-type]
    save_model(DeepRNNRegressor(), b"model")  # type: ignore[arg-type]
    load_model()  # type: ignore[call-arg]
    AttentionDisplay.from_weights(X, kind="median")  # type: ignore[arg-type]
    AttributionDisplay.from_attributions(X, kind="bars")  # type: ignore[arg-type]
    FeatureScoreDisplay.from_estimator(LSTMFeatureSelector(), statistic="trend")  # type: ignore[arg-type]
    TrainingCurveDisplay.from_losses()  # type: ignore[call-arg]
    ForecastDisplay.from_predictions(y)  # type: ignore[call-arg]
    input_gradients(DeepRNNRegressor(), X, response_method="transform")  # type: ignore[arg-type]
    permutation_importance(DeepRNNRegressor(), X)  # type: ignore[call-arg]
    to_onnx(DeepRNNRegressor(), dtype="float16")  # type: ignore[arg-type]
    from_torch({}, {}, DeepRNNRegressor())  # type: ignore[call-arg]
    WeightedEnsembleRegressor([("a", DeepRNNRegressor())], n_jobs="all")  # type: ignore[arg-type]
