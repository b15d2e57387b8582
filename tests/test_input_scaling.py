"""`input_scaling`: columns of X are standardised inside, like y."""

import pickle
from typing import get_args

import numpy as np
import pytest
from estimator_case import parameters_equal
from numpy.testing import assert_allclose, assert_array_equal
from reference.lstm import network_forward, table_windows
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler, StandardScaler

from sklstm import DeepLSTMRegressor, DeepRNNRegressor
from sklstm._cell_choice import CellName
from sklstm._scaling import robust_scales
from sklstm.cells import LSTM

RNG = np.random.default_rng(8)
N = 400
X = RNG.normal(size=(N, 3)) * [1.0, 2.0, 0.5] + [0.0, 5.0, -1.0]
Y = X[:, 0] + np.roll(X[:, 1], 1)
SMALL = {"hidden_size": 8, "sequence_length": 5, "max_iter": 3, "n_jobs": 1, "random_state": 0}
LEARNING = {**SMALL, "max_iter": 40, "learning_rate_init": 0.01}
N_TRAIN = N - 40 - 4
CELL_NAMES = get_args(CellName)


def make(**options):
    return DeepLSTMRegressor(**{**SMALL, **options})


# It learns in any unit


@pytest.mark.parametrize("scaling", ["standard", "robust"])
def test_columns_in_other_units(scaling):
    """A noise column of 1e6 +- 1e5, or all columns times 1,000, took R^2 from .97 to 0."""
    noise = np.column_stack([X, 1e6 + 1e5 * RNG.normal(size=N)])
    for table in (X, noise, 1000 * X, 1e-6 * X, 1e8 + X):
        model = DeepLSTMRegressor(**LEARNING, input_scaling=scaling).fit(table[:300], Y[:300])
        assert model.score(table[300:], Y[300:], context=table[:300]) > 0.93


def test_sets_of_sequences_in_other_units(case):
    for X, y in ((case.array, case.array_y), (case.ragged, case.ragged_y)):
        moved = [1e5 * sequence + 1e7 for sequence in X]
        plain, other = (case.make(dtype="float64").fit(one, y) for one in (list(X), moved))
        assert_allclose(case.output(other, moved), case.output(plain, list(X)), rtol=1e-6)


def test_without_it_columns_are_read_as_they_are():
    model = make(input_scaling=None, dtype="float64").fit(X, Y)
    assert (model.input_mean_ == 0).all()
    assert (model.input_scale_ == 1).all()
    z = network_forward(model.parameters_, table_windows(X, 5)).z[:, 0]
    assert_allclose(model.predict(X), model.target_mean_ + model.target_scale_ * z, rtol=1e-10)


# What it is


def test_mean_and_deviation_of_the_training_part():
    later = X.copy()
    later[N_TRAIN:] *= 100.0
    for table in (X, later):
        model = make().fit(table, Y)
        assert_allclose(model.input_mean_, X[:N_TRAIN].mean(axis=0), rtol=1e-13, atol=1e-15)
        assert_allclose(model.input_scale_, X[:N_TRAIN].std(axis=0), rtol=1e-13)
        assert model.input_mean_.dtype == model.input_scale_.dtype == np.float64
        assert not model.input_scale_.flags.writeable


def test_the_network_reads_standardised_columns(case):
    model = case.make(dtype="float64").fit(case.X, case.y)
    plain = case.make(dtype="float64", input_scaling=None)
    standardised = (case.X - model.input_mean_) / model.input_scale_
    assert_allclose(case.output(model, case.X), case.output(plain.fit(standardised, case.y), standardised), rtol=1e-9)


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_the_formula_of_a_layer_for_columns_as_they_come(cell):
    model = DeepRNNRegressor(**SMALL, cell=cell, dtype="float64").fit(X, Y)
    other = pickle.loads(pickle.dumps(model))
    weight = model.parameters_["weight_ih_l0"] / model.input_scale_
    bias = model.parameters_["bias_l0"].copy()
    bias[: len(weight)] -= weight @ model.input_mean_  # the fourth block of the GRU's bias belongs to U h alone
    other.parameters_ = {**model.parameters_, "weight_ih_l0": weight, "bias_l0": bias}
    other.input_mean_, other.input_scale_ = np.zeros(3), np.ones(3)
    assert_allclose(other.predict(X), model.predict(X), rtol=1e-10)


def test_weights_of_rows_count():
    """Each row once, with the mean weight of the samples that read it."""
    weights = RNG.uniform(0, 2, N) * (RNG.uniform(size=N) < 0.3)
    model = make(early_stopping=False).fit(X, Y, sample_weight=weights)
    rows = np.array([w[w > 0].mean() if w.any() else 0.0 for w in (weights[i : i + 5] for i in range(N))])
    mean = np.average(X, axis=0, weights=rows)
    assert_allclose(model.input_mean_, mean, rtol=1e-11)
    assert_allclose(model.input_scale_, np.sqrt(np.average((X - mean) ** 2, axis=0, weights=rows)), rtol=1e-11)


def test_sequences_count_by_their_weight():
    sequences, y = RNG.normal(size=(30, 4, 2)), RNG.normal(size=30)
    weights = RNG.integers(0, 3, 30)
    repeated = np.repeat(np.arange(30), weights)
    first = make().fit(sequences, y, sample_weight=weights)
    second = make().fit(sequences[repeated], y[repeated])
    assert_allclose(first.input_mean_, second.input_mean_, rtol=1e-12)
    assert_allclose(first.input_scale_, second.input_scale_, rtol=1e-12)


def test_constant_columns():
    """Exactly, or to rounding."""
    table = np.column_stack([X, np.full(N, 0.1), 1e6 + np.arange(N) % 3 * np.spacing(1e6)])
    for scaling in ("standard", "robust"):
        model = make(input_scaling=scaling).fit(table, Y)
        assert model.input_scale_[3:].tolist() == [1.0, 1.0]
        assert model.input_mean_[3] == 0.1
        assert np.isfinite(model.predict(table)).all()


# A scaler before it changes nothing


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"patch_length": 2, "linear_skip": 3},
        {"bidirectional": True, "pooling": "attention", "attention_heads": 2},
        {"training": "stateful", "shuffle": False, "bptt_steps": 16},
        {"cell": LSTM(layer_norm=True), "shuffle": "blocks"},
    ],
    ids=lambda options: next(iter(options), "plain"),
)
@pytest.mark.parametrize("scaling", ["standard", "robust"])
def test_a_scaler_before_it_changes_nothing(options, scaling):
    model = make(dtype="float64", input_scaling=scaling, **options).fit(X, Y)
    scaler = StandardScaler() if scaling == "standard" else RobustScaler(unit_variance=True)
    piped = make_pipeline(scaler, make(dtype="float64", input_scaling=scaling, **options)).fit(X, Y)
    assert_allclose(piped.predict(X), model.predict(X), rtol=1e-7)


def test_with_window_norm_only_the_scale_matters():
    options = {"window_norm": "last", "target_column": 0, "dtype": "float64"}
    model, moved = (make(**options).fit(X + shift, X[:, 0] + shift) for shift in (0.0, 64.0))
    assert_allclose(moved.predict(X + 64.0) - 64.0, model.predict(X), atol=1e-10)
    assert_allclose(moved.input_scale_, model.input_scale_, rtol=1e-10)
    unscaled = make(**options, input_scaling=None).fit(X, X[:, 0])
    assert_array_equal(unscaled.predict(X), model.predict(X))
    assert_array_equal(unscaled.input_scale_, model.input_scale_)


@pytest.mark.parametrize("level", [1e6, 1e8])
def test_the_level_of_a_meter_costs_no_accuracy(level):
    """RMSE was .05 at 1e6 and 1.5 at 1e8, in float32; it is that of a level of 1e3."""
    walk = np.cumsum(RNG.normal(size=N)) * 0.1
    errors = []
    for at in (1e3, level):
        table = (at + walk)[:, np.newaxis]
        model = DeepLSTMRegressor(**LEARNING, window_norm="last").fit(table[:-1], table[1:, 0])
        errors.append(np.sqrt(np.mean((model.predict(table[:-1]) - table[1:, 0]) ** 2)))
    assert errors[1] == pytest.approx(errors[0], rel=0.05)


# Streams, context, tables of any kind


@pytest.mark.isa
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "options", [{}, {"linear_skip": 2, "patch_length": 2}, {"training": "stateful", "shuffle": False}]
)
def test_streams_and_context(dtype, options):
    table = 1e5 * X + 1e7
    model = make(dtype=dtype, **options).fit(table, Y)
    whole = model.predict(table)
    assert_array_equal(model.predict(table[200:], context=table[:200]), whole[200:])
    stream = model.stream()
    assert_array_equal([stream.step(row) for row in table[:40]], whole[:40])
    assert_array_equal(model.predict(table[:1]), whole[:1])


def test_tables_of_any_kind(tmp_path):
    table = 1e5 * X + 1e7
    path = tmp_path / "table.npy"
    np.save(path, table)
    mapped = np.load(path, mmap_mode="r")
    model = make().fit(table, Y)
    assert parameters_equal(make().fit(mapped, Y), model)
    assert_array_equal(model.predict(mapped), model.predict(table))
    single = make().fit(table.astype(np.float32), Y)
    assert_allclose(single.input_scale_, model.input_scale_, rtol=1e-4)
    whole = make().fit(np.arange(3 * N).reshape(N, 3), Y)
    assert whole.input_mean_.tolist() == np.arange(3 * N).reshape(N, 3)[:N_TRAIN].mean(axis=0).tolist()


def test_the_same_bits_for_any_number_of_threads():
    table = RNG.normal(size=(20_000, 2))
    scales = [make(n_jobs=n, max_iter=1, hidden_size=2).fit(table, table[:, 0]).input_scale_ for n in (1, 2, 4)]
    assert (scales[0] == scales[1]).all()
    assert (scales[0] == scales[2]).all()


# Going on


def test_warm_start_and_partial_fit_keep_it():
    for method in ("fit", "partial_fit"):
        model = make(warm_start=True, early_stopping=False)
        getattr(model, method)(X, Y)
        mean, scale = model.input_mean_, model.input_scale_
        getattr(model, method)(5 * X + 1, Y)
        assert_array_equal(model.input_mean_, mean)
        assert_array_equal(model.input_scale_, scale)


@pytest.mark.parametrize("scaling", ["standard", "robust"])
def test_columns_that_were_constant_get_their_scale_later(scaling):
    """About the value that they had; the answers for it stay."""
    night = X.copy()
    night[:, 2] = 7.0
    model = make(learning_rate_init=1e-300, input_scaling=scaling).partial_fit(night, Y)
    before = model.predict(night)
    assert (model.input_mean_[2], model.input_scale_[2]) == (7.0, 1.0)
    day = X.copy()
    day[:, 2] = 7.0 + 1000 * RNG.uniform(size=N)
    model.partial_fit(day, Y)
    assert model.input_mean_[2] == 7.0
    seen = np.r_[night[:, 2], day[:, 2]]
    assert model.input_scale_[2] == pytest.approx(np.sqrt(np.mean((seen - 7.0) ** 2)), rel=1e-12)
    assert_array_equal(model.predict(night), before)
    scale = model.input_scale_.copy()
    model.partial_fit(50 * day, Y)
    assert_array_equal(model.input_scale_, scale)


def test_a_first_row():
    model = make(max_iter=1).partial_fit(1e6 + X[:1], Y[:1])
    assert (model.input_scale_ == 1).all()
    model.partial_fit(1e6 + X, Y)
    assert_allclose(model.input_scale_, np.sqrt(np.mean((X - X[0]) ** 2, axis=0)), rtol=0.01)


def test_unscaled_columns_stay_unscaled():
    model = make(input_scaling=None).partial_fit(np.ones((5, 3)), Y[:5]).partial_fit(X, Y)
    assert (model.input_scale_ == 1).all()
    assert (model.input_mean_ == 0).all()


# Robust


def test_median_and_quartiles():
    model = make(input_scaling="robust", early_stopping=False).fit(X, Y)
    scaler = RobustScaler(unit_variance=True).fit(X)
    assert_allclose(model.input_mean_, scaler.center_, rtol=1e-12)
    assert_allclose(model.input_scale_, scaler.scale_, rtol=0.02)
    outliers = X.copy()
    outliers[:20] = 1e9
    found = make(input_scaling="robust", early_stopping=False).fit(outliers, Y)
    assert_allclose(found.input_scale_, model.input_scale_, rtol=0.1)


def test_weighted_quartiles_are_those_of_repetitions():
    table, weights = RNG.normal(size=(101, 2)), RNG.integers(0, 4, 101)
    expected = robust_scales(np.repeat(table, weights, axis=0), np.ones(weights.sum()))
    assert_allclose(robust_scales(table, weights.astype(float)), expected, rtol=1e-12)
    halves = robust_scales(table, weights / 7.0)
    assert_allclose(halves, expected, rtol=1e-12)


def test_columns_whose_quartiles_are_equal():
    table = np.where(np.arange(100) % 10, 0.0, 1e6)[:, np.newaxis]
    median, scale = robust_scales(table, np.ones(100))
    assert (median.tolist(), scale.tolist()) == ([0.0], [table.std()])


@pytest.mark.parametrize("unit", [1e-320, 1e-300, 1e307])
def test_robust_in_any_unit(unit):
    table = RNG.normal(size=(50, 1))
    found, expected = robust_scales(table * unit, np.ones(50)), robust_scales(table, np.ones(50))
    assert_allclose(found, np.multiply(expected, unit), rtol=1e-2 if unit < 1e-310 else 1e-12)


def test_rows_of_weight_zero_are_not_there_for_robust_scales():
    """Of a column whose quartiles are equal, too, whose deviation is weighted."""
    rng = np.random.default_rng(0)
    table, weights = rng.normal(size=(40, 2)), rng.uniform(0.5, 3.0, 40)
    table[:, 1] = (rng.random(40) < 0.1) * 7.0
    far = np.vstack([table, [[1e6, 1e6], [-3e6, 2e6]]])
    for found, alone in zip(robust_scales(far, np.r_[weights, 0.0, 0.0]), robust_scales(table, weights), strict=True):
        assert_allclose(found, alone, rtol=1e-12)
    mean = np.average(table[:, 1], weights=weights)
    deviation = np.sqrt(np.average((table[:, 1] - mean) ** 2, weights=weights))
    assert_allclose(robust_scales(table, weights)[1][1], deviation, rtol=1e-12)
