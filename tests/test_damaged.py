"""Fitted estimators whose attributes were damaged, as by a truncated or edited pickle: an error, never a kernel."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sklstm import DeepLSTMRegressor

HERE = Path(__file__).parent


def fitted(**parameters):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4))
    model = DeepLSTMRegressor(hidden_size=5, sequence_length=6, max_iter=1, random_state=0, **parameters)
    return model.fit(X, X[:, 0]), X


def architecture(**entries):
    return lambda model: model._architecture.update(entries)


def without(name):
    return lambda model: model._architecture.pop(name)


def arrays(**entries):
    def damage(model):
        model.parameters_ = {**model.parameters_, **{name: change(model) for name, change in entries.items()}}

    return damage


def attributes(**entries):
    return lambda model: model.__dict__.update(entries)


def drop_array(name):
    def damage(model):
        model.parameters_ = {key: value for key, value in model.parameters_.items() if key != name}

    return damage


DAMAGES = {
    # These three ended in a division trap, in an abort, and in an answer from beyond the table.
    "no patch": (architecture(patch_length=0), "patch_length=0, expected an integer of at least 1"),
    "negative outputs": (architecture(n_outputs=-5), "n_outputs=-5, expected an integer of at least 1"),
    "fewer features": (attributes(n_features_in_=2), "n_features_in_=2, but the network reads 4"),
    "more features": (attributes(n_features_in_=400), "n_features_in_=400, but the network reads 4"),
    "outputs": (architecture(n_outputs=3), "weight_out is an array of float32 of shape .1, 5., expected .* .3, 5."),
    "input size": (architecture(input_size=1), "weight_ih_l0 is .* expected floating-point numbers of shape .20, 1."),
    "huge input": (architecture(input_size=2**62), "at most 6.9e.10 can be"),
    "negative input": (architecture(input_size=-1), "input_size=-1"),
    "no layers": (architecture(hidden_sizes=()), "hidden_sizes is empty"),
    "layer of nothing": (architecture(hidden_sizes=(0,)), "hidden_sizes=0"),
    "half a unit": (architecture(hidden_sizes=(4.5,)), "hidden_sizes=4.5"),
    "more layers": (architecture(hidden_sizes=(5, 5)), "the arrays are called"),
    "huge layer": (architecture(hidden_sizes=(2**62,)), "the network would have"),
    "text": (architecture(patch_length="1"), "patch_length='1'"),
    "truth": (architecture(residual=True), "residual=True"),
    "negative skip": (architecture(linear_skip=-1), "linear_skip=-1"),
    "negative heads": (architecture(attention_heads=-1), "attention_heads=-1"),
    "negative projection": (architecture(projection_size=-3), "projection_size=-3"),
    "both directions": (architecture(bidirectional=True), "the arrays are called"),
    "direction": (architecture(bidirectional="yes"), "bidirectional='yes'"),
    "pooling": (architecture(pooling="max"), "pooling='max', expected one of"),
    "norm": (architecture(norm="batch"), "norm='batch'"),
    "window norm": (architecture(window_norm="first"), "window_norm='first'"),
    "zoneout": (architecture(zoneout=float("nan")), "zoneout=nan"),
    "unknown entry": (architecture(cells="gru"), "cells"),
    "unknown cell": (architecture(cell="gre"), "cell='gre'"),
    "another cell": (architecture(cell="gru"), "weight_ih_l0 is an array .* expected .* of shape"),
    "peephole of no LSTM": (architecture(cell="elman", peephole=True), "peephole=True"),
    "projection of a gated h": (architecture(cell="mgu", projection_size=2), "projection_size=2"),
    "lost entry": (without("input_size"), "input_size"),
    "lost pooling": (without("pooling"), "the architecture lacks .'pooling'."),
    "lost array": (drop_array("bias_l0"), "the arrays are called"),
    "lost head": (drop_array("weight_out"), "weight_out|the arrays are called"),
    "truncated array": (arrays(weight_hh_l0=lambda m: m.parameters_["weight_hh_l0"][:7]), "weight_hh_l0 is an array"),
    "flat array": (arrays(weight_hh_l0=lambda m: m.parameters_["weight_hh_l0"].ravel()), "weight_hh_l0 is an array"),
    "integers": (arrays(bias_l0=lambda m: np.zeros(20, np.int64)), "bias_l0 is an array of int64"),
    "list": (arrays(bias_l0=lambda m: [0.0] * 20), "bias_l0 is <class 'list'>"),
    "half precision": (arrays(weight_out=lambda m: np.zeros((1, 5), np.float16)), "are of float16"),
    "mean of fewer columns": (attributes(input_mean_=np.zeros(3)), "input_mean_ is .* expected 4 finite numbers"),
    "no scale": (attributes(input_scale_=None), "input_scale_ is None"),
    "single scale": (attributes(input_scale_=np.ones(4, np.float32)), "input_scale_ is .* numbers of float64"),
    "scale not finite": (attributes(input_scale_=np.array([1.0, np.nan, 1.0, 1.0])), "input_scale_ is .* finite"),
    "scale of zero": (attributes(input_scale_=np.array([1.0, 0.0, 1.0, 1.0])), "input_scale_ is .* above 0"),
    "NaN in an array": (arrays(bias_l0=lambda m: np.full(20, np.nan, np.float32)), "parameters_ hold NaN or infinity"),
    "mean not finite": (attributes(target_mean_=np.float64("nan")), "target_mean_=.*nan.* no mean"),
    "negative deviation": (attributes(target_scale_=np.float64(-1.0)), "target_scale_=.*-1.* no deviation"),
    "carried NaN": (attributes(context_=np.full((5, 4), np.nan)), "context_ holds NaN or infinity"),
    "norm of no column": (architecture(window_norm="last"), "window_norm='last' does not go with .* columns None"),
    "more targets": (attributes(target_mean_=np.zeros(3), target_scale_=np.ones(3)), "1 outputs, .* targets need 3"),
}


FATAL = ("no patch", "negative outputs", "fewer features")


def test_what_ended_the_process_is_refused():
    code = f"import sys; sys.path.insert(0, {str(HERE)!r}); import test_damaged as t; [t.ask(n) for n in t.FATAL]"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, (run.returncode, run.stderr)


@pytest.mark.parametrize("name", [name for name in DAMAGES if name not in FATAL])
def test_a_damaged_estimator_is_refused(name):
    ask(name)


def ask(name):
    damage, message = DAMAGES[name]
    for method in ("predict", "transform", "stream"):
        model, X = fitted()
        damage(model)
        with pytest.raises(ValueError, match=f"this DeepLSTMRegressor is damaged.*({message})"):
            model.stream() if method == "stream" else getattr(model, method)(X[:, : model.n_features_in_])


def test_damaged_columns_of_the_targets_are_refused():
    model, X = fitted(window_norm="last", target_column=0)
    model._coding["columns"] = [9]
    with pytest.raises(ValueError, match=r"damaged.*columns \[9\], but there are 4"):
        model.predict(X)
    for columns in (None, [], [0, 1]):  # answers would be relative, or put back by others
        model._coding["columns"] = columns
        with pytest.raises(ValueError, match=r"damaged.*window_norm='last' does not go with targets"):
            model.predict(X)


def test_training_does_not_go_on_from_damaged_arrays():
    model, X = fitted(learning_rate="constant")
    model.parameters_ = {**model.parameters_, "bias_l0": np.zeros(400, np.float32)}
    before = dict(model.__dict__)
    with pytest.raises(ValueError, match="bias_l0 is an array of float32 of shape"):
        model.partial_fit(X, X[:, 0])
    with pytest.raises(ValueError, match="bias_l0 is an array of float32 of shape"):
        model.set_params(warm_start=True).fit(X, X[:, 0])
    model.set_params(warm_start=False)
    assert model.__dict__ == before


@pytest.mark.parametrize("parameters", [{}, {"bidirectional": True}])
@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"n_rows": np.array([50])}, "n_rows"),
        ({"n_rows": np.array([-1])}, "n_rows"),
        ({"rows": np.zeros((1, 2, 4))}, "rows"),
        ({"rows": np.full((1, 5, 4), np.nan)}, "NaN"),
        ({"more": np.zeros(3)}, "entries"),
    ],
)
def test_a_damaged_state_of_a_stream_is_refused(parameters, entries, message):
    model, X = fitted(**parameters)
    stream = model.stream(window=True, context=X[:4])
    saved = stream.__getstate__()
    pickle.loads(pickle.dumps(stream)).step(X[4])
    saved["state"] = {**saved["state"], **entries}
    with pytest.raises(ValueError, match=message):
        stream.__setstate__(saved)


@pytest.mark.parametrize("size", [3, 10_000])
def test_training_does_not_go_on_with_damaged_moments(size):
    _, X = fitted()
    model = DeepLSTMRegressor(hidden_size=5, sequence_length=6, random_state=0).partial_fit(X, X[:, 0])
    model._training_state["loop"]["moments"]["mean"] = np.ones(size, np.float32)
    with pytest.raises(ValueError, match=rf"expected a vector of 206 numbers, found the shape .{size},."):
        model.partial_fit(X, X[:, 0])
