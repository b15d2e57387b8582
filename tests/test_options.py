"""What holds for every option of the network: bits, streams, pickles, searches, training that goes on, refusals."""

import copy
import pickle

import numpy as np
import pytest
from estimator_case import parameters_equal
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor
from sklstm.cells import LSTM

pytestmark = pytest.mark.filterwarnings("ignore:window_norm takes target")

OPTIONS = [
    {"bidirectional": True, "pooling": "mean", "n_layers": 2},
    {"bidirectional": True, "pooling": "attention", "cell": LSTM(layer_norm=True)},
    {"cell": LSTM(projection_size=2, peephole=True), "zoneout": 0.2},
    {"attention_heads": 2, "recurrent_dropout": 0.2},
    {"pooling": "attention", "weight_dropout": 0.2},
    {"patch_length": 2, "linear_skip": 3},
    {"window_norm": "last", "linear_skip": 2},
    {"window_norm": "standard", "hidden_size": [4, 6], "residual": 1},
    {"output_gate": "softmax", "compete_groups": 2, "bidirectional": True, "n_layers": 2},
    {
        "output_gate": "silu",
        "norm": "rms",
        "norm_first": True,
        "n_layers": 3,
        "residual": 1,
        "feedforward": "swiglu",
        "dropout": 0.1,
    },
    {"window_norm": "last", "known_columns": [2], "linear_skip": 2, "patch_length": 2},
]
each_option = pytest.mark.parametrize("options", OPTIONS, ids=str)


@each_option
def test_threads_pickles_groups_context_and_rows_alone(case, options):
    one, two = (case.fit(**options, n_jobs=n, batch_size=40) for n in (1, 2))
    assert parameters_equal(one, two)
    expected = case.output(one, case.X)
    assert_array_equal(case.output(two, case.X), expected)
    again = pickle.loads(pickle.dumps(one))
    assert parameters_equal(again, one)
    assert_array_equal(case.output(again, case.X), expected)
    assert_array_equal(case.output(one, case.X[46:51])[-1], expected[50])
    assert_array_equal(case.output(one, case.X[60:], context=case.X[:60]), expected[60:])
    grouped = case.output(one, case.X, groups=case.groups)
    for label in "bac":
        assert_array_equal(grouped[case.groups == label], case.output(one, case.X[case.groups == label]))


@pytest.mark.isa
@each_option
@pytest.mark.parametrize("window", [True, False])
def test_streams_answer_as_predict_does(case, options, window):
    model = case.fit(**options)
    if not window and {"bidirectional", "attention_heads", "patch_length", "window_norm", "linear_skip"} & {*options}:
        with pytest.raises(ValueError, match=r"stream\(\) without a window cannot be combined with .*window=True\)"):
            model.stream(window=False)
        return
    method = "predict_proba" if case.is_classifier else "predict"
    stream, several = (model.stream(n_streams=n, window=window, response_method=method) for n in (None, 3))
    for t in range(9):
        expected = case.output(model, case.X[: t + 1])[-1] if window else case.output(model, case.X[None, : t + 1])[0]
        saved = stream.state
        assert_array_equal(stream.step(case.X[t]), expected)
        assert_array_equal(several.step(case.X[[t, t, t]]), np.stack([expected] * 3))
        stream.state = saved
        assert_array_equal(stream.step(case.X[t]), expected)
    again = pickle.loads(pickle.dumps(stream))
    assert_array_equal(again.step(case.X[50]), stream.step(case.X[50]))
    first = model.stream(window=window, response_method=method).step(case.X[7])
    assert_array_equal(stream.reset().step(case.X[7]), first)
    joined = model.stream(window=window, response_method=method, context=case.X[:20]).step(case.X[20])
    if window:
        assert_array_equal(joined, case.output(model, case.X[:21])[-1])
    else:
        assert_array_equal(joined, case.output(model, case.X[None, :21])[0])


@each_option
def test_early_stopping_weights_and_parts(case, options):
    """The target of a sample without weight does not matter."""
    model = case.fit(**options, early_stopping=True, validation_fraction=0.3)
    assert len(model.validation_scores_) == 3
    weights = np.repeat([1.0, 0.0], [80, 10])
    settings = {"batch_size": 90, "shuffle": False, "dtype": "float64", "early_stopping": False}
    one = case.make(**options, **settings).fit(case.X, case.y, sample_weight=weights)
    y = case.y.copy()
    y[85] = case.y[case.y != case.y[85]][0]
    two = case.make(**options, **settings).fit(case.X, y, sample_weight=weights)
    assert_allclose(case.output(one, case.X), case.output(two, case.X), rtol=1e-9)
    assert np.isfinite(case.make(**options).partial_fit(case.X, case.y).partial_fit(case.X, case.y).loss_curve_).all()


@each_option
def test_fitted_models_keep_their_network(case, options):
    """What it predicts is what was trained, whatever becomes of the constructor's parameters."""
    model = case.fit(**options)
    expected = case.output(model, case.X)
    defaults = type(model)().get_params()
    assert_array_equal(case.output(model.set_params(**{name: defaults[name] for name in options}), case.X), expected)


def test_warm_start_of_all_options(case):
    for options in OPTIONS:
        model = case.fit(**options, warm_start=True)
        assert model.fit(case.X, case.y).n_iter_ == 6
        with pytest.raises(ValueError, match=r"X has 2 features, but DeepRNN.* is expecting 3"):
            model.fit(case.X[:, :2], case.y)


GRID = {
    "bidirectional": [False, True],
    "cell": ["lstm", LSTM(projection_size=2), LSTM(peephole=True)],
    "cell__layer_norm": [False, True],
    "recurrent_constraint": [None, "spectral_norm", "scaled_orthogonal"],
    "residual": [0, 1],
    "output_gate": [None, "silu", "softmax"],
    "compete_groups": [1, 2],
    "norm": [None, "layer", "rms"],
    "norm_first": [False, True],
    "feedforward": [None, "swiglu"],
    "feedforward_expansion": [1, 8 / 3],
    "attention_heads": [0, 2],
    "pooling": ["last", "mean", "attention"],
    "patch_length": [1, 2],
    "window_norm": [None, "last", "standard"],
    "target_column": [0, [1]],
    "known_columns": [None, [1], 2],
    "linear_skip": [0, 2],
    "training": ["windows", "stateful"],
    "bptt_steps": [4, 8],
    "recurrent_dropout": [0.0, 0.5],
    "weight_dropout": [0.0, 0.5],
    "zoneout": [0.0, 0.5],
}
NEEDED = {
    "compete_groups": {"output_gate": "softmax"},
    "norm_first": {"n_layers": 2, "residual": 1, "norm": "rms"},
    "feedforward_expansion": {"feedforward": "swiglu"},
    "residual": {"hidden_size": [4, 6]},
    "cell__layer_norm": {"cell": LSTM(peephole=True)},
    "target_column": {"window_norm": "last"},
    "known_columns": {"window_norm": "last"},
    "training": {"shuffle": False},
    "bptt_steps": {"training": "stateful", "shuffle": False},
}


@pytest.mark.parametrize("name", GRID)
def test_grid_search(case, name):
    """Every candidate is fitted, and the option makes a difference."""
    if name == "target_column" and case.is_classifier:
        assert name not in case.make().get_params()
        return
    scoring = "neg_log_loss" if case.is_classifier else "neg_mean_squared_error"
    model = case.make(**NEEDED.get(name, {}), learning_rate_init=0.01)
    search = GridSearchCV(model, {name: GRID[name]}, cv=TimeSeriesSplit(2), scoring=scoring, error_score="raise")
    scores = search.fit(case.X, case.y).cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert len(set(scores)) == len(GRID[name])
    assert len(search.best_estimator_.predict(case.X)) == 90


# Refusals

STATEFUL = {"training": "stateful", "shuffle": False}


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"training": "stream"}, "training='stream' is called training='stateful' now"),
        (
            {"recurrent_constraint": "spectral_norm", "solver": "schedule_free"},
            "recurrent_constraint='spectral_norm' cannot be combined with solver='schedule_free': it predicts with a",
        ),
        (
            {"recurrent_constraint": "spectral_norm", "cell": LSTM(projection_size=2)},
            "recurrent_constraint='spectral_norm' cannot be combined with cell__projection_size=2: h is a projection",
        ),
        ({"training": "stateful"}, "training='stateful' cannot be combined with shuffle=True: .*set shuffle=False"),
        ({**STATEFUL, "shuffle": "blocks"}, "training='stateful' cannot be combined with shuffle='blocks'"),
        ({**STATEFUL, "bidirectional": True}, "'stateful' cannot be combined with bidirectional=True: the backward"),
        ({**STATEFUL, "attention_heads": 2}, "'stateful' cannot be combined with attention_heads=2: each row would"),
        ({**STATEFUL, "pooling": "mean"}, "'stateful' cannot be combined with pooling='mean': each row has an output"),
        ({**STATEFUL, "patch_length": 2}, "'stateful' cannot be combined with patch_length=2: each row has an output"),
        ({**STATEFUL, "window_norm": "last"}, "'stateful' cannot be combined with window_norm='last': there is no"),
        ({**STATEFUL, "accumulation_steps": 2}, "'stateful' cannot be combined with accumulation_steps=2: each step"),
        ({**STATEFUL, "carry_context": True}, "'stateful' cannot be combined with carry_context=True: .* as context"),
        (
            {"cell": LSTM(projection_size=4)},
            "cell__projection_size=4 must be smaller than hidden_size, but a layer has 4 units",
        ),
        (
            {"cell": LSTM(projection_size=5), "hidden_size": [9, 5, 7]},
            "cell__projection_size=5 must be smaller .* has 5 units",
        ),
        ({"attention_heads": 3}, "attention_heads=3 must divide the 4 outputs of the top layer, .*hidden_size=4 gives"),
        (
            {"attention_heads": 3, "cell": LSTM(projection_size=2), "bidirectional": True},
            "attention_heads=3 must divide the 4 outputs .*projection_size=2 with bidirectional=True gives it",
        ),
        ({"attention_heads": 4, "hidden_size": [4, 6]}, r"must divide the 6 outputs .*hidden_size=\[4, 6\] gives it"),
    ],
    ids=str,
)
def test_what_excludes_each_other(case, method, options, message):
    model = case.make(**options)
    with pytest.raises(ValueError, match=message):
        getattr(model, method)(case.X, case.y)
    assert not hasattr(model, "n_features_in_")


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"bidirectional": True}, "bidirectional=True: the backward direction begins at the last row"),
        ({"attention_heads": 2}, "attention_heads=2: each step looks back"),
        ({"patch_length": 2}, "patch_length=2: a patch ends at the last row"),
        ({"window_norm": "last"}, "window_norm='last': every step changes what"),
        ({"linear_skip": 1}, "linear_skip=1: the output reads rows of the past"),
    ],
    ids=str,
)
def test_streams_without_a_window(case, options, name):
    with pytest.raises(ValueError, match=rf"without a window cannot be combined with {name}.*stream\(window=True\)"):
        case.fit(**options).stream(window=False)


@pytest.mark.parametrize(("first", "then"), [("windows", "stateful"), ("stateful", "windows")])
def test_training_is_not_changed_after_fit(case, first, then):
    model = case.fit(training=first, shuffle=False)
    expected = case.output(model, case.X)
    model.set_params(training=then)
    for method in case.methods(model):
        with pytest.raises(ValueError, match=f"training='{then}' was set after the network had been trained otherwise"):
            method(case.X)
    before = copy.deepcopy(vars(model))
    with pytest.raises(ValueError, match=f"training='{then}', not training='{first}'"):
        model.set_params(warm_start=True).fit(case.X, case.y)
    assert vars(model).keys() == before.keys()
    assert_array_equal(case.output(model.set_params(training=first), case.X), expected)


def test_only_the_regressor_has_a_target_column():
    assert "target_column" in DeepLSTMRegressor().get_params()
    assert "target_column" not in DeepLSTMClassifier().get_params()
