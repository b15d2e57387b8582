"""Gradients by the inputs: central differences of the answers themselves, through everything that a model does."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference.differences import numerical_gradient

from sklstm import DeepRNNClassifier, DeepRNNRegressor, quantize
from sklstm._cell_choice import _KINDS
from sklstm.cells import LSTM, CfC
from sklstm.inspection import input_gradients

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(3)
N, WINDOW = 24, 4
UNIT, PLACE = np.array([1.0, 10.0, 0.1]), np.array([5.0, 0.0, 1.0])
Z = RNG.normal(size=(N, 3))
X = Z * UNIT + PLACE
Y = X[:, 0] + np.roll(X[:, 1], 2) + RNG.normal(size=N)
HORIZON = np.stack([Y, np.roll(Y, -1), np.roll(Y, -2)], axis=1)
GROUPS = np.repeat(["a", "b"], N // 2)
ROWS = [1, N - 1]  # a short window, and a full one


def fitted(kind=DeepRNNRegressor, y=Y, groups=None, **options):
    settings = {"hidden_size": 3, "sequence_length": WINDOW, "dtype": "float64", "max_iter": 2, "random_state": 0}
    settings |= {"n_jobs": 1, "early_stopping": False, "learning_rate_init": 0.01}
    return kind(**(settings | options)).fit(X, y, groups=groups)


def differences(answer, table, entries, step=1e-5):
    """Central differences of fourth order of an answer of any shape by some entries of a table: (entries, ...).

    The step is small, as rectified units have corners and normalised sums bend sharply.
    """
    found = []
    for entry in entries:
        values = []
        for shift in (-2, -1, 1, 2):
            changed = table.copy()
            changed[entry] += shift * step
            values.append(answer(changed))
        found.append((8.0 * (values[2] - values[1]) - (values[3] - values[0])) / (12.0 * step))
    return np.stack(found)


def check(model, method="predict", rows=ROWS, rtol=1e-7, **given):
    """Compare all gradients of some rows' answers with central differences by the columns in units of 1."""
    found = input_gradients(model, X, response_method=method, samples=rows, **given)
    n_steps, answer = found.shape[-2], getattr(model, method)
    for place, row in enumerate(rows):
        first = max(0, row + 1 - n_steps)
        entries = [(t, j) for t in range(first, row + 1) for j in range(3)]
        expected = differences(lambda table: answer(table * UNIT + PLACE, **given)[row], Z, entries)  # noqa: B023
        expected = np.moveaxis(expected.reshape(-1, 3, *expected.shape[1:]), (0, 1), (-2, -1))
        own = found[place] * UNIT  # in the unit of the answer, as columns differ in theirs
        n_before = n_steps - expected.shape[-2]
        assert np.abs(expected).max() > 0
        assert_allclose(own[..., n_before:, :], expected, rtol=0, atol=rtol * np.abs(expected).max())
        assert (own[..., :n_before, :] == 0).all()
    return found


@pytest.mark.parametrize("cell", _KINDS)
def test_every_cell(cell):
    check(fitted(cell=cell, hidden_size=6))  # of 3 rectified units all may be off


OPTIONS = {
    "plain": {},
    "layers": {"n_layers": 2, "residual": 1, "norm": "layer"},
    "norm first": {"n_layers": 2, "residual": 1, "norm": "rms", "norm_first": True, "feedforward": "swiglu"},
    "bidirectional": {"bidirectional": True, "output_gate": "silu"},
    "cell options": {"cell": LSTM(peephole=True, projection_size=2, layer_norm=True)},
    "attention": {"hidden_size": 4, "attention_heads": 2, "pooling": "attention"},
    "mean": {"pooling": "mean"},
    "unscaled": {"input_scaling": None},
    "robust": {"input_scaling": "robust"},
    "linear part": {"linear_skip": 3},
    "patches": {"patch_length": 3, "linear_skip": 4},
    "last": {"window_norm": "last", "target_column": 1},
    "standard": {"window_norm": "standard", "target_column": 1, "linear_skip": 2, "patch_length": 2},
    "known columns": {"window_norm": "standard", "target_column": 1, "known_columns": [2]},
    "seeds": {"n_seeds": 2, "linear_skip": 1},
    "stateful": {"training": "stateful", "shuffle": False, "linear_skip": 2},
    "Poisson": {"loss": "poisson", "n_seeds": 2},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_options(options):
    y = np.abs(Y) if options.get("loss") == "poisson" else Y
    rows = [2, N - 1] if "window_norm" in options else ROWS
    check(fitted(y=y, **options), rows=rows)


@pytest.mark.parametrize("seeds", [1, 2])
def test_quantiles_in_their_order(seeds):
    model = fitted(loss="quantile", quantile=[0.1, 0.5, 0.9], n_seeds=seeds, max_iter=1)
    assert check(model, "predict_quantiles").shape == (2, 3, WINDOW, 3)
    assert_array_equal(
        input_gradients(model, X), input_gradients(model, X, response_method="predict_quantiles", output=1)
    )


def test_conformal_bands():
    y, part = np.tile(Y, 4), np.tile(X, (4, 1))
    model = DeepRNNRegressor(
        3, sequence_length=WINDOW, dtype="float64", max_iter=2, random_state=0, loss="quantile", conformal=True,
        quantile=[0.1, 0.3, 0.5, 0.7, 0.9], early_stopping=True, validation_fraction=0.4,
    ).fit(part, y)  # fmt: skip
    check(model, "predict_quantiles")
    # The outer band is that of the inner quantiles then, which are corrected by more.
    model.conformal_correction_ = np.array([-0.1, -5.0, 0.0, 5.0, 0.1])
    found = check(model, "predict_quantiles")
    assert_array_equal(found[:, 0], found[:, 1])
    assert_array_equal(found[:, 4], found[:, 3])
    assert (found[:, 0] != found[:, 4]).any()


@pytest.mark.parametrize(
    "options",
    [
        {"decoder": "recurrent"},
        {"decoder": "parallel", "patch_length": 2, "linear_skip": 2},
        {"decoder": "parallel", "patch_length": 4},
        {},
    ],
    ids=str,
)
def test_horizons(options):
    model = fitted(y=HORIZON, **options)
    found = check(model, rows=[N - 1])
    assert found.shape == (1, 3, WINDOW, 3)
    assert_array_equal(input_gradients(model, X, samples=[N - 1], output=2), found[:, 2])
    two = fitted(y=np.stack([HORIZON, 2 * HORIZON[:, ::-1]], axis=2), **options)
    assert check(two, rows=[N - 1]).shape == (1, 3, 2, WINDOW, 3)


@pytest.mark.parametrize(
    "options", [{}, {"target_column": 1}, {"target_column": 1, "window_norm": "standard"}], ids=str
)
def test_units_of_groups(options):
    model = fitted(groups=GROUPS, group_scaling="standard", **options)
    check(model, rows=[3, N - 1], groups=GROUPS)


LABELS = {
    "two": np.where(Y.mean() < Y, "up", "down"),
    "three": np.digitize(Y, np.quantile(Y, [0.3, 0.6])),
    "matrix": (Y.mean() < HORIZON).astype(int),
}


@pytest.mark.parametrize("method", ["predict_proba", "predict_log_proba"])
@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_classes(labels, seeds, method):
    check(fitted(DeepRNNClassifier, labels, n_seeds=seeds, max_iter=8), method)


def test_probabilities_of_the_classes_sum_to_one():
    found = input_gradients(fitted(DeepRNNClassifier, LABELS["three"]), X)
    assert_allclose(found.sum(axis=1), 0.0, atol=1e-15)


def test_sequences_of_different_lengths_and_targets_at_every_step():
    sequences = [Z[:3], Z[5:7], Z[7:12], Z[14:15]]
    for options in ({}, {"bidirectional": True}, {"cell": "gru", "linear_skip": 2}):
        common = {"hidden_size": 3, "dtype": "float64", "max_iter": 2, "random_state": 0, "early_stopping": False}
        common["n_jobs"] = 1
        for targets in ("sample", "sequence"):
            y = [1.0, 2.0, 0.0, -1.0] if targets == "sample" else [one.sum(axis=1) for one in sequences]
            model = DeepRNNRegressor(**common, targets=targets, **options).fit(sequences, y)
            found = input_gradients(model, sequences)
            assert found.shape == (4, 5, 3)
            for k, sequence in enumerate(sequences):
                changed = sequence.copy()
                expected = numerical_gradient(lambda: np.ravel(model.predict([changed])[0])[-1], changed)  # noqa: B023
                assert_allclose(found[k, 5 - len(sequence) :], expected, rtol=1e-7, atol=1e-9)
                assert (found[k, : 5 - len(sequence)] == 0).all()


def test_context_and_chosen_samples():
    model = fitted()
    whole = input_gradients(model, X)
    after = input_gradients(model, X[10:], context=X[:10])
    assert_allclose(after, whole[10:], rtol=1e-12)
    assert_allclose(input_gradients(model, X, samples=[-1, 5]), whole[[N - 1, 5]], rtol=1e-12)
    with_groups = input_gradients(model, X[10:], groups=["b"] * 14, context=X[:10], context_groups=["b"] * 10)
    assert_allclose(with_groups, whole[10:], rtol=1e-12)


def test_a_row_does_not_depend_on_later_rows_or_other_groups():
    model = fitted()
    apart = input_gradients(model, X, groups=GROUPS)
    assert_allclose(apart[N // 2 :], input_gradients(model, X[N // 2 :]), rtol=1e-12)
    assert (apart[N // 2, :-1] == 0).all()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_other_precisions_are_differentiated_in_float64(dtype):
    model, same = fitted(dtype=dtype, max_iter=1), fitted(max_iter=1)
    found = input_gradients(model, X)
    assert found.dtype == np.float64
    same.parameters_ = {name: array.astype(np.float64) for name, array in model.parameters_.items()}
    assert_allclose(found, input_gradients(same, X), rtol=1e-12)


def test_many_samples_go_in_batches(monkeypatch):
    model = fitted()
    whole = input_gradients(model, X)
    monkeypatch.setattr("sklstm._inspection.windows.BATCH_NUMBERS", 5 * WINDOW * 3)
    assert_allclose(input_gradients(model, X), whole, rtol=1e-12)


def test_what_has_no_gradient_is_refused_by_name():
    with pytest.raises(ValueError, match=r"input_gradients: .* with zoneout, found zoneout=0\.1"):
        input_gradients(fitted(zoneout=0.1), X)
    with pytest.raises(ValueError, match="was quantised to int8, and integers have steps in place of a gradient"):
        input_gradients(quantize(fitted(dtype="float32"), X), X)
    times = np.abs(X)
    model = DeepRNNRegressor(3, cell=CfC(time_column=2), sequence_length=4, max_iter=1).fit(times, Y)
    with pytest.raises(ValueError, match="the time since the row before, found cell__time_column at position 2"):
        input_gradients(model, times)
    decoder = DeepRNNRegressor(3, decoder="recurrent", known_columns=[2], max_iter=1)
    decoder.fit(X, HORIZON, future=X[:3])
    with pytest.raises(ValueError, match=r"decoder that reads rows ahead, found decoder='recurrent' with known_col"):
        input_gradients(decoder, X)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output": 0}, "output=0, but the answer for a sample is a single number"),
        ({"samples": [N]}, f"samples holds {N}, but X has {N} samples"),
        ({"samples": [0.5]}, "samples must be a list of row numbers .*, found float64"),
        ({"samples": []}, "samples must be a list of row numbers"),
        (
            {"response_method": "predict_proba"},
            "response_method='predict_proba', expected one of .'auto', 'predict'.: ",
        ),
        ({"groups": ["a"] * 3}, "groups"),
    ],
    ids=str,
)
def test_wrong_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        input_gradients(fitted(), X, **options)


def test_wrong_outputs():
    model = fitted(y=HORIZON)
    for output in (3, (0, 0), (True,), -4):
        with pytest.raises(ValueError, match=r"output=.*, expected a position in an answer of shape \(3,\)"):
            input_gradients(model, X, output=output)
    assert_array_equal(input_gradients(model, X, output=-1), input_gradients(model, X, output=(2,)))


def test_wrong_models():
    from sklearn.exceptions import NotFittedError
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline

    with pytest.raises(TypeError, match="input_gradients: model is a Ridge, expected a DeepRNNRegressor"):
        input_gradients(Ridge().fit(X, Y), X)
    with pytest.raises(TypeError, match=r"Hand over the last step of the pipeline, model\[-1\]"):
        input_gradients(make_pipeline(fitted()), X)
    with pytest.raises(NotFittedError):
        input_gradients(DeepRNNRegressor(), X)


def test_a_result_that_would_fill_the_memory_is_refused(monkeypatch):
    monkeypatch.setattr("sklstm._inspection.explained.LARGEST_RESULT", 100)
    with pytest.raises(ValueError, match=r"input_gradients: .* 24 samples of 4 rows and 3 columns, for 1 outputs"):
        input_gradients(fitted(), X)
