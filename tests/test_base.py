"""What every parameter of the constructor does, in both LSTM estimators, and what `fit` leaves behind."""

import inspect
import math
import re
from ast import literal_eval

import numpy as np
import pytest
import test_architecture
import test_conformal
import test_decoder
import test_deep
import test_group_scaling
import test_input_scaling
import test_known_columns
import test_linear_part
import test_n_seeds
import test_noise
import test_recurrent_constraint
import test_regression_losses
import test_scoring
import test_sequence_targets
import test_stateful_training
import test_window_norm
from estimator_case import flat, parameters_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor, DeepRNNClassifier, DeepRNNRegressor
from sklstm._batch_size import automatic_batch_size

ONE_STEP = {"dtype": "float64", "max_iter": 1, "batch_size": 90, "early_stopping": False}


def initial(case, **parameters):
    """The model before its first step: a step of this size changes no bit."""
    return case.fit(**{**ONE_STEP, **parameters, "learning_rate_init": 1e-300})


# Parameters, in the order of the signature


@pytest.mark.parametrize("n_layers", [1, 2, 3])
@pytest.mark.parametrize("hidden_size", [1, 7, 17, 33])
def test_hidden_size_and_n_layers(case, hidden_size, n_layers):
    model = case.fit(hidden_size=hidden_size, n_layers=n_layers, max_iter=1)
    expected, below = {}, 3
    for layer in range(n_layers):
        expected[f"weight_ih_l{layer}"] = (4 * hidden_size, below)
        expected[f"weight_hh_l{layer}"] = (4 * hidden_size, hidden_size)
        expected[f"bias_l{layer}"] = (4 * hidden_size,)
        below = hidden_size
    expected |= {"weight_out": (1, hidden_size), "bias_out": (1,)}
    assert {name: array.shape for name, array in model.parameters_.items()} == expected
    assert list(model.parameters_) == list(expected)
    assert model.transform(case.X).shape == (90, hidden_size)


def test_sizes_from_numpy(case):
    numpy_sizes = {name: np.int64(value) for name, value in (("hidden_size", 5), ("n_layers", 2), ("batch_size", 16))}
    assert parameters_equal(case.fit(**numpy_sizes), case.fit(hidden_size=5, n_layers=2, batch_size=16))


def test_initial_parameters(case):
    """Glorot uniform, orthogonal, zero; 1 for the forget gate."""
    first, other = initial(case, hidden_size=30, n_layers=2), initial(case, hidden_size=30, n_layers=2, random_state=1)
    for layer, below in ((0, 3), (1, 30)):
        limit = math.sqrt(6 / (below + 30))
        weights = first.parameters_[f"weight_ih_l{layer}"]
        assert np.abs(weights).max() <= limit
        assert np.abs(weights).max() > 0.9 * limit
        assert np.abs(weights).mean() == pytest.approx(limit / 2, rel=0.15)
        for gate in first.parameters_[f"weight_hh_l{layer}"].reshape(4, 30, 30):
            np.testing.assert_allclose(gate @ gate.T, np.eye(30), atol=1e-12)
        bias = first.parameters_[f"bias_l{layer}"].reshape(4, 30)
        np.testing.assert_allclose(bias, np.repeat([[0.0], [1.0], [0.0], [0.0]], 30, axis=1), atol=1e-299)
    assert np.abs(first.parameters_["weight_out"]).max() <= math.sqrt(6 / 31)
    np.testing.assert_allclose(first.parameters_["bias_out"], [0.0], atol=1e-299)
    for name, array in first.parameters_.items():
        assert name.startswith("bias") or (array != other.parameters_[name]).all()


def test_weight_init(case):
    """More in network/test_parameters.py."""
    glorot, he, again = (initial(case, hidden_size=30, weight_init=name).parameters_ for name in ("glorot", "he", "he"))
    for name, array in he.items():
        fans = {"weight_ih_l0": (3, 30), "weight_out": (30, 1)}.get(name, (1, 0))
        np.testing.assert_allclose(array, glorot[name] * math.sqrt(sum(fans) / fans[0]), atol=1e-15)
        assert (array == again[name]).all()
    search = GridSearchCV(case.make(), {"weight_init": ["glorot", "he"]}, cv=TimeSeriesSplit(2), error_score="raise")
    assert np.isfinite(search.fit(case.X, case.y).cv_results_["mean_test_score"]).all()


def test_sequence_length(case):
    """A row further back than the window is out of reach, one inside it is not."""
    for length in (1, 3, 8):
        model = case.fit(sequence_length=length)
        changed = case.X.copy()
        changed[40] += 1.0
        different = (case.output(model, case.X) != case.output(model, changed)).reshape(90, -1).any(axis=1)
        assert np.flatnonzero(different).tolist() == list(range(40, 40 + length))


def test_dropout(case):
    """It disturbs training and nothing else; with a single layer there is nothing between layers."""
    two = [case.fit(n_layers=2, dropout=rate) for rate in (0.0, 0.5, 0.5, 0.9)]
    assert parameters_equal(two[1], two[2])
    assert not parameters_equal(two[0], two[1])
    assert not parameters_equal(two[1], two[3])
    np.testing.assert_array_equal(case.output(two[1], case.X), case.output(two[1], case.X))
    np.testing.assert_allclose(case.output(two[1], case.X), case.by_hand_table(two[1], case.X), rtol=1e-5, atol=1e-6)
    with pytest.warns(UserWarning, match="dropout=0.5 has no effect on 1 layer"):
        assert parameters_equal(case.fit(dropout=0.5), case.fit(dropout=0.0))


@pytest.mark.parametrize("rate", [1e-3, 0.02])
def test_learning_rate_init(case, rate):
    """The first step of Adam moves every parameter by the learning rate, whatever its gradient."""
    settings = {**ONE_STEP, "weight_decay": 0.0}
    moved = np.abs(flat(case.fit(**settings, learning_rate_init=rate)) - flat(initial(case)))
    assert moved.max() <= rate
    assert np.median(moved) == pytest.approx(rate, rel=1e-3)


def test_weight_decay(case):
    """Decoupled: apart from the gradient, weights shrink by rate times decay; biases do not."""
    start = initial(case).parameters_
    without, with_decay = (case.fit(**ONE_STEP, learning_rate_init=0.01, weight_decay=decay) for decay in (0.0, 0.3))
    for name, array in with_decay.parameters_.items():
        shrunk = 0.0 if name.startswith("bias") else 0.01 * 0.3 * start[name]
        np.testing.assert_allclose(array, without.parameters_[name] - shrunk, rtol=1e-12, atol=1e-15)


def test_max_grad_norm(case):
    settings = {**ONE_STEP, "weight_decay": 0.0, "max_iter": 4}
    unbound, wide = (case.fit(**settings, max_grad_norm=bound) for bound in (None, 1e30))
    assert parameters_equal(unbound, wide)
    assert not parameters_equal(unbound, case.fit(**settings, max_grad_norm=1e-6))
    # A gradient of norm 1e-12 is small against the epsilon of 1e-8 in Adam's denominator: steps shrink 10,000 times.
    frozen = case.fit(**settings, max_grad_norm=1e-12)
    assert 0 < np.abs(flat(frozen) - flat(initial(case))).max() < 4 * 1e-3 * 1e-4


@pytest.mark.parametrize(("batch_size", "steps"), [(1, 90), (7, 13), (45, 2), (90, 1), (1000, 1), ("auto", 12)])
def test_batch_size(case, batch_size, steps):
    model = case.make(batch_size=batch_size).partial_fit(case.X, case.y)
    assert model._training_state["loop"]["moments"]["step"] == steps


@pytest.mark.parametrize(
    ("n_samples", "expected"), [(1, 8), (256, 8), (320, 10), (4096, 128), (4095, 127), (10**6, 128)]
)
def test_automatic_batch_size(n_samples, expected):
    assert automatic_batch_size(n_samples) == expected


@pytest.mark.parametrize(("batch_size", "accumulation_steps", "steps"), [(7, 3, 5), (45, 2, 1), (40, 9, 1), (90, 2, 1)])
def test_accumulation_steps(case, batch_size, accumulation_steps, steps):
    """More in training/test_accumulation.py."""
    settings = {"dtype": "float64", "early_stopping": False, "max_iter": 3, "learning_rate": "cosine"}
    parts = case.fit(**settings, batch_size=batch_size, accumulation_steps=accumulation_steps)
    whole = case.fit(**settings, batch_size=batch_size * accumulation_steps)
    np.testing.assert_allclose(flat(parts), flat(whole), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(parts.gradient_norms_, whole.gradient_norms_, rtol=1e-10)
    model = case.make(batch_size=batch_size, accumulation_steps=accumulation_steps).partial_fit(case.X, case.y)
    assert model._training_state["loop"]["moments"]["step"] == steps


def test_max_iter(case):
    for max_iter in (1, 4):
        model = case.fit(max_iter=max_iter)
        assert model.n_iter_ == len(model.loss_curve_) == max_iter


def test_shuffle(case):
    """Without it, batches are taken as they come: an epoch over all is one over the first half, then the second."""
    settings = {"shuffle": False, "batch_size": 6, "sequence_length": 4, "max_iter": 1, "input_scaling": None}
    halves = np.array_split(case.array, 2)
    y = np.tile(case.target(np.array([1.0, -1.0])), 6)
    whole = case.make(**settings).partial_fit(case.array, np.tile(y, 2))
    parts = case.make(**settings).partial_fit(halves[0], y).partial_fit(halves[1], y)
    assert parameters_equal(whole, parts)
    settings["shuffle"] = True
    shuffled = case.make(**settings).partial_fit(case.array, np.tile(y, 2))
    assert not parameters_equal(whole, shuffled)


def test_shuffle_draws_from_all_batches(case):
    """Batch by batch, an ordered epoch and a shuffled one see different samples, not only another order."""
    shuffled, ordered = (case.fit(shuffle=shuffle, batch_size=45, max_iter=2).loss_curve_ for shuffle in (True, False))
    assert shuffled != ordered
    # One batch of all samples: the order changes no more than rounding.
    full = [case.fit(**{**ONE_STEP, "max_iter": 3}, shuffle=shuffle) for shuffle in (True, False)]
    np.testing.assert_allclose(flat(full[0]), flat(full[1]), rtol=1e-9)


@pytest.mark.parametrize("shuffle", [True, False, "blocks"])
def test_every_epoch_sees_every_sample_once(case, monkeypatch, shuffle):
    """In an order of its own."""
    from sklstm import _fitted

    class Network(_fitted.Network):
        def loss_and_gradient(self, sequences, rows, *arguments):
            seen.append(rows)
            return super().loss_and_gradient(sequences, rows, *arguments)

    seen = []
    monkeypatch.setattr(_fitted, "Network", Network)
    case.fit(shuffle=shuffle, batch_size=40, early_stopping=False)
    assert [len(rows) for rows in seen] == [40, 40, 10] * 3
    epochs = np.concatenate(seen).reshape(3, 90)
    np.testing.assert_array_equal(np.sort(epochs), np.tile(np.arange(90), (3, 1)))
    orders = {tuple(epoch) for epoch in epochs.tolist()}
    assert orders == {tuple(range(90))} if not shuffle else len(orders) == 3


def test_shuffle_of_blocks(case):
    """Batches of one block are those of the ordered table in another order; more in training/test_loop.py."""
    settings = {"batch_size": 32, "early_stopping": False, "max_iter": 4, "random_state": 1}
    blocks, ordered, again = (case.fit(shuffle=shuffle, **settings) for shuffle in ("blocks", False, "blocks"))
    assert parameters_equal(blocks, again)
    assert not parameters_equal(blocks, ordered)
    assert not parameters_equal(blocks, case.fit(shuffle=True, **settings))
    search = GridSearchCV(case.make(), {"shuffle": [True, False, "blocks"]}, cv=TimeSeriesSplit(2), error_score="raise")
    assert np.isfinite(search.fit(case.X, case.y).cv_results_["mean_test_score"]).all()


def test_early_stopping_and_validation_fraction(case):
    """More in test_early_stopping.py."""
    assert case.fit(early_stopping=False).validation_scores_ is None
    for fraction in (0.1, 0.4):
        model = case.fit(early_stopping=True, validation_fraction=fraction)
        assert len(model.validation_scores_) == 3
    assert case.fit(early_stopping=True).validation_scores_ != model.validation_scores_


def test_n_iter_no_change_and_tol(case):
    """The first epoch improves on nothing; then epochs without an improvement of `tol` are counted."""
    for patience in (1, 3):
        model = case.fit(max_iter=50, tol=1e9, n_iter_no_change=patience, early_stopping=False)
        assert model.n_iter_ == 1 + patience
        model = case.fit(max_iter=50, tol=1e9, n_iter_no_change=patience, early_stopping=True)
        assert model.n_iter_ == 1 + patience
    assert case.fit(max_iter=9, tol=0.0, n_iter_no_change=1, early_stopping=False).n_iter_ == 9


def test_warm_start(case):
    """More in test_continued_training.py."""
    warm, cold = (case.make(warm_start=warm, max_iter=2).fit(case.X, case.y) for warm in (True, False))
    assert parameters_equal(warm, cold)
    once = clone(cold).fit(case.X, case.y)
    assert parameters_equal(cold.fit(case.X, case.y), once)
    assert warm.fit(case.X, case.y).n_iter_ == 4
    assert not parameters_equal(warm, once)


def test_carry_context(case):
    """More in test_windows.py."""
    assert not hasattr(case.fit(), "context_")
    np.testing.assert_array_equal(case.fit(carry_context=True).context_, case.X[-4:])


@pytest.mark.parametrize(("dtype", "arrays"), [("float32",) * 2, ("float64",) * 2, ("bfloat16", "float32")])
def test_dtype(case, dtype, arrays):
    model = case.fit(dtype=dtype)
    assert {array.dtype.name for array in model.parameters_.values()} == {arrays}
    assert model.transform(case.X).dtype == arrays
    assert case.output(model, case.X).dtype == np.float64


def test_dtypes_agree(case):
    single, double = (case.output(case.fit(dtype=dtype), case.X) for dtype in ("float32", "float64"))
    np.testing.assert_allclose(single, double, rtol=1e-4, atol=1e-4)
    assert (single != double).any()


@pytest.mark.parametrize("n_jobs", [None, 1, 3, -1])
def test_n_jobs(case, n_jobs, monkeypatch):
    """Handed on as a number of threads, which changes no bit (test_promises.py)."""
    from sklstm import _fitted
    from sklstm._kernels.core._pool import resolve_num_threads

    class Network(_fitted.Network):
        def __init__(self, layout, dtype, n_threads, **scaling):
            seen.append(n_threads)
            super().__init__(layout, dtype, n_threads, **scaling)

    seen = []
    monkeypatch.setattr(_fitted, "Network", Network)
    model = case.fit(n_jobs=n_jobs, max_iter=1)
    model.predict(case.X)
    assert set(seen) == {resolve_num_threads(n_jobs)}


def test_random_state_as_a_seed(case):
    assert parameters_equal(case.fit(random_state=3), case.fit(random_state=3))
    assert not parameters_equal(case.fit(random_state=3), case.fit(random_state=4))


def test_random_state_as_a_generator(case):
    """It moves on from fit to fit, and can be wound back."""
    model = case.make(random_state=np.random.RandomState(5))
    first = flat(model.fit(case.X, case.y))
    second = flat(model.fit(case.X, case.y))
    assert (first != second).any()
    model.set_params(random_state=np.random.RandomState(5))
    np.testing.assert_array_equal(flat(model.fit(case.X, case.y)), first)


def test_random_state_none_is_the_global_generator(case):
    model, found = case.make(random_state=None), []
    for seed in (2, None, 2):
        if seed is not None:
            np.random.seed(seed)  # noqa: NPY002
        found.append(flat(model.fit(case.X, case.y)))
    np.testing.assert_array_equal(found[0], found[2])
    assert (found[0] != found[1]).any()


def test_verbose(case, capsys):
    case.fit(verbose=False)
    assert capsys.readouterr().out == ""
    model = case.fit(verbose=1)
    found = capsys.readouterr().out.splitlines()
    assert len(found) == model.n_iter_
    for k, (line, loss) in enumerate(zip(found, model.loss_curve_, strict=True), 1):
        assert re.fullmatch(rf"Epoch {k}/3: loss {loss:.6f}, \S+ s(, at most \S+ s left)?", line)
    model = case.fit(verbose=True, early_stopping=True)
    curves = zip(model.loss_curve_, model.validation_loss_curve_, model.validation_scores_, strict=True)
    for line, values in zip(capsys.readouterr().out.splitlines(), curves, strict=True):
        told = "loss {:.6f}, validation loss {:.6f}, validation score {:.6f}, ".format(*values)
        assert told in line


def test_class_weight():
    """More in test_classifier.py."""
    X, y = np.random.default_rng(0).normal(size=(60, 2)), np.repeat([0, 1], [45, 15])
    plain, balanced = (DeepLSTMClassifier(4, max_iter=2, random_state=0, class_weight=w) for w in (None, "balanced"))
    difference = balanced.fit(X, y).predict_proba(X)[:, 1] - plain.fit(X, y).predict_proba(X)[:, 1]
    assert difference.mean() > 0


@pytest.mark.parametrize("scale", [1e-40, 1e10, 1e30, 3e37])
def test_columns_of_any_size(case, scale):
    """Unwise, but finite: large values saturate the gates, small ones vanish."""
    model = case.make(early_stopping=True).fit(case.X * scale, case.y)
    for method in case.methods(model):
        if method.__name__ != "predict":
            assert np.isfinite(method(case.X * scale)).all()
    assert np.isfinite(model.loss_curve_ + model.validation_scores_).all()


def test_label_smoothing():
    """More in test_label_smoothing.py."""
    X, y = np.random.default_rng(0).normal(size=(60, 2)), np.repeat([0, 1], 30)
    plain, smooth = (DeepLSTMClassifier(4, max_iter=9, random_state=0, label_smoothing=e) for e in (0.0, 0.5))
    certainty = [np.abs(model.fit(X, y).predict_proba(X) - 0.5).mean() for model in (plain, smooth)]
    assert certainty[1] < certainty[0]


def test_solver(case):
    """More in training/test_solvers.py."""
    models = [case.fit(solver=name) for name in ("adamw", "adam", "sgd", "schedule_free")]
    outputs = [case.output(model, case.X) for model in models]
    assert all(np.abs(a - b).max() > 1e-6 for k, a in enumerate(outputs) for b in outputs[:k])


def test_learning_rate(case):
    """More in training/test_schedules.py."""
    plain, cosine = (case.fit(learning_rate=name, max_iter=4) for name in ("constant", "cosine"))
    assert cosine.loss_curve_[0] < plain.loss_curve_[0] * 1.01
    assert not parameters_equal(plain, cosine)


ONLY_ONE_HAS = {"class_weight", "label_smoothing", "loss", "quantile", "conformal", "huber_delta", "target_column"}
ONLY_ONE_HAS |= {"group_scaling", "group_weight", "decoder"}
TESTS = {
    "hidden_size": test_hidden_size_and_n_layers,
    "n_layers": test_hidden_size_and_n_layers,
    "cell": test_architecture.test_cells_are_those_of_the_equations,
    "bidirectional": test_architecture.test_bidirectional_is_two_layers_side_by_side,
    "recurrent_constraint": test_recurrent_constraint.test_weights_stay_within_the_constraint,
    "residual": test_deep.test_options_do_something,
    "output_gate": test_deep.test_output_gates,
    "compete_groups": test_deep.test_output_gates,
    "norm": test_deep.test_norm_makes_rows_of_one_size,
    "norm_first": test_deep.test_prediction_is_that_of_the_equations,
    "feedforward": test_deep.test_feedforward_adds_gated_units,
    "feedforward_expansion": test_deep.test_feedforward_adds_gated_units,
    "attention_heads": test_architecture.test_attention_heads,
    "pooling": test_architecture.test_pooling,
    "patch_length": test_architecture.test_patch_length_reads_several_rows_as_one,
    "input_scaling": test_input_scaling.test_the_network_reads_standardised_columns,
    "window_norm": test_window_norm.test_prediction_is_that_of_the_equations,
    "known_columns": test_known_columns.test_known_columns_are_standardised,
    "linear_skip": test_architecture.test_linear_skip_reads_the_last_rows,
    "linear_skip_training": test_linear_part.test_frozen_and_fine_tuned,
    "training": test_stateful_training.test_rows_of_a_table_are_steps_of_one_series,
    "targets": test_sequence_targets.test_predictions_are_those_of_the_equations,
    "sequence_length": test_sequence_length,
    "bptt_steps": test_stateful_training.test_each_row_is_read_once_an_epoch,
    "dropout": test_dropout,
    "recurrent_dropout": test_noise.test_predictions_drop_nothing,
    "weight_dropout": test_noise.test_weight_dropout_touches_recurrent_weights_alone,
    "zoneout": test_noise.test_zoneout_of_predictions_is_the_mean,
    "weight_init": test_weight_init,
    "solver": test_solver,
    "learning_rate_init": test_learning_rate_init,
    "learning_rate": test_learning_rate,
    "weight_decay": test_weight_decay,
    "max_grad_norm": test_max_grad_norm,
    "batch_size": test_batch_size,
    "accumulation_steps": test_accumulation_steps,
    "max_iter": test_max_iter,
    "shuffle": test_shuffle,
    "early_stopping": test_early_stopping_and_validation_fraction,
    "validation_fraction": test_early_stopping_and_validation_fraction,
    "scoring": test_scoring.test_numbers_are_scored_in_the_unit_of_y,
    "n_iter_no_change": test_n_iter_no_change_and_tol,
    "tol": test_n_iter_no_change_and_tol,
    "n_seeds": test_n_seeds.test_each_network_is_that_of_its_seed,
    "warm_start": test_warm_start,
    "carry_context": test_carry_context,
    "dtype": test_dtype,
    "n_jobs": test_n_jobs,
    "random_state": test_random_state_as_a_seed,
    "verbose": test_verbose,
    "decoder": test_decoder.test_predictions_are_those_of_the_equations,
    "loss": test_regression_losses.test_each_loss_has_its_own_centre,
    "quantile": test_regression_losses.test_quantiles_cover_their_share,
    "conformal": test_conformal.test_corrections_by_hand,
    "huber_delta": test_regression_losses.test_huber_delta_leads_from_the_median_to_the_mean,
    "target_column": test_window_norm.test_several_targets,
    "group_scaling": test_group_scaling.test_series_of_any_scale_are_forecast_alike,
    "group_weight": test_group_scaling.test_equal_weights_of_groups,
    "class_weight": test_class_weight,
    "label_smoothing": test_label_smoothing,
}


@pytest.mark.parametrize("kind", [DeepRNNRegressor, DeepRNNClassifier, DeepLSTMRegressor, DeepLSTMClassifier])
def test_every_parameter_is_documented_constrained_and_tested(kind):
    names = list(inspect.signature(kind).parameters)
    section = re.search(r"Parameters\n-+\n(.*?)\nAttributes\n-+\n", inspect.getdoc(kind), re.DOTALL)[1]
    assert re.findall(r"^(\w+) : ", section, re.MULTILINE) == names
    assert set(kind._parameter_constraints) == set(names)
    assert [name for name in TESTS if name in names] == names
    assert set(TESTS) - set(names) <= ONLY_ONE_HAS
    defaults = {name: parameter.default for name, parameter in inspect.signature(kind).parameters.items()}
    for name, text in re.findall(r"^(\w+) : .*default=(.+)$", section, re.MULTILINE):
        assert literal_eval(text) == defaults[name], name


@pytest.mark.parametrize("kind", [DeepRNNRegressor, DeepRNNClassifier])
def test_every_fitted_attribute_is_documented(kind, request):
    case = request.getfixturevalue("classifier" if kind is DeepRNNClassifier else "regressor")
    model = case.make(carry_context=True).fit(case.X, case.y)
    section = re.search(r"\nAttributes\n-+\n(.*?)\n\w[\w ]+\n-+\n", inspect.getdoc(kind), re.DOTALL)[1]
    documented = {n for line in re.findall(r"^(\w.*?) : ", section, re.MULTILINE) for n in line.split(", ")}
    public = {name for name in vars(model) if name.endswith("_") and not name.startswith("_")}
    of_compression = {"sparsity_", "factorization_error_", "operations_saved_"}
    of_compression |= {"quantization_dtype_", "quantization_error_"}
    of_linear_skip = {"ridge_penalty_", "skip_score_"}
    of_options = {"other_networks_"}
    properties = {"spectral_radius_"}
    assert model.spectral_radius_
    if kind is DeepRNNRegressor:
        of_options |= {"conformal_correction_", "group_labels_", "group_means_", "group_scales_"}
    sometimes = of_compression | of_linear_skip | of_options
    assert documented == public | {"feature_names_in_", "context_groups_"} | sometimes | properties


@pytest.mark.parametrize(
    ("general", "kind"), [(DeepRNNRegressor, DeepLSTMRegressor), (DeepRNNClassifier, DeepLSTMClassifier)]
)
def test_one_constructor(general, kind):
    """Two sizes by position, all else by name; each argument is an attribute, as it was given."""
    signature = inspect.signature(general)
    names = {True: [], False: []}
    for name, parameter in signature.parameters.items():
        names[parameter.kind is parameter.KEYWORD_ONLY].append(name)
    assert names[False] == ["hidden_size", "n_layers"]
    own = inspect.signature(kind).parameters
    assert [(p.name, p.kind, p.default) for p in own.values()] == [
        (p.name, p.kind, p.default) for p in signature.parameters.values()
    ]
    values = {name: object() for name in signature.parameters}
    assert vars(general(**values)) == values
    assert vars(general()) == {name: parameter.default for name, parameter in signature.parameters.items()}
    with pytest.raises(TypeError, match="unexpected keyword argument 'units'"):
        general(units=4)
