"""Steps on flat vectors: AdamW, its segments of weight decay, the norm, and the clipping made of it."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference.optimizers import AdamWState
from reference.optimizers import adamw_step as reference_step
from reference.optimizers import clip_by_global_norm as reference_clip
from reference.vectors import load_cases

from sklstm._kernels import available_isas
from sklstm._kernels.optim._updates import UPDATE_RULES, squared_norm, update_step
from sklstm._network.workspace import aligned_empty
from sklstm._training.clipping import Clipping, global_norm

CASES = load_cases("torch_adamw")
SETTINGS = {"learning_rate": 1e-2, "beta1": 0.9, "beta2": 0.99, "epsilon": 1e-8}
# Longer than two of the blocks that the threads share, and cut just beside, at and across their ends.
BLOCK = 1 << 14
ENDS = np.array([1, 17, BLOCK - 1, BLOCK, BLOCK + 1, BLOCK + 2, 2 * BLOCK + 900], np.intp)
DECAYS = np.array([0.1, 0.0, 0.2, 0.3, 0.0, 0.5, 0.05])
N = int(ENDS[-1])

each_isa = pytest.mark.parametrize("isa", available_isas())
each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def flatten(arrays, names):
    return np.concatenate([np.ravel(arrays[name]) for name in names])


@each_isa
@pytest.mark.parametrize("name", CASES)
def test_adamw_and_clipping_follow_torch(name, isa):
    """Five steps in a row on the stored gradients, so errors would add up."""
    case = CASES[name]
    settings = {key: float(value) for key, value in case["settings"].items()}
    names = list(case["start"])
    ends = np.cumsum([case["start"][key].size for key in names], dtype=np.intp)
    exempt = [name == "decay_weights" and "bias" in key for key in names]
    decays = np.where(exempt, 0.0, settings["weight_decay"])
    assert name == "decay_all" or 0 < sum(exempt) < len(names)
    flat = flatten(case["start"], names)
    mean, square = np.zeros_like(flat), np.zeros_like(flat)
    factors = []
    for number in range(5):
        gradient = flatten(case[f"step_{number}"]["gradients"], names)
        norm = global_norm(gradient, 1)
        factor = Clipping(settings["max_norm"]).factor(norm)
        assert_allclose(norm, case["norm"][number], rtol=1e-10)
        factors.append(factor)
        update_step(
            "adamw", flat, gradient, mean, square, ends, decays, 1, scale=factor,
            learning_rate=settings["learning_rate"], beta1=settings["beta_1"],
            beta2=settings["beta_2"], epsilon=settings["epsilon"], step=number + 1, isa=isa,
        )  # fmt: skip
        expected = flatten(case[f"step_{number}"]["parameters"], names)
        assert_allclose(flat, expected, rtol=1e-10, atol=1e-13)
    assert min(factors) < 1.0


def draw_state(dtype):
    """Parameters, gradient, mean and square, over several orders of magnitude."""
    rng = np.random.default_rng(12)
    sizes = 10.0 ** rng.uniform(-6.0, 1.0, (3, N))
    parameters, gradient, mean = (sizes * rng.choice([-1.0, 1.0], (3, N))).astype(dtype)
    square = (10.0 ** rng.uniform(-12.0, 1.0, N)).astype(dtype)
    gradient[::97] = 0.0
    return parameters, gradient, mean, square


@each_isa
@each_dtype
@pytest.mark.parametrize("step", [1, 3, 1000])
def test_adamw_against_reference(step, dtype, isa):
    parameters, gradient, mean, square = draw_state(dtype)
    if step == 1:
        mean[:], square[:] = 0.0, 0.0
    names = [str(k) for k in range(len(ENDS))]
    arrays, grads, means, squares = (
        dict(zip(names, np.split(v.astype(np.float64), ENDS[:-1]), strict=True))
        for v in (parameters, 0.25 * gradient, mean, square)
    )
    expected, state = reference_step(
        arrays,
        grads,
        AdamWState(step - 1, means, squares),
        learning_rate=SETTINGS["learning_rate"],
        beta_1=SETTINGS["beta1"],
        beta_2=SETTINGS["beta2"],
        epsilon=SETTINGS["epsilon"],
        weight_decay=dict(zip(names, DECAYS, strict=True)),
    )
    found = [v.copy() for v in (parameters, gradient, mean, square)]
    update_step("adamw", *found, ENDS, DECAYS, 1, scale=0.25, step=step, isa=isa, **SETTINGS)
    assert_array_equal(found[1], gradient)
    # float32: a few roundings; the sum of a mean may cancel, hence the absolute parts.
    eps = 1e-6 if dtype == "float32" else 1e-14
    assert_allclose(found[3], flatten(state.mean_square, names), rtol=eps)
    assert_allclose(found[2], flatten(state.mean, names), rtol=eps, atol=eps * 10.0)
    moved = np.abs(flatten(expected, names) - parameters)
    error = np.abs(found[0] - flatten(expected, names))
    size = np.abs(mean) + np.abs(gradient)
    cancelled = moved * size / np.maximum(np.abs(found[2]), np.finfo(dtype).tiny)
    assert (error <= eps * (np.abs(parameters) + moved + cancelled)).all()


@each_isa
@each_dtype
def test_adamw_is_the_same_for_any_threads_and_cut(dtype, isa):
    start = [np.tile(v, 8) for v in draw_state(dtype)]  # long enough to be shared
    ends, decays = np.concatenate([ENDS + k * N for k in range(8)]), np.tile(DECAYS, 8)
    results = []
    for n_threads in (1, 2, 3, 4, 8):
        arrays = [v.copy() for v in start]
        update_step("adamw", *arrays, ends, decays, n_threads, scale=0.5, step=7, isa=isa, **SETTINGS)
        results.append(arrays)
    # Each segment by itself, with remainders of vectors in other places.
    parts = [v.copy() for v in start]
    for begin, end, decay in zip([0, *ends[:-1]], ends, decays, strict=True):
        # Copies, since the segments begin anywhere.
        piece = [v[begin:end].copy() for v in parts]
        one = np.array([end - begin], np.intp), np.array([decay])
        update_step("adamw", *piece, *one, 1, scale=0.5, step=7, isa=isa, **SETTINGS)
        for whole, part in zip(parts, piece, strict=True):
            whole[begin:end] = part
    for arrays in [*results[1:], parts]:
        for found, expected in zip(arrays, results[0], strict=True):
            assert_array_equal(found, expected)


@each_isa
@each_dtype
def test_zero_gradient_moves_nothing_but_the_decay(dtype, isa):
    parameters = draw_state(dtype)[0]
    start = parameters.copy()
    zeros = [np.zeros(N, dtype) for _ in range(3)]
    update_step("adamw", parameters, *zeros, ENDS, DECAYS, 1, scale=1.0, step=1, isa=isa, **SETTINGS)
    decay = np.repeat(DECAYS, np.diff(ENDS, prepend=0))
    keep = (1.0 - SETTINGS["learning_rate"] * decay).astype(dtype)
    assert_array_equal(parameters, keep * start)
    assert_array_equal(parameters[decay == 0.0], start[decay == 0.0])


@each_isa
@each_dtype
@pytest.mark.parametrize("n", [1, 7, 8, 9, 1000, BLOCK - 1, BLOCK, BLOCK + 1, N])
def test_squared_norm(n, dtype, isa):
    vector = draw_state(dtype)[1][:n].copy()
    exact = math.fsum(float(v) ** 2 for v in vector)
    found = {squared_norm(vector, n_threads, isa) for n_threads in (1, 2, 3, 4, 8)}
    assert len(found) == 1
    assert_allclose(found.pop(), exact, rtol=1e-12)


def test_squared_norm_is_summed_in_double():
    """Neither the squares of large float32 numbers overflow, nor are small ones lost beside a large one."""
    assert_allclose(squared_norm(np.full(1000, 1e30, np.float32), 1), 1e63, rtol=1e-6)
    vector = np.full(BLOCK, 1e-3, np.float32)
    vector[5] = 100.0
    exact = math.fsum(float(v) ** 2 for v in vector)
    assert_allclose(squared_norm(vector, 1), exact, rtol=1e-12)
    assert exact > 1e4 + 0.01
    assert np.isnan(squared_norm(np.array([1.0, np.nan]), 1))
    assert np.isposinf(squared_norm(np.array([1.0, np.inf], np.float32), 1))


@each_dtype
@pytest.mark.parametrize("max_norm", [0.5, 2.0, 1e9, None])
def test_clipping_against_reference(max_norm, dtype):
    gradient = draw_state(dtype)[1]
    before = gradient.copy()
    norm = global_norm(gradient, 2)
    factor = Clipping(max_norm).factor(norm)
    assert_array_equal(gradient, before)
    reference = np.inf if max_norm is None else max_norm
    clipped, expected_norm = reference_clip({"all": gradient}, reference)
    assert_allclose(norm, expected_norm, rtol=1e-12)
    assert_allclose(factor * gradient.astype(np.float64), clipped["all"], rtol=1e-12)
    assert (factor == 1.0) == (max_norm is None or max_norm > norm)


def test_clipping_of_a_zero_gradient():
    assert (Clipping(1.0).factor(0.0), global_norm(np.zeros(5), 1)) == (1.0, 0.0)


def step_arguments():
    return {
        "parameters": np.ones(4),
        "gradient": np.ones(4),
        "first": np.zeros(4),
        "second": np.zeros(4),
        "ends": np.array([2, 4], np.intp),
        "decays": np.zeros(2),
    }


def read_only():
    array = np.ones(4)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("gradient", np.ones(4, np.float32), "expected a contiguous float64 array of 4"),
        ("gradient", np.ones(3), "expected a contiguous float64 array of 4"),
        ("gradient", np.ones(8)[::2], "not C-contiguous"),
        ("first", np.ones(3), "expected a contiguous float64 array of 4"),
        ("second", np.ones(4, np.float32), "expected a contiguous float64 array of 4"),
        ("parameters", read_only(), "read-only"),
        ("ends", np.array([2, 3], np.intp), "the segments do not cover the parameters"),
        ("ends", np.array([4], np.intp), "the segments do not cover the parameters"),
    ],
)
def test_wrong_arrays_are_refused(name, value, message):
    """The door looks at what C would read or write beyond its end."""
    arguments = step_arguments() | {name: value}
    with pytest.raises(ValueError, match=message):
        update_step("adamw", *arguments.values(), 1, scale=1.0, step=1, **SETTINGS)
    valid = step_arguments()
    update_step("adamw", *valid.values(), 1, scale=1.0, step=1, **SETTINGS)
    assert_allclose(valid["parameters"], 0.99, rtol=1e-8)


@each_dtype
@pytest.mark.parametrize("rule", UPDATE_RULES)
def test_a_step_from_one_place_to_another(rule, dtype):
    generator = np.random.default_rng(0)
    arrays = [generator.random(N).astype(dtype) for _ in range(4)]
    x, gradient, first, second = arrays
    settings = {**SETTINGS, "scale": 0.5, "step": 3, "mixing": 0.1}
    before = [array.copy() for array in arrays]
    room = [np.full(N + 1, np.nan, dtype)[1:] for _ in range(3)]  # not where vectors usually begin
    update_step(rule, room[0], gradient, *room[1:], ENDS, DECAYS, 2, source=(x, first, second), **settings)
    for array, kept in zip(arrays, before, strict=True):
        assert_array_equal(array, kept)
    update_step(rule, x, gradient, first, second, ENDS, DECAYS, 1, **settings)
    for found, expected in zip(room, (x, first, second), strict=True):
        assert_array_equal(found, expected)


@each_dtype
@pytest.mark.parametrize("rule", UPDATE_RULES)
def test_steps_say_whether_weights_are_finite(rule, dtype):
    largest = float(np.sqrt(np.finfo(dtype).max))
    settings = {**SETTINGS, "scale": 1.0, "step": 1, "mixing": 0.1}
    for place in (0, 40, N - 1):
        for value, is_finite in ((0.5 * largest, True), (4 * largest, False), (np.nan, False), (-np.inf, False)):
            x, gradient, first, second = (np.zeros(N, dtype) for _ in range(4))
            x[place] = value
            if rule == "schedule_free":  # x is between the mean of all points and the newest, first
                first[place] = value
            found = update_step(rule, x, gradient, first, second, ENDS, np.zeros(len(ENDS)), 2, **settings)
            assert found == is_finite, (place, value)


@pytest.mark.parametrize("rule", ["adamw", "schedule_free"])
def test_a_long_step_past_the_caches(rule):
    """From 8 MB on, where arrays begin on 64 bytes."""
    n, generator = (1 << 21) + 5, np.random.default_rng(0)
    arrays = [generator.random(n, np.float32) for _ in range(4)]
    x, gradient, first, second = arrays
    room = [aligned_empty(4 * n).view(np.float32) for _ in range(3)]
    settings = {**SETTINGS, "scale": 0.5, "step": 3, "mixing": 0.1}
    ends, decays = np.array([100_003, n], np.intp), np.array([0.1, 0.0])
    update_step(rule, room[0], gradient, *room[1:], ends, decays, 2, source=(x, first, second), **settings)
    update_step(rule, x, gradient, first, second, ends, decays, 1, **settings)
    for found, expected in zip(room, (x, first, second), strict=True):
        assert_array_equal(found, expected)
