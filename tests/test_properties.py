"""Properties over drawn shapes, dtypes, memory layouts, groups, lengths, options and weights, against the reference.

Hypothesis draws the same examples each time. SKLSTM_PROPERTY_EXAMPLES says how many of each test; `make reliability`
takes more than the suite.
"""

import os
from typing import get_args

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from reference.losses import binary_log_loss, half_squared_error, multinomial_log_loss
from reference.network import options_forward
from scipy.special import expit, softmax

from sklstm import DeepRNNClassifier, DeepRNNRegressor
from sklstm._cell_choice import CellName
from sklstm._network.architecture import Architecture

EXAMPLES = int(os.environ.get("SKLSTM_PROPERTY_EXAMPLES", "12"))
drawn = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
# The numbers drawn fit into each of them without rounding.
DTYPES = ("f8", "f4", "f2", ">f8", ">f4", "g", "i1", "i4", "u2", "?", "O")
LAYOUTS = ("C", "F", "strided", "reversed", "unaligned", "read-only", "list", "frame")
TOLERANCES = {"float64": {"rtol": 1e-9, "atol": 1e-9}, "float32": {"rtol": 5e-4, "atol": 5e-4}}
CELLS = get_args(CellName)
STEP = {"solver": "sgd", "max_iter": 1, "shuffle": False, "early_stopping": False, "batch_size": 10**6}
STEP |= {"weight_decay": 0.0, "max_grad_norm": None, "random_state": 0, "n_jobs": 1}


def numbers(rng, shape, dtype="f8"):
    """Return an array whose numbers are the same in any dtype of its kind."""
    kind = np.dtype(dtype).kind
    if kind in "biu":
        low = {"b": 0, "u": 0, "i": -4}[kind]
        return rng.integers(low, 2 if kind == "b" else 5, shape).astype(dtype)
    return (rng.integers(-24, 25, shape) / 8).astype(dtype)


def laid_out(array, layout):
    """Return an array with the same values, of another layout in memory or kind of container."""
    if layout == "list":
        return array.tolist()
    if layout == "frame" and array.ndim == 2:
        return pd.DataFrame(array.astype(array.dtype.newbyteorder("=")) if array.dtype.kind != "O" else array)
    if layout == "F":
        return np.asfortranarray(array)
    if layout == "reversed":
        return array[::-1].copy()[::-1]
    if layout == "strided":
        wide = np.full([2 * n + 1 for n in array.shape], array.dtype.type(1) if array.dtype.kind != "O" else None)
        view = wide[tuple(slice(1, None, 2) for _ in array.shape)]
        view[...] = array
        return view
    if layout == "unaligned" and array.dtype.kind != "O":
        raw = np.zeros(array.nbytes + 1, np.uint8)
        view = np.ndarray(array.shape, array.dtype, raw, offset=1)
        view[...] = array
        return view
    array = array.copy()
    array.flags.writeable = layout != "read-only"
    return array


@st.composite
def networks(draw, kind=None, cells=CELLS, **fixed):
    """Draw an estimator that is not fitted, of a few epochs."""
    width = draw(st.integers(1, 18))
    n_layers = draw(st.integers(1, 3))
    sizes = draw(st.one_of(st.just([width] * n_layers), st.lists(st.integers(1, 18), min_size=1, max_size=3)))
    options = {
        "cell": draw(st.sampled_from(cells)),
        "hidden_size": sizes,
        "bidirectional": draw(st.booleans()),
        "norm": draw(st.sampled_from([None, "layer", "rms"])),
        "residual": draw(st.integers(0, len(sizes) - 1)),
        "pooling": draw(st.sampled_from(["last", "mean", "attention"])),
        "attention_heads": draw(st.sampled_from([0, 0, 1])),
        "patch_length": (patch_length := draw(st.integers(1, 3))),
        "sequence_length": draw(st.integers(patch_length, 9)),
        "input_scaling": draw(st.sampled_from(["standard", "robust", None])),
        "dtype": draw(st.sampled_from(["float64", "float32"])),
    }
    kind = draw(st.sampled_from([DeepRNNRegressor, DeepRNNClassifier])) if kind is None else kind
    return kind(**{**STEP, "learning_rate_init": 0.02, **options, **fixed})


@st.composite
def groups_of(draw, n_rows):
    """Draw the label of each row, in blocks, or None."""
    if draw(st.booleans()):
        return None
    cuts = sorted(draw(st.sets(st.integers(1, max(1, n_rows - 1)), max_size=4)))
    sizes = np.diff([0, *(cut for cut in cuts if cut < n_rows), n_rows])
    labels = draw(st.permutations(["b", "a", "c d", "", "é"])) if draw(st.booleans()) else [7, -1, 3, 0, 12]
    return np.repeat(np.array(labels[: len(sizes)]), sizes)


def windows(X, length, groups=None):
    """Return the last rows up to each row, inside its group."""
    groups = np.zeros(len(X)) if groups is None else groups
    found = []
    for i in range(len(X)):
        rows = np.arange(max(0, i - length + 1), i + 1)
        found.append(X[rows[groups[rows] == groups[i]]])
    return found


def targets(model, rng, n, n_outputs=1):
    """Return what a model may learn of n samples, with each class of a classifier."""
    if isinstance(model, DeepRNNClassifier):
        n_classes = min(n, 1 + n_outputs)
        return np.array(["a", "b", "c"])[rng.permutation(np.arange(n) % n_classes)]
    y = rng.normal(size=(n, n_outputs)) * 5 + 20
    return y if n_outputs > 1 else y[:, 0]


def raw_by_reference(model, sequences, parameters=None):
    parameters = model.parameters_ if parameters is None else parameters
    architecture = Architecture(**model._architecture)
    given = {"mean": model.input_mean_, "scale": model.input_scale_}
    return options_forward(architecture, parameters, sequences, **given).z


def by_reference(model, sequences):
    z = raw_by_reference(model, sequences)
    if isinstance(model, DeepRNNRegressor):
        values = model.target_mean_ + model.target_scale_ * z
        return values if np.ndim(model.target_mean_) else values[:, 0]
    return softmax(z, axis=1) if z.shape[1] > 1 else np.column_stack([expit(-z), expit(z)])


def answers(model, X, **keywords):
    return (model.predict if isinstance(model, DeepRNNRegressor) else model.predict_proba)(X, **keywords)


def same_parameters(first, second):
    for name, array in first.parameters_.items():
        assert_array_equal(array, second.parameters_[name], err_msg=name)


# Tables


@drawn
@given(st.data(), networks(), st.integers(2, 24), st.integers(1, 6), st.integers(1, 2), st.integers(0, 2**32 - 1))
def test_tables_of_any_dtype_and_layout(data, model, n_rows, n_columns, n_outputs, seed):
    rng = np.random.default_rng(seed)
    X = numbers(rng, (n_rows, n_columns), data.draw(st.sampled_from(DTYPES)))
    layout, groups = data.draw(st.sampled_from(LAYOUTS)), data.draw(groups_of(n_rows))
    y = targets(model, rng, n_rows, n_outputs)
    given_X = laid_out(X, layout)
    model.fit(given_X, laid_out(y, data.draw(st.sampled_from(LAYOUTS))), groups=groups)
    found = answers(model, given_X, groups=groups)
    plain = X.astype(np.float64)
    assert_allclose(
        found, by_reference(model, windows(plain, model.sequence_length, groups)), **TOLERANCES[model.dtype]
    )
    # The same bits from the same numbers in C order, in float64.
    same_parameters(model, type(model)(**model.get_params()).fit(plain, y, groups=groups))
    assert_array_equal(answers(model, plain, groups=groups), found)
    if groups is None:
        k = data.draw(st.integers(1, n_rows - 1))
        assert_array_equal(answers(model, laid_out(X[k:], layout), context=laid_out(X[:k], layout)), found[k:])


@drawn
@given(st.data(), networks(bidirectional=False), st.integers(2, 16), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_streams_of_any_dtype_and_layout(data, model, n_rows, n_columns, seed):
    rng = np.random.default_rng(seed)
    X = numbers(rng, (n_rows, n_columns), data.draw(st.sampled_from(DTYPES)))
    layout = data.draw(st.sampled_from(LAYOUTS))
    model.fit(X, targets(model, rng, n_rows))
    expected = answers(model, X)
    method = "predict" if isinstance(model, DeepRNNRegressor) else "predict_proba"
    stream = model.stream(response_method=method)
    steps = [np.squeeze(stream.step(laid_out(X[[k]], layout)[0] if layout == "list" else X[k])) for k in range(n_rows)]
    assert_array_equal(np.reshape(steps, expected.shape), expected)
    begin = data.draw(st.integers(1, n_rows))
    stream = model.stream(response_method=method, context=laid_out(X[:begin], layout))
    for k in range(begin, n_rows):
        assert_array_equal(np.ravel(stream.step(X[k])), np.ravel(expected[k]))


# Sets of sequences


@drawn
@given(st.data(), networks(), st.lists(st.integers(1, 12), min_size=2, max_size=7), st.integers(0, 2**32 - 1))
def test_sequences_of_any_length_dtype_and_layout(data, model, lengths, seed):
    rng, n_columns = np.random.default_rng(seed), data.draw(st.integers(1, 6))
    dtype, layout = data.draw(st.sampled_from(DTYPES)), data.draw(st.sampled_from(LAYOUTS))
    if data.draw(st.booleans()):
        array = numbers(rng, (len(lengths), lengths[0], n_columns), dtype)
        sequences, X = list(array), laid_out(array, layout)
    else:
        sequences = [numbers(rng, (n, n_columns), dtype) for n in lengths]
        X = [laid_out(one, layout) for one in sequences]
    y = targets(model, rng, len(lengths), data.draw(st.integers(1, 2)))
    model.fit(X, y)
    found = answers(model, X)
    expected = by_reference(model, [one.astype(np.float64) for one in sequences])
    assert_allclose(found, expected, **TOLERANCES[model.dtype])
    k = data.draw(st.integers(0, len(lengths) - 1))
    assert_array_equal(answers(model, [sequences[k]])[0], found[k])
    order = data.draw(st.permutations(range(len(lengths))))
    assert_array_equal(answers(model, [sequences[i] for i in order]), found[list(order)])
    same_parameters(model, type(model)(**{**model.get_params(), "n_jobs": 3}).fit(sequences, y))


# Losses, gradients and weights of samples


def weights_of(rng, n, y):
    """Return weights of which some are zero, none of all samples of a class, in any unit."""
    weights = rng.integers(0, 4, n).astype(float) * 10.0 ** rng.integers(-6, 7)
    for label in np.unique(y) if y.dtype.kind == "U" else [y[:1]]:
        own = np.flatnonzero(y == label) if y.dtype.kind == "U" else np.arange(n)
        if not weights[own].any():
            weights[own[0]] = weights.max() or 1.0
    return weights


def reference_loss(model, sequences, y, weights, parameters):
    """Return the weighted mean of the loss at some parameters; samples without weight are not there."""
    kept = np.flatnonzero(weights)
    z = raw_by_reference(model, [sequences[i] for i in kept], parameters)
    shares = weights[kept] / weights.sum()
    if isinstance(model, DeepRNNRegressor):
        # A target that never changes has no scale: it is its mean.
        mean, scale = model.target_mean_, np.where(model.target_scale_, model.target_scale_, 1.0)
        scaled = np.reshape((y[kept] - mean) / scale, (len(kept), -1))
        return half_squared_error(z, scaled, shares)[0] / scaled.shape[1]
    labels = np.searchsorted(model.classes_, y)[kept]
    return (binary_log_loss if z.shape[1] == 1 else multinomial_log_loss)(z, labels, shares)[0]


@drawn
@given(st.data(), networks(dtype="float64"), st.integers(6, 16), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_loss_and_gradient_with_weights_of_samples(data, model, n, n_columns, seed):
    """Of the first step of gradient descent, by two step sizes; the gradient along a direction, by differences."""
    rng = np.random.default_rng(seed)
    y = targets(model, rng, n, data.draw(st.integers(1, 2)))
    weights = weights_of(rng, n, y)
    if data.draw(st.booleans()):
        X, keywords = numbers(rng, (n, n_columns)), {"groups": data.draw(groups_of(n))}
        sequences = windows(X, model.sequence_length, keywords["groups"])
    else:
        X = sequences = [numbers(rng, (length, n_columns)) for length in rng.integers(1, 9, n)]
        keywords = {}
    rate = 1e-3
    one, two = (
        type(model)(**{**model.get_params(), "learning_rate_init": size}).fit(X, y, sample_weight=weights, **keywords)
        for size in (rate, 2 * rate)
    )
    start = {name: 2 * array - two.parameters_[name] for name, array in one.parameters_.items()}
    gradient = {name: (array - two.parameters_[name]) / rate for name, array in one.parameters_.items()}
    assert_allclose(one.loss_, reference_loss(one, sequences, y, weights, start), rtol=1e-8, atol=1e-10)
    direction = {name: rng.normal(size=array.shape) for name, array in start.items()}
    along = sum(np.sum(gradient[name] * direction[name]) for name in start)
    ends = [
        reference_loss(one, sequences, y, weights, {name: start[name] + step * direction[name] for name in start})
        for step in (1e-5, -1e-5)
    ]
    ahead, behind = (ends[0] - one.loss_) / 1e-5, (one.loss_ - ends[1]) / 1e-5
    # Differences say little where the loss is bent: a rectifier at 0, as of a column's median, or a norm over two units
    # of almost the same value. The slopes on both sides tell, and the gradient is one of them, or between them.
    bend = abs(ahead - behind)
    assume(bend < 1e-3 * max(1.0, abs(ahead)))
    size = np.sqrt(sum(np.sum(array**2) for array in gradient.values()))
    assert_allclose(along, (ends[0] - ends[1]) / 2e-5, rtol=1e-5, atol=1e-6 * max(size, 1.0) + bend / 2)
