"""What stands in a network: each option of its architecture, through the estimators, beside what it says it does.

The options are compared with the plain network of the same parameters where that can be, and with the equations of
tests/reference/ elsewhere. What training drops is in test_noise.py, `window_norm` in test_window_norm.py.
"""

import numpy as np
import pytest
from estimator_case import with_parameters
from numpy.testing import assert_allclose, assert_array_equal
from reference.attention import attention_block, softmax
from reference.cells import REFERENCE_CELLS
from reference.layer import layer_forward
from reference.lstm import table_windows
from reference.masks import Masks

from sklstm import DeepLSTMRegressor
from sklstm.cells import LSTM

pytestmark = pytest.mark.filterwarnings("ignore:window_norm takes target")

# Columns are read as they come: test_input_scaling.py is about the rest.
EXACT = {"dtype": "float64", "early_stopping": False, "input_scaling": None}
CLOSE = {"rtol": 1e-10, "atol": 1e-12}
ATTENTION = ["norm_weight_attention", "norm_bias_attention"]
ATTENTION += ["weight_attention_in", "bias_attention_in", "weight_attention_out", "bias_attention_out"]


def plain_twin(case, model, X, y, **options):
    """A model with other options and, as far as it has them, the same parameters."""
    twin = case.make(**EXACT, max_iter=1, **options).fit(X, y)
    return with_parameters(twin, {name: model.parameters_[name] for name in twin.parameters_})


def at_every_step(plain, X):
    """Outputs of the top layer at each step, (n_sequences, n_steps, size): features of the prefixes."""
    return np.stack([plain.transform(X[:, : t + 1]) for t in range(X.shape[1])], axis=1)


def from_features(case, model, features):
    """`output` for what the head reads."""
    z = features @ model.parameters_["weight_out"].T + model.parameters_["bias_out"]
    if not case.is_classifier:
        return model.target_mean_ + model.target_scale_ * z[:, 0]
    p = 1 / (1 + np.exp(-z[:, 0]))
    return np.column_stack([1 - p, p])


def layer(parameters, sequences, end="_l0"):
    """One direction of a plain layer, from the equations."""
    own = {name: parameters[name + end] for name in ("weight_ih", "weight_hh", "bias")}
    return layer_forward(REFERENCE_CELLS["lstm"], sequences, own).hidden


def backwards(sequences):
    return [sequence[::-1] for sequence in sequences]


# Names and shapes


@pytest.mark.parametrize(
    ("options", "added", "features"),
    [
        (
            {"bidirectional": True},
            {
                "weight_ih_l0_backward": (16, 3),
                "weight_hh_l0_backward": (16, 4),
                "bias_l0_backward": (16,),
                "weight_ih_l1": (16, 8),
                "weight_ih_l1_backward": (16, 8),
                "weight_hh_l1_backward": (16, 4),
                "bias_l1_backward": (16,),
            },
            8,
        ),
        (
            {"cell": LSTM(projection_size=2)},
            {f"weight_hr_l{k}": (2, 4) for k in (0, 1)}
            | {"weight_hh_l0": (16, 2), "weight_ih_l1": (16, 2), "weight_hh_l1": (16, 2)},
            2,
        ),
        ({"cell": LSTM(peephole=True)}, {"weight_peephole_l0": (3, 4), "weight_peephole_l1": (3, 4)}, 4),
        ({"residual": 1}, {}, 4),
        ({"hidden_size": (4, 4, 6), "n_layers": 3, "residual": 2}, {"weight_residual_l2": (6, 4)}, 6),
        ({"norm": "layer"}, {f"norm_{kind}_l{k}": (4,) for kind in ("weight", "bias") for k in (0, 1)}, 4),
        (
            {"cell": LSTM(layer_norm=True)},
            {f"norm_weight_{kind}_l{k}": (16,) for kind in ("ih", "hh") for k in (0, 1)}
            | {f"norm_{kind}_c_l{k}": (4,) for kind in ("weight", "bias") for k in (0, 1)},
            4,
        ),
        ({"attention_heads": 2}, dict(zip(ATTENTION, [(4,), (4,), (12, 4), (12,), (4, 4), (4,)], strict=True)), 4),
        ({"pooling": "mean"}, {}, 4),
        ({"pooling": "attention"}, {"weight_pool": (4,)}, 4),
        ({"pooling": "attention", "bidirectional": True, "cell": LSTM(projection_size=3), "n_layers": 1}, None, 6),
        ({"patch_length": 2}, {"weight_ih_l0": (16, 6)}, 4),
        ({"window_norm": "standard"}, {}, 4),
        ({"linear_skip": 5}, {"weight_skip": (1, 15)}, 4),
        ({"zoneout": 0.2, "recurrent_dropout": 0.1, "weight_dropout": 0.1}, {}, 4),
    ],
    ids=str,
)
def test_names_and_shapes(case, options, added, features):
    """Beside those of two plain layers; `features` is what `transform` gives."""
    model = case.fit(**{"n_layers": 2, "max_iter": 1, **options})
    found = {name: array.shape for name, array in model.parameters_.items()}
    if added is None:
        assert found["weight_pool"] == (6,)
        assert found["weight_hr_l0_backward"] == (3, 4)
    else:
        expected = {"weight_ih_l0": (16, 3), "weight_ih_l1": (16, 4), "weight_out": (1, features), "bias_out": (1,)}
        for k in (0, 1):
            expected |= {f"weight_hh_l{k}": (16, 4), f"bias_l{k}": (16,)}
        if options.get("n_layers") == 3:
            expected |= {"weight_ih_l2": (24, 4), "weight_hh_l2": (24, 6), "bias_l2": (24,)}
        assert found == expected | added
    assert not any(array.flags.writeable for array in model.parameters_.values())
    assert model.transform(case.X).shape == (90, features)
    assert len(model.get_feature_names_out()) == features
    assert model.stream(window=True, response_method="transform").step(case.X[0]).shape == (features,)


# Layers


@pytest.mark.parametrize("n_layers", [1, 2])
def test_bidirectional_reversing_swaps_the_directions(case, n_layers):
    """The mean over all steps does not see in which order they come."""
    options = {**EXACT, "bidirectional": True, "pooling": "mean", "n_layers": n_layers}
    model = case.make(**options).fit(case.array, case.array_y)
    swapped = {}
    for name, array in model.parameters_.items():
        # Who reads both directions reads them in the other order.
        reads_both = name.startswith("weight_ih_l1") or name == "weight_out"
        array = np.roll(array, 4, axis=1) if reads_both else array
        partner = name.removesuffix("_backward") if name.endswith("_backward") else f"{name}_backward"
        swapped[partner if "_l" in name else name] = array
    mirrored = with_parameters(model, swapped)
    assert_allclose(case.output(mirrored, case.array[:, ::-1]), case.output(model, case.array), **CLOSE)
    assert np.abs(case.output(mirrored, case.array) - case.output(model, case.array)).max() > 1e-6


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_bidirectional_is_two_layers_side_by_side(case, pooling):
    """Of sequences of any length, each from its own end; the head reads the backward direction where it reads."""
    model = case.make(**EXACT, bidirectional=True, pooling=pooling).fit(case.ragged, case.ragged_y)
    forward = layer(model.parameters_, case.ragged)
    backward = backwards(layer(model.parameters_, backwards(case.ragged), "_l0_backward"))
    outputs = [np.hstack(both) for both in zip(forward, backward, strict=True)]
    features = np.array([y[-1] if pooling == "last" else y.mean(axis=0) for y in outputs])
    assert_allclose(model.transform(case.ragged), features, **CLOSE)
    assert_allclose(case.output(model, case.ragged), from_features(case, model, features), **CLOSE)


def test_bidirectional_windows_do_not_look_ahead(case):
    model = case.fit(bidirectional=True, pooling="mean", n_layers=2)
    changed = case.X.copy()
    changed[40:] += 1.0
    different = (case.output(model, case.X) != case.output(model, changed)).reshape(90, -1).any(axis=1)
    assert different.tolist() == [False] * 40 + [True] * 50


@pytest.mark.parametrize(
    "options",
    [
        {"cell": LSTM(projection_size=2)},
        {"cell": LSTM(peephole=True)},
        {"cell": LSTM(layer_norm=True)},
        {"zoneout": 0.3},
        {"cell": LSTM(projection_size=3, peephole=True, layer_norm=True), "zoneout": 0.2, "recurrent_dropout": 0.2},
    ],
    ids=str,
)
def test_cells_are_those_of_the_equations(case, options):
    """Zoneout as its mean, and nothing is dropped."""
    model = case.fit(**EXACT, **options, learning_rate_init=0.01)
    parameters = {name.removesuffix("_l0"): array for name, array in model.parameters_.items() if name.endswith("_l0")}
    if "weight_peephole" in parameters:
        assert np.abs(parameters["weight_peephole"]).min() > 0
    windows = table_windows(case.X, 5)
    rate = options.get("zoneout")
    masks = [Masks(None, rate, rate)] * len(windows)
    hidden = layer_forward(REFERENCE_CELLS["lstm"], windows, parameters, masks=masks).hidden
    features = np.array([h[-1] for h in hidden])
    assert_allclose(model.transform(case.X), features, **CLOSE)
    assert_allclose(case.output(model, case.X), from_features(case, model, features), **CLOSE)


def test_residual_between_layers_of_different_sizes(case):
    model = case.fit(**EXACT, hidden_size=[4, 6], residual=1)
    parameters, windows = model.parameters_, table_windows(case.X, 5)
    below = layer(parameters, windows)
    above = layer(parameters, below, "_l1")
    features = [
        (h[-1] + parameters["weight_residual_l1"] @ y[-1]) / np.sqrt(2) for h, y in zip(above, below, strict=True)
    ]
    assert_allclose(model.transform(case.X), features, **CLOSE)


def test_residual_of_equal_sizes_has_no_map(case):
    assert "weight_residual_l2" not in case.fit(hidden_size=[4, 6, 4], residual=2).parameters_


# Between the layers and the head


@pytest.mark.parametrize("pooling", ["mean", "attention"])
@pytest.mark.parametrize("n_layers", [1, 2])
def test_pooling(case, pooling, n_layers):
    options = {"n_layers": n_layers, "learning_rate_init": 0.03}
    model = case.make(**EXACT, pooling=pooling, **options).fit(case.array, case.array_y)
    plain = plain_twin(case, model, case.array, case.array_y, n_layers=n_layers)
    y = at_every_step(plain, case.array)
    if pooling == "mean":
        features = y.mean(axis=1)
        assert_allclose(case.output(model, case.array), from_features(case, plain, features), **CLOSE)
    else:
        weights = softmax(np.tanh(y) @ model.parameters_["weight_pool"])
        assert np.ptp(weights, axis=1).max() > 1e-3
        features = (weights[:, :, np.newaxis] * y).sum(axis=1)
    assert_allclose(model.transform(case.array), features, **CLOSE)
    assert_allclose(case.output(model, case.array), from_features(case, model, features), **CLOSE)


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_attention_heads(case, heads, pooling):
    model = case.make(**EXACT, attention_heads=heads, pooling=pooling).fit(case.array, case.array_y)
    y = at_every_step(plain_twin(case, model, case.array, case.array_y), case.array)
    names = dict(zip(["gain", "shift", "weight_in", "bias_in", "weight_out", "bias_out"], ATTENTION, strict=True))
    parameters = {name: model.parameters_[ours] for name, ours in names.items()}
    blocks = np.array([attention_block(one, parameters, heads, causal=True)[0] for one in y])
    assert np.abs(blocks - y).max() > 1e-2
    features = blocks[:, -1] if pooling == "last" else blocks.mean(axis=1)
    assert_allclose(model.transform(case.array), features, **CLOSE)
    assert_allclose(case.output(model, case.array), from_features(case, model, features), **CLOSE)


def test_attention_over_both_directions_sees_all_steps(case):
    model = case.make(**EXACT, attention_heads=2, bidirectional=True, pooling="mean").fit(case.array, case.array_y)
    forward = layer(model.parameters_, case.array)
    backward = backwards(layer(model.parameters_, backwards(case.array), "_l0_backward"))
    names = dict(zip(["gain", "shift", "weight_in", "bias_in", "weight_out", "bias_out"], ATTENTION, strict=True))
    parameters = {name: model.parameters_[ours] for name, ours in names.items()}
    both = [np.hstack(one) for one in zip(forward, backward, strict=True)]
    features = [attention_block(y, parameters, 2, causal=False)[0].mean(axis=0) for y in both]
    assert_allclose(model.transform(case.array), features, **CLOSE)


# Before the layers and beside them


@pytest.mark.parametrize("patch_length", [2, 3, 6])
def test_patch_length_reads_several_rows_as_one(case, patch_length):
    model = case.make(**EXACT, patch_length=patch_length).fit(case.array, case.array_y)
    joined = case.array.reshape(24, 6 // patch_length, 3 * patch_length)
    plain = plain_twin(case, model, joined, case.array_y)
    assert_array_equal(case.output(model, case.array), case.output(plain, joined))


def test_patches_end_at_the_last_row(case):
    """Zeros stand for the rows before the first; so the first rows of a table have answers too."""
    model = case.fit(**EXACT, patch_length=3, sequence_length=7)
    for row in (0, 1, 2, 3, 5, 6, 50):
        first = max(row - 6, 0)
        n_missing = -(row + 1 - first) % 3
        rows = np.vstack([np.zeros((n_missing, 3)), case.X[first : row + 1]])
        assert_array_equal(case.output(model, rows[np.newaxis]), case.output(model, case.X)[row : row + 1])


def test_linear_skip_reads_the_last_rows(case):
    """With zeros in the head only the linear part is left, first row of the window first."""
    model = case.fit(**EXACT, linear_skip=2)
    zeros = {name: model.parameters_[name] * (name not in ("weight_out", "bias_out")) for name in model.parameters_}
    rows = np.hstack([np.vstack([np.zeros((1, 3)), case.X[:-1]]), case.X])
    z = rows @ model.parameters_["weight_skip"].T
    only_linear = case.output(with_parameters(model, zeros), case.X)
    expected = case.output(model, case.X)
    plain = plain_twin(case, model, case.X, case.y)
    hidden = plain.transform(case.X)
    assert_array_equal(model.transform(case.X), hidden)
    if case.is_classifier:
        assert_allclose(only_linear[:, 1], 1 / (1 + np.exp(-z[:, 0])), **CLOSE)
        z += hidden @ model.parameters_["weight_out"].T + model.parameters_["bias_out"]
        assert_allclose(expected[:, 1], 1 / (1 + np.exp(-z[:, 0])), **CLOSE)
    else:
        assert_allclose(only_linear, model.target_mean_ + model.target_scale_ * z[:, 0], **CLOSE)
        assert_allclose(expected, from_features(case, model, hidden) + model.target_scale_ * z[:, 0], **CLOSE)


def test_linear_skip_learns_an_autoregression():
    """As well as least squares, where the network beside it has a single unit."""
    rng = np.random.default_rng(0)
    series = np.zeros(601)
    for t in range(2, 601):
        series[t] = 1.2 * series[t - 1] - 0.6 * series[t - 2] + 0.1 * rng.normal()
    X, y = series[:-1, np.newaxis], series[1:]
    settings = {"sequence_length": 4, "max_iter": 150, "random_state": 0, "n_jobs": 1, "early_stopping": False}
    settings |= {"learning_rate_init": 0.02, "learning_rate": "cosine", "weight_decay": 0.0}
    model = DeepLSTMRegressor(1, linear_skip=2, **settings).fit(X[:400], y[:400])
    rows = np.column_stack([np.roll(series[:-1], 1), series[:-1], np.ones(600)])
    weights = np.linalg.lstsq(rows[1:400], y[1:400], rcond=None)[0]
    least = np.mean((y[400:] - rows[400:] @ weights) ** 2)
    error = np.mean((y[400:] - model.predict(X[400:], context=X[:400])) ** 2)
    assert error < 1.1 * least
    without = DeepLSTMRegressor(1, **settings).fit(X[:400], y[:400]).predict(X[400:], context=X[:400])
    assert np.mean((y[400:] - without) ** 2) > 1.2 * least


@pytest.mark.parametrize("name", ["linear_skip", "patch_length"])
def test_what_reaches_beyond_the_window(case, name):
    """Of a table, rows further back exist, and would never be read; a sequence has none."""
    message = f"{name}=9 reaches beyond the windows of sequence_length=3 rows; raise sequence_length, or lower {name}"
    with pytest.raises(ValueError, match=message):
        case.fit(**{name: 9}, sequence_length=3)
    model = case.make(**EXACT, **{name: 9}, sequence_length=3).fit(case.array, case.array_y)
    assert np.isfinite(case.output(model, case.array[:, :2])).all()
