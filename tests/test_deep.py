"""Layers of different sizes, residual sums and layer normalisation, through the estimators."""

import pickle

import numpy as np
import pytest
from estimator_case import as_read, with_parameters
from numpy.testing import assert_allclose
from reference.layer_output import deep_forward
from reference.lstm import table_windows
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 3))
Y = X[:, 0] + np.roll(X[:, 1], 1)
OPTIONS = [
    {"hidden_size": [9, 4, 6]},
    {"n_layers": 3, "residual": 2},
    {"n_layers": 5, "residual": 2, "norm": "layer"},
    {"n_layers": 2, "residual": 1},
    {"norm": "layer"},
    {"hidden_size": (8, 5, 8), "residual": 2, "norm": "layer"},
    {"n_layers": 2, "residual": 1, "norm": "rms"},
    {"n_layers": 2, "residual": 1, "output_gate": "silu"},
    {"n_layers": 4, "residual": 1, "norm": "rms", "norm_first": True},
    {"n_layers": 3, "residual": 2, "norm": "layer", "norm_first": True, "feedforward": "swiglu"},
    {"feedforward": "swiglu", "feedforward_expansion": 1.2},
    {"hidden_size": (5, 9), "norm": "layer", "feedforward": "swiglu"},
]
each_option = pytest.mark.parametrize("options", OPTIONS, ids=str)


def make(kind=DeepLSTMRegressor, **options):
    options = {"hidden_size": 7, "max_iter": 2, "sequence_length": 6, "random_state": 0} | options
    return kind(**options)


def shape_of(options):
    names = {"residual": "residual", "norm_first": "norm_first", "output_gate": "gate"}
    return {names[name]: value for name, value in options.items() if name in names}


@each_option
@pytest.mark.parametrize("kind", [DeepLSTMRegressor, DeepLSTMClassifier])
def test_prediction_is_that_of_the_equations(kind, options):
    model = make(kind, dtype="float64", **options).fit(X, Y if kind is DeepLSTMRegressor else Y > 0)
    exact = deep_forward(model.parameters_, table_windows(as_read(model, X), 6), **shape_of(options))
    z = exact.z[:, 0]
    found = model.predict(X) if kind is DeepLSTMRegressor else model.predict_proba(X)[:, 1]
    expected = model.target_mean_ + model.target_scale_ * z if kind is DeepLSTMRegressor else 1 / (1 + np.exp(-z))
    assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    assert_allclose(model.transform(X), [y[-1] for y in exact.hidden], rtol=1e-10, atol=1e-12)


@pytest.mark.isa
@each_option
@pytest.mark.parametrize("window", [False, True])
def test_streams_answer_as_predict_does(options, window):
    model = make(**options).fit(X, Y)
    stream, several = model.stream(window=window), model.stream(n_streams=3, window=window)
    for t in range(12):
        expected = model.predict(X[: t + 1])[-1] if window else model.predict(X[np.newaxis, : t + 1])[0]
        assert stream.step(X[t]) == expected
        assert (several.step(X[[t, t, t]]) == expected).all()
    again = pickle.loads(pickle.dumps(stream))
    assert again.step(X[50]) == stream.step(X[50])


@each_option
def test_threads_pickles_and_rows_alone(options):
    several = "n_layers" in options or np.ndim(options.get("hidden_size", 8))
    one, two = (make(n_jobs=n, dropout=0.2 if several else 0.0, **options).fit(X, Y) for n in (1, 2))
    assert all((one.parameters_[name] == two.parameters_[name]).all() for name in one.parameters_)
    assert (pickle.loads(pickle.dumps(one)).predict(X) == one.predict(X)).all()
    assert one.predict(X[40:46])[-1] == one.predict(X)[45]


def test_training_goes_on(tmp_path):
    model = make(n_layers=3, residual=2, norm="layer", warm_start=True).fit(X, Y)
    before = model.loss_
    model.set_params(max_iter=10).fit(X, Y)
    assert (model.loss_ < before, model.n_iter_) == (True, 12)
    with pytest.raises(ValueError, match=r"residual=1, not residual=2\. Set warm_start=False, or"):
        model.set_params(residual=1).fit(X, Y)
    with pytest.raises(ValueError, match=r"norm=None, not norm='layer'\..* set norm back"):
        model.set_params(residual=2, norm=None).fit(X, Y)
    # What it predicts is what was trained.
    expected = model.set_params(norm="layer").predict(X)
    assert (model.set_params(residual=0, norm=None, hidden_size=3).predict(X) == expected).all()


def test_options_do_something():
    plain = make(n_layers=3).fit(X, Y).predict(X)
    for options in ({"residual": 1}, {"residual": 2}, {"norm": "layer"}, {"norm": "rms"}, {"hidden_size": [7, 7, 8]}):
        assert np.abs(make(n_layers=3, **options).fit(X, Y).predict(X) - plain).max() > 1e-3
    # Nothing is three layers below the first three.
    with pytest.warns(UserWarning, match="residual=3 has no effect on 3 layers .*: it needs 4 or more"):
        assert (make(n_layers=3, residual=3).fit(X, Y).predict(X) == plain).all()
    with pytest.warns(UserWarning, match="dropout=0.5 has no effect on 1 layer .*: it needs 2 or more") as caught:
        make(dropout=0.5).fit(X, Y)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("norm", ["layer", "rms"])
def test_norm_makes_rows_of_one_size(norm, norm_first):
    """At the start the gain is 1 and the bias 0: mean 0, mean square 1."""
    options = {"norm": norm, "norm_first": norm_first, "learning_rate_init": 1e-12, "dtype": "float64"}
    hidden = make(**options, max_iter=1).fit(X, Y).transform(X)
    if norm == "layer":
        assert_allclose(hidden.mean(axis=1), 0.0, atol=1e-10)
    else:
        assert np.abs(hidden.mean(axis=1)).max() > 0.01
    # The epsilon under the root shows where all units are small.
    assert (np.abs((hidden**2).mean(axis=1) - 1.0) < 0.05).all()


def test_feedforward_adds_gated_units():
    """So many units for each output, rounded up; where they add nothing, the network is the one without them."""
    model = make(hidden_size=6, feedforward="swiglu", dtype="float64").fit(X, Y)
    shapes = {name: array.shape for name, array in model.parameters_.items() if "feedforward" in name}
    block = {"weight_feedforward_in_l0": (32, 6), "weight_feedforward_out_l0": (6, 16)}
    assert shapes == {"norm_weight_feedforward_l0": (6,), **block}
    wider = make(hidden_size=6, norm="layer", feedforward="swiglu", feedforward_expansion=1.1, max_iter=1).fit(X, Y)
    assert wider.parameters_["weight_feedforward_out_l0"].shape == (6, 7)
    assert wider.parameters_["norm_bias_feedforward_l0"].shape == (6,)
    y = model.transform(X)
    without = make(hidden_size=6, dtype="float64").fit(X, Y)
    plain = with_parameters(without, {name: model.parameters_[name] for name in without.parameters_}).transform(X)
    w = model.parameters_
    n = w["norm_weight_feedforward_l0"] * plain / np.sqrt((plain**2).mean(axis=1, keepdims=True) + 1e-5)
    a, b = np.split(n @ w["weight_feedforward_in_l0"].T, 2, axis=1)
    assert_allclose(y, plain + (a / (1 + np.exp(-a)) * b) @ w["weight_feedforward_out_l0"].T, rtol=1e-10, atol=1e-12)
    assert np.abs(y - plain).max() > 0.1


@pytest.mark.parametrize(
    "options", [{"output_gate": "silu"}, {"output_gate": "softmax"}, {"output_gate": "softmax", "compete_groups": 3}]
)
def test_output_gates(options):
    """The hidden states are those of the network without a gate, times it."""
    model = make(hidden_size=6, sequence_length=1, dtype="float64", **options).fit(X, Y)
    without = make(hidden_size=6, sequence_length=1, dtype="float64").fit(X, Y)
    plain = with_parameters(without, {name: model.parameters_[name] for name in without.parameters_}).transform(X)
    a = as_read(model, X) @ model.parameters_["weight_gate_l0"].T
    if options["output_gate"] == "silu":
        gate = a / (1 + np.exp(-a))
    else:
        groups = np.split(a, options.get("compete_groups", 1), axis=1)
        gate = np.hstack([len(g[0]) * np.exp(g) / np.exp(g).sum(axis=1, keepdims=True) for g in groups])
    assert_allclose(model.transform(X), plain * gate, rtol=1e-10, atol=1e-12)
    assert np.abs(gate - 1).max() > 0.5


def test_groups_of_no_softmax_say_so():
    with pytest.warns(UserWarning, match="compete_groups=7 has no effect with output_gate='silu': set output_gate="):
        make(output_gate="silu", compete_groups=7, max_iter=1).fit(X, Y)
    message = r"compete_groups=2 must divide the outputs of every layer, but hidden_size=\[6, 7\] gives one 7"
    with pytest.raises(ValueError, match=message):
        make(hidden_size=[6, 7], output_gate="softmax", compete_groups=2).fit(X, Y)


def test_norm_first_without_a_norm_says_so():
    with pytest.warns(UserWarning, match="norm_first=True has no effect with norm=None: set norm='layer'"):
        model = make(n_layers=2, residual=1, norm_first=True, max_iter=1).fit(X, Y)
    assert (model.predict(X) == make(n_layers=2, residual=1, max_iter=1).fit(X, Y).predict(X)).all()


def test_norm_first_changes_sums_alone():
    """Without residual connections or blocks each layer is read normalised either way."""
    options = {"n_layers": 2, "norm": "rms"}
    first, last = (make(**options, norm_first=value).fit(X, Y) for value in (True, False))
    assert (first.predict(X) == last.predict(X)).all()
    first, last = (make(**options, residual=1, norm_first=value).fit(X, Y) for value in (True, False))
    assert np.abs(first.predict(X) - last.predict(X)).max() > 1e-3


@pytest.mark.parametrize("before", ["output", None])
def test_pickles_of_earlier_versions(before):
    """`layer_norm="output"` was what norm="layer" is."""
    model = make(norm="layer" if before else None, n_seeds=2).fit(X, Y)
    state = dict(model.__getstate__())
    for name in ("norm", "norm_first", "feedforward", "feedforward_expansion", "output_gate", "compete_groups"):
        del state[name]
    added = ("norm", "norm_first", "feedforward", "output_gate", "compete_groups", "cell_numbers", "time_column")
    architecture = {name: value for name, value in state["_architecture"].items() if name not in added}
    state |= {"layer_norm": before, "_architecture": {**architecture, "layer_norm": before}}
    old = DeepLSTMRegressor.__new__(DeepLSTMRegressor)
    old.__setstate__(state)
    assert (old.predict(X) == model.predict(X)).all()
    assert old.get_params() == model.get_params()
    assert (old.set_params(warm_start=True).fit(X, Y).predict(X) != model.predict(X)).any()
    again = pickle.loads(pickle.dumps(old))
    assert (again.predict(X) == old.predict(X)).all()


def test_grid_search():
    grid = {"hidden_size": [4, (6, 4)], "norm": [None, "layer", "rms"]}
    search = GridSearchCV(make(max_iter=1), grid, cv=TimeSeriesSplit(2), error_score="raise").fit(X, Y)
    assert len(search.cv_results_["params"]) == 6
    search = GridSearchCV(make(max_iter=1, n_layers=3), {"residual": [0, 1, 2]}, cv=TimeSeriesSplit(2)).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_size": []}, r"hidden_size must be an integer of at least 1, or a sequence of such, found \[\]"),
        ({"hidden_size": [4, 0]}, r"hidden_size must be .*, found \[4, 0\]"),
        ({"hidden_size": [4.5]}, "hidden_size must be"),
        ({"hidden_size": [[4]]}, "hidden_size must be"),
        ({"hidden_size": [4, 5], "n_layers": 3}, r"hidden_size=\[4, 5\] describes 2 layers, but n_layers=3"),
        ({"residual": -1}, "The 'residual' parameter"),
        ({"norm": "output"}, "The 'norm' parameter"),
        ({"feedforward": "swiglu", "feedforward_expansion": 0}, "The 'feedforward_expansion' parameter"),
    ],
)
def test_what_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options).fit(X, Y)


def test_a_gate_that_reads_zeros_is_refused():
    """The last row of a window is zero behind its norm: a network that reads its output there would say nothing."""
    with pytest.raises(ValueError, match="output_gate='silu' cannot be combined with window_norm='last' and pooling"):
        make(output_gate="silu", window_norm="last", target_column=0).fit(X, Y)
    for other in ({"pooling": "mean"}, {"patch_length": 2}, {"known_columns": [1]}, {"window_norm": "standard"}):
        gated = {"output_gate": "silu", "window_norm": "last", "target_column": 0, "max_iter": 1}
        model = make(**{**gated, **other}).fit(X, Y)
        assert np.ptp(model.predict(X)) > 0
