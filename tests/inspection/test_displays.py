"""Displays: what they hold, what their artists show, axes that are given, styles, errors."""

import builtins

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, Ridge

from sklstm import DeepRNNClassifier, DeepRNNRegressor, LSTMFeatureSelector, WeightedEnsembleRegressor
from sklstm.inspection import (
    AttentionDisplay,
    AttributionDisplay,
    FeatureScoreDisplay,
    ForecastDisplay,
    TrainingCurveDisplay,
    WeightHistoryDisplay,
    integrated_gradients,
    permutation_importance,
)

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 3)).cumsum(axis=0)
Y = X[:, 0] + 0.1 * RNG.normal(size=80)
HORIZON = np.lib.stride_tricks.sliding_window_view(X[1:, 0], 4)
SETTINGS = {"hidden_size": 4, "sequence_length": 5, "max_iter": 3, "random_state": 0, "n_jobs": 1}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def model():
    return DeepRNNRegressor(**SETTINGS, early_stopping=True, attention_heads=2, pooling="attention").fit(X, Y)


@pytest.fixture(scope="module")
def bands():
    return DeepRNNRegressor(**SETTINGS, loss="quantile", quantile=[0.05, 0.25, 0.5, 0.75, 0.95]).fit(X, Y)


@pytest.fixture(scope="module")
def horizon():
    options = {"loss": "quantile", "quantile": [0.1, 0.5, 0.9]}
    return DeepRNNRegressor(**SETTINGS, **options).fit(X[:76], HORIZON)


def texts(ax):
    legend = ax.get_legend()
    return [] if legend is None else [text.get_text() for text in legend.get_texts()]


def no_text_overlaps(figure):
    """Whether no two of the ticks' labels, the axis labels and the legend's texts lie on each other."""
    figure.canvas.draw()
    boxes = []
    for ax in figure.axes:
        found = [*ax.get_xticklabels(), *ax.get_yticklabels(), ax.xaxis.label, ax.yaxis.label]
        if ax.get_legend() is not None:
            found += ax.get_legend().get_texts()
        low, high = sorted(ax.get_xlim())
        shown = [t for t in found if t.get_text() and t.get_visible()]
        inside = [t for t in shown if t not in ax.get_xticklabels() or low - 1e-9 <= t.get_position()[0] <= high + 1e-9]
        boxes += [(t.get_text(), t.get_window_extent()) for t in inside]
    pairs = [(a, b) for k, (a, one) in enumerate(boxes) for b, two in boxes[k + 1 :] if one.overlaps(two)]
    return pairs == []


# Training curves


def test_training_curve(model):
    display = TrainingCurveDisplay.from_estimator(model, training_kwargs={"c": "red", "lw": 3})
    (training,), (validation,) = display.training_lines_, display.validation_lines_
    assert_array_equal(training.get_ydata(), model.loss_curve_)
    assert_array_equal(training.get_xdata(), [1, 2, 3])
    assert_array_equal(validation.get_ydata(), model.validation_loss_curve_)
    assert display.best_lines_[0].get_xdata()[0] == model.best_iteration_
    assert (training.get_color(), training.get_linewidth()) == ("red", 3)
    assert display.figure_ is display.ax_.figure
    assert texts(display.ax_) == ["Training part", "Validation part", "Kept"]
    assert display.ax_.get_ylabel() == "Half squared error\n(target in standard deviations)"
    assert no_text_overlaps(display.figure_)


def test_training_curves_of_several_networks_and_labels():
    regressor = DeepRNNRegressor(**SETTINGS, n_seeds=3, early_stopping=True).fit(X, Y)
    display = TrainingCurveDisplay.from_estimator(regressor)
    assert len(display.training_lines_) == len(display.validation_lines_) == 3
    assert_array_equal(display.training_lines_[2].get_ydata(), regressor.other_networks_[1]["loss_curve_"])
    classifier = DeepRNNClassifier(**SETTINGS, early_stopping=False).fit(X, Y > 0)
    display = TrainingCurveDisplay.from_estimator(classifier)
    assert (display.validation_loss, display.validation_lines_, display.best_lines_) == (None, [], [])
    assert display.ax_.get_ylabel() == "Log loss (nats)"


def test_curves_of_a_fit_that_went_on():
    model = DeepRNNRegressor(**SETTINGS, early_stopping=True, warm_start=True).fit(X, Y).fit(X, Y)
    display = TrainingCurveDisplay.from_estimator(model)
    assert_array_equal(display.training_lines_[0].get_xdata(), np.arange(1, 7))
    assert_array_equal(display.validation_lines_[0].get_xdata(), [4, 5, 6])


def test_losses_as_numbers():
    display = TrainingCurveDisplay.from_losses([3.0, 2.0, 1.0], [2.5, 2.0], best_iteration=2, loss_label="MAE (°C)")
    assert_array_equal(display.validation_lines_[0].get_xdata(), [2, 3])
    assert display.ax_.get_ylabel() == "MAE (°C)"
    with pytest.raises(ValueError, match="validation_loss has 2 epochs, expected at most the 1 of training_loss"):
        TrainingCurveDisplay.from_losses([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match=r"training_loss has shape \(\), expected \(n_epochs,\)"):
        TrainingCurveDisplay.from_losses(1.0)


# Forecasts


def test_forecast_of_rows(bands):
    display = ForecastDisplay.from_estimator(bands, X, Y, target_name="Load (MW)", band_kwargs={"alpha": 0.5})
    assert_array_equal(display.prediction_line_.get_ydata(), bands.predict(X))
    assert_array_equal(display.truth_line_.get_ydata(), Y)
    assert display.history_line_ is None
    quantiles = bands.predict_quantiles(X)
    for band, (low, high) in zip(display.bands_, ((0, 4), (1, 3)), strict=True):
        vertices = band.get_paths()[0].vertices
        assert_allclose(vertices[:, 1].min(), quantiles[:, low].min())
        assert_allclose(vertices[:, 1].max(), quantiles[:, high].max())
        assert band.get_alpha() == 0.5
    assert texts(display.ax_) == ["5 to 95 %", "25 to 75 %", "Truth", "Median"]
    # The inner band lies over the outer one, and is as dark in the legend.
    patches = display.ax_.get_legend().get_patches()
    assert_allclose([patch.get_facecolor()[3] for patch in patches], [0.5, 0.75])
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("Row", "Load (MW)")
    assert no_text_overlaps(display.figure_)


def test_forecast_of_a_horizon(horizon):
    display = ForecastDisplay.from_estimator(horizon, X[:76], HORIZON, row=50)
    assert_array_equal(display.prediction_line_.get_xdata(), [51, 52, 53, 54])
    assert_array_equal(display.prediction_line_.get_ydata(), horizon.predict(X[:76])[50])
    assert_array_equal(display.truth_line_.get_ydata(), X[51:55, 0])
    assert_array_equal(display.history_line_.get_xdata(), np.arange(43, 51))
    assert_array_equal(display.history_line_.get_ydata(), X[43:51, 0])
    assert len(display.bands_) == 1
    last = ForecastDisplay.from_estimator(horizon, X[:76], row=-1)
    assert_array_equal(last.times, [76, 77, 78, 79])
    assert (last.truth_line_, last.history_line_) == (None, None)
    first = ForecastDisplay.from_estimator(horizon, X[:76], HORIZON, row=0, n_history=3)
    assert first.history_line_ is None
    with pytest.raises(ValueError, match="output=None, expected the position of one of 4 targets; or choose a row"):
        ForecastDisplay.from_estimator(horizon, X[:76], HORIZON)
    assert_array_equal(ForecastDisplay.from_estimator(horizon, X[:76], HORIZON, output=1).y_true, HORIZON[:, 1])
    for wrong in (76, True, 1.5):
        with pytest.raises(ValueError, match="expected the number of one of the 76 rows of X"):
            ForecastDisplay.from_estimator(horizon, X[:76], HORIZON, row=wrong)


def test_forecast_of_several_targets_and_context():
    two = np.stack([HORIZON, -HORIZON], axis=2)
    model = DeepRNNRegressor(**SETTINGS).fit(X[:76], two)
    display = ForecastDisplay.from_estimator(model, X[60:76], two[60:], row=3, output=1, context=X[:60])
    assert_allclose(display.y_pred, model.predict(X[:76])[63, :, 1], rtol=1e-6)
    assert_array_equal(display.y_true, two[63, :, 1])
    with pytest.raises(ValueError, match=r"shape \(76, 4, 2\), those of a horizon: choose the row"):
        ForecastDisplay.from_estimator(model, X[:76], two)


def test_forecast_of_a_group():
    groups = np.repeat(["a", "b"], 40)
    model = DeepRNNRegressor(**SETTINGS).fit(X, Y, groups=groups)
    display = ForecastDisplay.from_estimator(model, X, Y, groups=groups, group="b")
    assert_array_equal(display.prediction_line_.get_xdata(), np.arange(40, 80))
    assert_array_equal(display.y_pred, model.predict(X, groups=groups)[40:])
    with pytest.raises(ValueError, match="group=None, expected the label of one of the 2 groups: 'a', 'b'"):
        ForecastDisplay.from_estimator(model, X, Y, groups=groups)
    with pytest.raises(ValueError, match="group='a' needs groups"):
        ForecastDisplay.from_estimator(model, X, Y, group="a")


def test_dates(horizon):
    pandas = pytest.importorskip("pandas")
    index = pandas.date_range("2020-01-01", periods=76, freq="h", name="Hour")
    frame = pandas.DataFrame(X[:76], index=index, columns=list("abc"))
    truth = pandas.Series(Y[:76], index=index, name="Temperature (°C)")
    model = DeepRNNRegressor(**SETTINGS).fit(frame, truth)
    display = ForecastDisplay.from_estimator(model, frame, truth)
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("Hour", "Temperature (°C)")
    assert_array_equal(display.times, index.to_numpy())
    ahead = ForecastDisplay.from_estimator(horizon, X[:76], HORIZON, row=75, times=index.to_numpy())
    assert_array_equal(ahead.times, index.to_numpy()[-1] + np.arange(1, 5) * np.timedelta64(1, "h"))
    assert no_text_overlaps(display.figure_)


@pytest.mark.parametrize("n", [1, 2, 5000])
@pytest.mark.parametrize("size", [(2.4, 2.2), (14, 3)])
def test_any_number_of_predictions_at_any_size(n, size):
    y = RNG.normal(size=n)
    _, ax = plt.subplots(figsize=size, layout="constrained")
    display = ForecastDisplay.from_predictions(
        y, y + 0.1, bands=np.stack([y - 1, y, y + 1], axis=1), quantiles=[0.1, 0.5, 0.9], ax=ax
    )
    assert display.ax_ is ax
    assert len(display.bands_) == (n > 1)
    assert no_text_overlaps(display.figure_)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"y_pred": [[1.0]]}, r"y_pred has shape \(1, 1\), expected \(n,\)"),
        ({"y_true": [1.0]}, r"y_true has shape \(1,\), expected \(2,\)"),
        ({"bands": [[1.0, 2.0]] * 2}, "bands and quantiles go together"),
        (
            {"bands": [[1.0, 2.0]] * 2, "quantiles": [0.9, 0.1]},
            r"quantiles=\[0.9, 0.1\], expected two or more that inc",
        ),
        ({"bands": [[1.0]] * 2, "quantiles": [0.1, 0.9]}, r"bands has shape \(2, 1\), expected \(2, 2\)"),
        ({"times": ["a", "b"]}, "times holds <U1, expected numbers or dates"),
        ({"history": [1.0], "times": [1, 2]}, "history_times is missing"),
        ({"history_times": [1]}, "history_times needs history"),
    ],
    ids=str,
)
def test_wrong_forecasts(options, message):
    arguments = {"y_true": [1.0, 2.0], "y_pred": [1.0, 2.0], **options}
    with pytest.raises(ValueError, match=message):
        ForecastDisplay.from_predictions(**arguments)


def test_what_has_no_forecast(model):
    with pytest.raises(TypeError, match="estimator is a DeepRNNClassifier, expected a regressor"):
        ForecastDisplay.from_estimator(DeepRNNClassifier(**SETTINGS).fit(X, Y > 0), X)
    with pytest.raises(ValueError, match="X is a set of sequences, which have no common time"):
        ForecastDisplay.from_estimator(model, X[np.newaxis])
    with pytest.raises(ValueError, match=r"y has shape \(3,\), but the predictions have shape \(80,\)"):
        ForecastDisplay.from_estimator(model, X, Y[:3])
    with pytest.raises(ValueError, match="row goes with targets of a horizon"):
        ForecastDisplay.from_estimator(model, X, Y, row=3)


# Attributions


def test_attributions_of_many_and_of_one(model):
    expected = integrated_gradients(model, X).attributions
    display = AttributionDisplay.from_estimator(model, X, unit_name="°C", feature_names=list("abc"))
    assert_allclose(display.attributions, expected)
    sizes = np.abs(expected).mean(axis=0)
    order = np.argsort(-sizes.sum(axis=0))
    assert_allclose(display.image_.get_array(), sizes.T[order])
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == [list("abc")[k] for k in order]
    assert display.colorbar_.ax.get_ylabel() == "Mean size of attribution (°C)"
    assert tuple(display.image_.get_extent()[:2]) == (-4.5, 0.5)
    assert no_text_overlaps(display.figure_)
    display.plot(sample=50, image_kwargs={"cmap": "RdBu"}, colorbar=False)
    limits = display.image_.get_clim()
    assert limits[0] == -limits[1] == -np.abs(expected[50]).max()
    assert (display.image_.get_cmap().name, display.colorbar_) == ("RdBu", None)
    display.plot(sample=50, kind="columns")
    widths = [bar.get_width() for bar in display.bars_]
    assert_allclose(np.sort(widths), np.sort(expected[50].sum(axis=0)))
    display.plot(sample=-1, kind="steps")
    assert_allclose([bar.get_height() for bar in display.bars_], expected[-1].sum(axis=1))
    display.plot(kind="columns")
    assert_allclose(display.values_, np.sort(np.abs(expected.sum(axis=1)).mean(axis=0))[::-1])


def test_attributions_of_classes_and_outputs(horizon):
    two = DeepRNNClassifier(**SETTINGS).fit(X, Y > 0)
    display = AttributionDisplay.from_estimator(two, X, samples=[70])
    assert_array_equal(display.attributions, integrated_gradients(two, X, samples=[70], output=1).attributions)
    with pytest.raises(ValueError, match=r"each answer of this DeepRNNRegressor has shape \(4,\): choose the number"):
        AttributionDisplay.from_estimator(horizon, X)
    display = AttributionDisplay.from_estimator(horizon, X, output=3, samples=[70], tol=0.5)
    assert display.attributions.shape == (1, 5, 3)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 60), (5000, 8, 2)])
@pytest.mark.parametrize("kind", ["heatmap", "columns", "steps"])
def test_attributions_of_any_size(shape, kind):
    names = [f"a long name of a column, the ${k}" for k in range(shape[2])]
    display = AttributionDisplay.from_attributions(
        RNG.normal(size=shape), feature_names=names, kind=kind, max_features=10
    )
    assert no_text_overlaps(display.figure_)
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    if kind == "columns" and shape[2] == 60:
        assert (len(labels), labels[-1]) == (11, "50 others (sum)")
    if kind == "heatmap" and shape[2] == 60:
        assert (len(labels), display.ax_.get_ylabel()) == (10, "Column (10 of 60)")


def test_wrong_attributions(model):
    numbers = np.ones((2, 3, 4))
    with pytest.raises(ValueError, match="kind='bars', expected one of"):
        AttributionDisplay.from_attributions(numbers, kind="bars")
    with pytest.raises(ValueError, match=r"attributions has shape \(4,\), expected \(n_samples, n_steps, n_features\)"):
        AttributionDisplay.from_attributions([1.0] * 4)
    with pytest.raises(ValueError, match="feature_names has 2 names, expected 4"):
        AttributionDisplay.from_attributions(numbers, feature_names=["a", "b"])
    with pytest.raises(ValueError, match="max_features=0, expected an integer of at least 1"):
        AttributionDisplay.from_attributions(numbers, max_features=0)
    display = AttributionDisplay.from_attributions(numbers)
    with pytest.raises(ValueError, match="sample=2, but there are 2 samples"):
        display.plot(sample=2)
    with pytest.raises(TypeError, match="image_kwargs must be a dict of keyword arguments for matplotlib, found str"):
        display.plot(image_kwargs="red")


# Scores of columns


def test_scores_of_a_selector():
    table = np.column_stack([X, RNG.normal(size=80), np.ones(80)])
    selector = LSTMFeatureSelector(2).fit(table, Y)
    display = FeatureScoreDisplay.from_estimator(selector, feature_names=list("abcde"))
    order = np.argsort(-selector.scores_, kind="stable")
    assert_allclose([bar.get_width() for bar in display.bars_], selector.scores_[order])
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == [list("abcde")[k] for k in order]
    colors = [bar.get_facecolor() for bar in display.bars_]
    assert [color == colors[0] for color in colors] == selector.support_[order].tolist()
    assert texts(display.ax_) == ["Kept", "Left out"]
    noise = FeatureScoreDisplay.from_estimator(selector, statistic="noise_ratio")
    assert noise.limit_line_.get_xdata()[0] == 5.0
    assert "constant" in [text.get_text() for text in noise.ax_.texts]
    assert no_text_overlaps(noise.figure_)
    with pytest.raises(ValueError, match="statistic='scores', expected one of"):
        FeatureScoreDisplay.from_estimator(selector, statistic="scores")


def test_importances_by_column_and_by_lag(model):
    result = permutation_importance(model, X, Y, n_repeats=2, random_state=0)
    display = FeatureScoreDisplay.from_importances(result, score_label="Loss of R²")
    assert_allclose([bar.get_width() for bar in display.bars_], np.sort(result.importances_mean)[::-1])
    assert display.ax_.get_xlabel() == "Loss of R²"
    by_lag = permutation_importance(model, X, Y, n_repeats=2, random_state=0, lag_blocks=[0, 1, 5])
    display = FeatureScoreDisplay.from_importances(by_lag)
    order = np.argsort(-by_lag.importances_mean.sum(axis=1))
    assert_allclose(display.image_.get_array(), by_lag.importances_mean[order])
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == ["0", "1–4"]
    with pytest.raises(TypeError, match="importances is a list, expected what permutation_importance returns"):
        FeatureScoreDisplay.from_importances([1.0])
    with pytest.raises(TypeError, match="estimator is a DeepRNNRegressor, expected a LSTMFeatureSelector"):
        FeatureScoreDisplay.from_estimator(model)


# Attention


def test_attention(model):
    weights = model.attention_weights(X)
    display = AttentionDisplay.from_estimator(model, X)
    assert list(display.weights) == ["Head 1", "Head 2", "Pooling"]
    assert_allclose(display.lines_[2].get_ydata()[-1], weights["pooling"][:, -1].mean(), rtol=1e-6)
    # The first step is there from the fifth row on.
    assert_allclose(display.lines_[0].get_ydata()[0], weights["heads"][4:, 0, 0].mean(), rtol=1e-6)
    assert (len(display.bands_), texts(display.ax_)) == (3, ["Head 1", "Head 2", "Pooling"])
    assert no_text_overlaps(display.figure_)
    one = AttentionDisplay.from_estimator(model, X, samples=[50], name="Pooling")
    assert (len(one.lines_), one.bands_) == (1, [])
    assert_allclose(one.lines_[0].get_ydata(), weights["pooling"][50], rtol=1e-6)
    image = AttentionDisplay.from_estimator(model, X, kind="samples", name="Head 2").image_
    assert_allclose(image.get_array()[4:], weights["heads"][4:, 1], rtol=1e-6)


def test_attention_as_numbers():
    display = AttentionDisplay.from_weights(np.full((5000, 4), 0.25), rows_per_step=24, kind="samples")
    assert display.ax_.get_xlabel() == "Time step (0 is the last step of 24 rows of the window)"
    assert no_text_overlaps(display.figure_)
    with pytest.raises(ValueError, match=r"weights\['Weight'\] has shape \(4,\)"):
        AttentionDisplay.from_weights([0.25] * 4)
    with pytest.raises(ValueError, match="weights have shapes"):
        AttentionDisplay.from_weights({"a": np.ones((1, 2)), "b": np.ones((2, 2))})
    with pytest.raises(ValueError, match="name='b', expected one of"):
        AttentionDisplay.from_weights({"a": np.ones((1, 2))}, name="b")
    with pytest.raises(ValueError, match="no attention weights: it needs attention_heads or pooling='attention'"):
        AttentionDisplay.from_estimator(DeepRNNRegressor(**SETTINGS).fit(X, Y), X)


# What they have in common


def displays(model):
    numbers = np.ones((2, 3))
    yield TrainingCurveDisplay, lambda **more: TrainingCurveDisplay.from_estimator(model, **more), "from_estimator"
    yield ForecastDisplay, lambda **more: ForecastDisplay.from_predictions(Y, Y, **more), "from_predictions"
    yield AttributionDisplay, lambda **more: AttributionDisplay.from_attributions(numbers, **more), "from_attributions"
    yield AttentionDisplay, lambda **more: AttentionDisplay.from_weights(numbers, **more), "from_weights"
    importances = permutation_importance(model, X, Y, n_repeats=1, random_state=0)
    from_importances = FeatureScoreDisplay.from_importances
    yield FeatureScoreDisplay, lambda **more: from_importances(importances, **more), "from_importances"


def test_axes_that_are_given(model):
    for kind, make, _ in displays(model):
        _, (left, right) = plt.subplots(1, 2)
        display = make(ax=right)
        assert isinstance(display, kind)
        assert display.ax_ is right
        assert display.figure_ is right.figure
        assert not left.has_data()
        again = display.plot(left)
        assert again is display
        assert display.ax_ is left
        display.plot()
        assert display.figure_ is not left.figure
        with pytest.raises(TypeError, match="ax must be one matplotlib Axes, found ndarray"):
            make(ax=np.array([left, right]))


def test_without_matplotlib(model, monkeypatch):
    makers = list(displays(model))
    import_module = builtins.__import__

    def absent(name, *arguments, **more):
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return import_module(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", absent)
    for kind, make, method in makers:
        with pytest.raises(ImportError, match=rf"{kind.__name__}\.{method} requires matplotlib. You can install"):
            make()
        with pytest.raises(ImportError, match=rf"{kind.__name__}\.plot requires matplotlib"):
            _made(kind).plot()


def _made(kind):
    numbers = np.ones((2, 3, 1))
    return {
        TrainingCurveDisplay: lambda: kind(training_loss=[[1.0]]),
        ForecastDisplay: lambda: kind(y_pred=np.ones(2)),
        AttributionDisplay: lambda: kind(attributions=numbers),
        AttentionDisplay: lambda: kind(weights={"a": np.ones((1, 2))}),
        FeatureScoreDisplay: lambda: kind(scores=np.ones(2)),
    }[kind]()


# Weights of ensembles


@pytest.fixture(scope="module")
def ensemble():
    members = [("line", LinearRegression()), ("mean", DummyRegressor()), ("ridge", Ridge(1e3))]
    found = WeightedEnsembleRegressor(members, weights="dynamic", cv=2).fit(X[:40], Y[:40])
    for row in range(40, 80, 2):
        found.update(X[row : row + 2], -Y[row : row + 2])
    return found


def heights(area, at):
    """Lower and upper end of an area at a time step."""
    vertices = area.get_paths()[0].vertices
    near = vertices[np.abs(vertices[:, 0] - at) < 1e-9, 1]
    return near.min(), near.max()


def test_weights_of_an_ensemble(ensemble):
    display = WeightHistoryDisplay.from_estimator(ensemble, area_kwargs={"alpha": 0.5})
    assert texts(display.ax_) == ["line", "mean", "ridge"]
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("Time step", "Weight")
    assert display.ax_.get_xlim() == (0, 40)
    assert_allclose(heights(display.areas_[0], 40)[1], ensemble.weights_[0], atol=0.2)
    tops = [area.get_paths()[0].vertices[:, 1].max() for area in display.areas_]
    assert_allclose(tops[-1], 1.0)
    assert display.areas_[0].get_alpha() == 0.5
    assert display.figure_ is display.ax_.figure
    assert no_text_overlaps(display.figure_)
    _, ax = plt.subplots()
    assert WeightHistoryDisplay.from_estimator(ensemble, ax=ax).ax_ is ax


def test_few_members_have_areas_of_their_own(ensemble):
    display = WeightHistoryDisplay.from_estimator(ensemble, most=1)
    first = ensemble.weight_history_.mean(axis=0).argmax()
    assert texts(display.ax_) == [["line", "mean", "ridge"][first], "2 others"]
    many = np.full((3, 12), 1 / 12)
    assert len(WeightHistoryDisplay(weights=many, steps=np.arange(3), names=range(12)).plot().areas_) == 8
    with pytest.raises(ValueError, match="most=0, expected an integer of at least 1"):
        WeightHistoryDisplay.from_estimator(ensemble, most=0)


def test_weights_that_forecasts_would_have_had():
    forecasts = np.column_stack([X[:, 0], X[:, 1], 0 * Y])
    display = WeightHistoryDisplay.from_predictions(Y, forecasts, names=["a", "b", "c"], half_life=10, max_change=0.1)
    members = [("a", FunctionOf(0)), ("b", FunctionOf(1)), ("c", FunctionOf(None))]
    model = WeightedEnsembleRegressor(
        members, weights="dynamic", half_life=10, max_change=0.1, initial_weights="equal"
    ).fit(X, Y)
    for row in range(80):
        model.update(X[row : row + 1], Y[row : row + 1])
    assert_array_equal(display.weights, model.weight_history_)
    assert texts(display.ax_) == ["a", "b", "c"]
    both = WeightHistoryDisplay.from_predictions(
        np.c_[Y, Y], np.repeat(forecasts[:, :, None], 2, axis=2), half_life=10, max_change=0.1
    )
    assert_allclose(both.weights, display.weights, rtol=1e-9)
    with pytest.raises(ValueError, match=r"y_pred has shape \(79, 3\), expected \(n_rows, n_members\)"):
        WeightHistoryDisplay.from_predictions(Y, forecasts[1:])
    with pytest.raises(ValueError, match="y_pred contains NaN"):
        WeightHistoryDisplay.from_predictions(Y, forecasts * np.nan)
    with pytest.raises(ValueError, match="loss='log_loss', expected one of"):
        WeightHistoryDisplay.from_predictions(Y, forecasts, loss="log_loss")
    with pytest.raises(ValueError, match="names has 2 names, expected 3"):
        WeightHistoryDisplay.from_predictions(Y, forecasts, names=["a", "b"])


class FunctionOf(RegressorMixin, BaseEstimator):
    """Predicts a column of X, or zero."""

    def __init__(self, column=None):
        self.column = column

    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.zeros(len(X)) if self.column is None else X[:, self.column]


def test_a_start_alone_and_what_is_no_dynamic_ensemble(ensemble):
    fresh = clone(ensemble).fit(X, Y)
    assert_allclose(heights(WeightHistoryDisplay.from_estimator(fresh).areas_[0], 1)[1], fresh.weights_[0])
    with pytest.raises(ValueError, match="fitted with weights=None: only weights='dynamic' have a history"):
        WeightHistoryDisplay.from_estimator(clone(ensemble).set_params(weights=None).fit(X, Y))
    with pytest.raises(NotFittedError):
        WeightHistoryDisplay.from_estimator(clone(ensemble))
    with pytest.raises(TypeError, match="ensemble must be a weighted ensemble, found Ridge"):
        WeightHistoryDisplay.from_estimator(Ridge())
