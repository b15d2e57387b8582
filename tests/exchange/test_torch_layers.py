"""`to_torch` and `from_torch` against answers of PyTorch: stored ones, and live ones where it is installed."""

import pickle

import numpy as np
import pytest
from exchange_case import MEANS, SCALES, float64_lstm, model_of, ragged
from numpy.testing import assert_allclose, assert_array_equal
from reference.vectors import load_cases, split_rows
from scipy.special import expit, softmax

from sklstm import (
    DeepLSTMRegressor,
    DeepRNNClassifier,
    DeepRNNRegressor,
    from_torch,
    load_model,
    save_model,
    to_torch,
)
from sklstm.cells import GRU, LSTM, Elman

STORED = load_cases("exchange_torch")
# Answers of some units of size 1; float32 sums a few terms.
TOLERANCE = {"float64": 1e-12, "float32": 1e-6}
TO_TORCH = (
    "lstm",
    "gru",
    "elman",
    "elman_relu",
    "bidirectional",
    "mean",
    "mean_bidirectional",
    "as_they_come",
    "several",
)


def cell_of(name):
    return Elman(activation="relu") if "relu" in name else "lstm"


def answers_of(state, x, *, rnn=None):
    """Return the outputs of the head of a module of PyTorch at every row of sequences."""
    torch = pytest.importorskip("torch")
    names = {name.removeprefix("layers."): value for name, value in state.items() if name.startswith("layers.")}
    hidden = (names["weight_hr_l0"] if "weight_hr_l0" in names else names["weight_hh_l0"]).shape[1]
    kind, options = {4: ("LSTM", {}), 3: ("GRU", {}), 1: ("RNN", {"nonlinearity": rnn})}[
        len(names["weight_ih_l0"]) // hidden
    ]
    if "weight_hr_l0" in names:
        options = {"proj_size": len(names["weight_hr_l0"])}
    n_layers = sum(name.startswith("weight_ih") and "reverse" not in name for name in names)
    layers = getattr(torch.nn, kind)(
        names["weight_ih_l0"].shape[1],
        hidden,
        n_layers,
        batch_first=True,
        bidirectional="weight_ih_l0_reverse" in names,
        dtype=torch.from_numpy(state["head.weight"]).dtype,
        **options,
    )
    head = torch.nn.Linear(*state["head.weight"].shape[::-1], dtype=layers.weight_ih_l0.dtype)
    module = torch.nn.ModuleDict({"layers": layers, "head": head})
    module.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})
    with torch.inference_mode():
        hidden = [layers(torch.from_numpy(one).to(head.weight.dtype)[None])[0][0] for one in x]
        return [head(one).numpy() for one in hidden], [head(one.mean(0)).numpy() for one in hidden]


# From PyTorch


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", STORED)
def test_a_network_of_pytorch_answers_the_same(name, dtype):
    case = STORED[name]
    x, tolerance = split_rows(case["x"], case["lengths"]), TOLERANCE[dtype] * 3
    options = {"cell": cell_of(name), "dtype": dtype, "n_jobs": 1}
    answer = from_torch(case["state"], estimator=DeepRNNRegressor(**options)).predict(x)
    assert_allclose(answer.reshape(case["last"].shape), case["last"], rtol=0, atol=tolerance)
    answer = from_torch(case["state"], estimator=DeepRNNRegressor(**options, pooling="mean")).predict(x)
    assert_allclose(answer.reshape(case["mean"].shape), case["mean"], rtol=0, atol=tolerance)
    answer = from_torch(case["state"], estimator=DeepRNNRegressor(**options, targets="sequence")).predict(x)
    answer = np.concatenate(answer).reshape(case["every"].shape)
    assert_allclose(answer, case["every"], rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_windows_of_a_table_are_sequences(name):
    case = STORED[name]
    model = from_torch(case["state"], estimator=DeepRNNRegressor(sequence_length=4, dtype="float64"))
    table = case["x"]
    windows = [table[max(0, end - 4) : end] for end in range(1, len(table) + 1)]
    assert_array_equal(model.predict(table), model.predict(windows))


def test_layers_and_head_apart():
    state = STORED["gru"]["state"]
    layers, head = (
        {name.removeprefix(part): array for name, array in state.items() if name.startswith(part)}
        for part in ("rnn.", "head.")
    )
    first, second = (
        from_torch(*parts, estimator=DeepRNNRegressor(dtype="float64")) for parts in ((state,), (layers, head))
    )
    assert_array_equal(first.predict(STORED["gru"]["x"]), second.predict(STORED["gru"]["x"]))
    assert repr(first.cell) == "'gru'"
    assert (first.n_layers, first.hidden_size, first.n_features_in_, first.n_iter_) == (2, 6, 3, 0)


def test_scales_of_a_network_trained_on_scaled_data():
    case, rng = STORED["lstm"], np.random.default_rng(0)
    table = MEANS + SCALES * rng.normal(size=(30, 3))
    plain = from_torch(case["state"], estimator=DeepLSTMRegressor(dtype="float64", sequence_length=5))
    scales = {"input_mean": MEANS, "input_scale": SCALES, "target_mean": 100.0, "target_scale": 7.0}
    scaled = from_torch(case["state"], estimator=DeepLSTMRegressor(dtype="float64", sequence_length=5), **scales)
    assert_allclose(scaled.predict(table), 100 + 7 * plain.predict((table - MEANS) / SCALES), rtol=1e-12)


def test_classes_are_sorted_and_two_outputs_become_one():
    case = STORED["lstm_layers_bidirectional"]
    x = split_rows(case["x"], case["lengths"])
    model = from_torch(case["state"], estimator=DeepRNNClassifier(dtype="float64"), classes=["c", "a", "b"])
    assert model.classes_.tolist() == ["a", "b", "c"]
    assert_allclose(model.predict_proba(x), softmax(case["last"], axis=1)[:, [1, 2, 0]], atol=1e-12)
    assert model.predict(x).tolist() == [["c", "a", "b"][k] for k in case["last"].argmax(axis=1)]
    case = STORED["lstm_without_bias"]
    x = split_rows(case["x"], case["lengths"])
    for classes in (["up", "down"], [0, 1], None):
        model = from_torch(case["state"], estimator=DeepRNNClassifier(dtype="float64"), classes=classes)
        expected = (
            softmax(case["last"], axis=1)[:, ::-1] if classes == ["up", "down"] else softmax(case["last"], axis=1)
        )
        assert_allclose(model.predict_proba(x), expected, atol=1e-12)
    case = STORED["lstm"]
    x = split_rows(case["x"], case["lengths"])
    model = from_torch(case["state"], estimator=DeepRNNClassifier(dtype="float64"), classes=["no", "yes"])
    assert_allclose(model.predict_proba(x)[:, 1], expit(case["last"][:, 0]), atol=1e-12)
    model = from_torch(case["state"], estimator=DeepRNNClassifier(dtype="float64"), classes=["yes", "no"])
    assert_allclose(model.predict_proba(x)[:, 0], expit(case["last"][:, 0]), atol=1e-12)


def test_labels_losses_and_quantiles():
    case = STORED["lstm_layers_bidirectional"]
    x = split_rows(case["x"], case["lengths"])
    model = from_torch(case["state"], estimator=DeepRNNClassifier(dtype="float64"), multilabel=True)
    assert_allclose(model.predict_proba(x), expit(case["last"]), atol=1e-12)
    assert_array_equal(model.predict(x), case["last"] > 0)
    model = from_torch(case["state"], estimator=DeepRNNRegressor(dtype="float64", loss="poisson"), target_scale=3.0)
    assert_allclose(model.predict(x), 3.0 * np.exp(case["last"]), rtol=1e-12)
    quantiles = DeepRNNRegressor(dtype="float64", loss="quantile", quantile=[0.1, 0.5, 0.9])
    model = from_torch(case["state"], estimator=quantiles)
    assert_allclose(model.predict_quantiles(x), np.sort(case["last"], axis=1), atol=1e-12)
    assert_allclose(model.predict(x), np.median(case["last"], axis=1), atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"input_scaling": None}, {"targets": "sequence"}])
def test_training_goes_on(options):
    case, rng = STORED["gru"], np.random.default_rng(0)
    estimator = DeepRNNRegressor(random_state=0, max_iter=3, warm_start=True, sequence_length=5, n_jobs=1, **options)
    X, y = rng.normal(size=(8, 9, 3)), rng.normal(size=(8, 9))
    if not options.get("targets"):
        X, y = X.reshape(-1, 3), y.ravel()
    model = from_torch(case["state"], estimator=estimator, target_mean=0.1, target_scale=0.7)
    before = model.predict(X)
    # A step of next to no length shows that it goes on from here.
    after = from_torch(
        case["state"],
        estimator=estimator.set_params(learning_rate_init=1e-9),
        target_mean=0.1,
        target_scale=0.7,
    ).partial_fit(X, y)
    assert_allclose(after.predict(X), before, atol=1e-5)
    assert after.n_iter_ == 1
    model.set_params(learning_rate_init=1e-2).fit(X, y)
    assert model.n_iter_ == 3
    assert np.abs(model.predict(X) - before).max() > 1e-3
    assert model.loss_ < np.mean((before - y) ** 2)


@pytest.mark.parametrize(
    ("name", "estimator"),
    [
        ("lstm", DeepLSTMRegressor()),
        ("lstm_projection_bidirectional", DeepRNNClassifier()),
        ("gru", DeepRNNRegressor()),
    ],
)
def test_it_is_saved_as_others(name, estimator, tmp_path):
    case = STORED[name]
    model = from_torch(case["state"], estimator=estimator.set_params(n_jobs=1))
    save_model(model, tmp_path / "model")
    for again in (load_model(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        assert_array_equal(again.predict(case["x"]), model.predict(case["x"]))


def test_a_stream_answers_as_predict():
    case = STORED["lstm"]
    model = from_torch(case["state"], estimator=DeepLSTMRegressor(sequence_length=5, n_jobs=1))
    stream = model.stream()
    assert_array_equal([stream.step(row) for row in case["x"]], model.predict(case["x"]))


# To PyTorch, and back


@pytest.mark.parametrize("name", TO_TORCH)
def test_there_and_back(name):
    """The state dict answers in the unit of y to columns as they come, and so does the estimator made of it."""
    model = model_of(name)
    estimator = DeepRNNRegressor(cell=cell_of(name), pooling=model.pooling, n_jobs=1)
    again = from_torch(to_torch(model), estimator=estimator)
    assert not again.input_mean_.any()
    assert np.all(again.target_scale_ == 1)
    tolerance = 3e-6 * np.max(model.target_scale_)  # in float32, and y is about 8 scales from 0
    assert_allclose(again.predict(ragged()), model.predict(ragged()), rtol=0, atol=tolerance)


def test_folding_is_exact_in_float64():
    model = float64_lstm()
    again = from_torch(to_torch(model), estimator=DeepLSTMRegressor(dtype="float64", n_jobs=1))
    assert_allclose(again.predict(ragged()), model.predict(ragged()), rtol=1e-12)


def test_the_second_bias_is_zero():
    state = to_torch(model_of("bidirectional"), layers="rnn", head="out")
    second = [name for name in state if "bias_hh" in name]
    assert sorted(second) == sorted(f"rnn.bias_hh_l{k}{end}" for k in range(2) for end in ("", "_reverse"))
    assert not any(state[name].any() for name in second)
    assert {"out.weight", "out.bias"} < set(state)
    gru = to_torch(model_of("gru"))["layers.bias_hh_l1"]
    assert not gru[:14].any()
    assert gru[14:].all()


def test_the_arrays_are_copies():
    model = model_of("lstm")
    before = model.predict(ragged())
    for array in to_torch(model).values():
        assert array.flags.writeable
        assert array.flags.c_contiguous
        assert array.dtype == np.float32
        array[:] = 0
    assert_array_equal(model.predict(ragged()), before)


@pytest.mark.parametrize(
    "name", [*TO_TORCH, "poisson", "quantiles_of_one", "binary", "multinomial", "labels", "projection"]
)
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_pytorch_answers_the_same(name):
    x = ragged()
    if name == "projection":
        state = STORED["lstm_projection_bidirectional"]["state"]
        model = from_torch(state, estimator=DeepRNNRegressor(n_jobs=1))
    elif name == "quantiles_of_one":
        model = model_of("quantiles_of_several")
    else:
        model = model_of(name)
    rnn = "relu" if name == "elman_relu" else "tanh"
    every, mean = answers_of(to_torch(model), x, rnn=rnn)
    found = np.array(mean if model.pooling == "mean" else [one[-1] for one in every], np.float64)
    tolerance = {"rtol": 0, "atol": 1e-6 * np.max(getattr(model, "target_scale_", 1.0))}
    if name == "poisson":
        assert_allclose(np.exp(found[:, 0]), model.predict(x), rtol=1e-5)
    elif name == "quantiles_of_one":
        assert_allclose(np.sort(found.reshape(6, 2, 5)), model.predict_quantiles(x), **tolerance)
    elif name == "multinomial":
        assert_allclose(softmax(found, axis=1), model.predict_proba(x), **tolerance)
    elif name == "binary":
        assert_allclose(expit(found[:, 0]), model.predict_proba(x)[:, 1], **tolerance)
    elif name == "labels":
        assert_allclose(expit(found), model.predict_proba(x), **tolerance)
    else:
        answer = model.predict(x)
        assert_allclose(found.reshape(answer.shape), answer, **tolerance)


def test_float64_answers_of_pytorch():
    model = float64_lstm()
    every, _ = answers_of(to_torch(model), [one.astype(np.float64) for one in ragged()])
    assert_allclose([one[-1, 0] for one in every], model.predict(ragged()), rtol=1e-12)


def test_modules_of_pytorch():
    torch = pytest.importorskip("torch")

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.recurrent = torch.nn.RNN(3, 5, nonlinearity="relu", batch_first=True)
            self.out = torch.nn.Linear(5, 2, bias=False)

        def forward(self, x):
            return self.out(self.recurrent(x)[0][:, -1])

    network, x = Network(), torch.randn(4, 6, 3)
    expected = network(x).detach().numpy()
    for parts in ((network,), (network.recurrent, network.out), (network.recurrent.state_dict(), network.out)):
        cell = "lstm" if len(parts) == 1 or not isinstance(parts[0], dict) else Elman(activation="relu")
        model = from_torch(*parts, estimator=DeepRNNRegressor(cell=cell, n_jobs=1))
        assert model.cell.activation == "relu"
        assert_allclose(model.predict(x.numpy()), expected, atol=1e-6)
    rounded = network.to(torch.bfloat16)
    again = from_torch(rounded, estimator=DeepRNNRegressor())
    assert_array_equal(again.parameters_["weight_out"], rounded.out.weight.detach().float().numpy())


@pytest.mark.parametrize(
    ("cell", "name"), [(LSTM(), "'lstm'"), (GRU(), "'gru'"), (Elman(), "'elman'"), (LSTM(projection_size=3), "LSTM(")]
)
def test_plain_cells_have_their_names(cell, name):
    model = DeepRNNRegressor(6, cell=cell, max_iter=1, random_state=0, n_jobs=1).fit(np.eye(20), np.arange(20.0))
    assert repr(from_torch(to_torch(model), estimator=DeepRNNRegressor()).cell).startswith(name)
