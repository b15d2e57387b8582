"""Every rule of the reader is broken once: descriptions, arrays and fitted attributes that no writer makes."""

import copy
import functools
import json

import numpy as np
import pytest
from model_case import MODELS, X, Y, regressor
from model_mutations import parts_of, signed
from sklearn.preprocessing import StandardScaler

from sklstm import ModelFormatError, load_model, save_model
from sklstm._model_files.json_text import read_json
from sklstm._model_files.objects import ObjectReader

LETTERS = np.array([[97, 98]], np.uint32)
DESCRIBED = {
    "text of integers": ({"array": "a", "dtype": "<U3"}, {"a": np.zeros(3, "i4")}, "stored as int32, which does not"),
    "shorter text": ({"array": "a", "dtype": "<U3"}, {"a": LETTERS}, "has 2 characters, which is not dtype <U3"),
    "no letter": ({"array": "a", "dtype": "<U2"}, {"a": LETTERS + 0x110000}, "holds a number that is no character"),
    "order": ({"array": "a", "order": "C"}, {"a": X}, "the unknown order 'C'"),
    "dtype": ({"dtype": "<f9"}, {}, "cannot be read"),
    "dtype of objects": ({"dtype": "<f4,<f4"}, {}, "the unknown dtype '<f4,<f4'"),
    "short scalar": ({"scalar": "00", "dtype": "<f8"}, {}, "has 1 bytes, which is not dtype <f8"),
    "bool": ({"scalar": "02", "dtype": "|b1"}, {}, "a bool that is neither 0 nor 1"),
    "letter": ({"scalar": "00001100", "dtype": "<U1"}, {}, "holds a number that is no character"),
    "packed floats": ({"packed": {"array": "a"}}, {"a": np.zeros(3, "f4")}, "is no list, and no array of the items"),
    "packed matrix": ({"tuple": {"array": "a"}}, {"a": X}, "is no list, and no array of the items of one"),
    "packed": ({"packed": 3}, {}, "is no list, and no array of the items of one"),
    "many items": ({"packed": {"array": "a"}}, {"a": np.zeros(2_000_000, "i8")}, "has too many items"),
    "texts": (
        {"packed": {"texts": "a", "lengths": "b"}},
        {"a": np.zeros(3, "u1"), "b": np.array([2, 2])},
        "lengths of texts do not go with their bytes",
    ),
    "pairs": ({"pairs": [[1]]}, {}, "needs pairs of a key and a value"),
    "pairs twice": ({"pairs": [[1, 2], [1, 3]]}, {}, "has a key twice"),
    "entries": ({"entries": 1}, {}, "has entries that are no entries"),
    "object": ({"object": "sklstm.cells.LSTM", "parameters": [], "state": {}}, {}, "has no parameters and state"),
    "state": ({"object": "sklstm.cells.LSTM", "parameters": {}, "state": {"x": 1}}, {}, "has the attribute 'x'"),
    "steps": (
        {"object": "sklearn.pipeline.Pipeline", "parameters": {"steps": [{"tuple": [1, None]}]}, "state": {}},
        {},
        "needs a name and an estimator for each member or step",
    ),
    "requests": ({"requests": {"fit": {"groups": 1.5}}}, {}, "has requests that are none"),
    "generator": ({"generator": [1], "position": [1, 0, 0.0]}, {}, "is no state of a generator of random numbers"),
}


@pytest.mark.parametrize("name", DESCRIBED)
def test_a_description_that_is_none(name):
    description, arrays, message = DESCRIBED[name]
    with pytest.raises(ModelFormatError, match=f"^it .*{message}|^it.*: {message}"):
        ObjectReader(arrays).decode(description, "it")


@pytest.mark.parametrize(
    ("text", "message"),
    [("[1e999]", "the number 1e999, which is beyond float64"), ("[NaN]", "holds NaN, which is no JSON")],
)
def test_numbers_that_json_does_not_hold(text, message):
    with pytest.raises(ModelFormatError, match=message):
        read_json(text, "the header")


def no_checksum(header, data):
    header["__metadata__"]["sha256"] = "x"
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def empty_array(header, data):
    header["more"] = {"dtype": "F4".replace("4", "32"), "shape": [0, 1 << 61, 1 << 61], "data_offsets": [0, 0]}
    return signed(header, data)


def settings(**entries):
    def edit(header, data):
        description = json.loads(header["__metadata__"]["model"])
        description["state"].update(entries)
        header["__metadata__"]["model"] = json.dumps(description)
        return signed(header, data)

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (no_checksum, "no checksum .sha256. of 64 hexadecimal digits"),
        (empty_array, "'more' cannot have shape"),
        (settings(_sklearn_output_config=3), "_sklearn_output_config is none"),
        (settings(_metadata_request={"requests": {"colour": {}}}), "requests of the method 'colour'"),
    ],
)
def test_a_file_that_no_writer_makes(edit, message, tmp_path):
    save_model(fitted("default"), tmp_path / "model")
    (tmp_path / "model").write_bytes(edit(*parts_of((tmp_path / "model").read_bytes())))
    with pytest.raises(ModelFormatError, match=message):
        load_model(tmp_path / "model")


def test_bytes_that_are_no_bool(tmp_path):
    save_model(fitted("selector"), tmp_path / "model")
    header, data = parts_of((tmp_path / "model").read_bytes())
    begin = header["support_"]["data_offsets"][0]
    (tmp_path / "model").write_bytes(signed(header, data[:begin] + b"\x02" + data[begin + 1 :]))
    with pytest.raises(ModelFormatError, match="'support_' of BOOL holds bytes that are neither 0 nor 1"):
        load_model(tmp_path / "model")


# Fitted attributes


@functools.cache
def cached(name):
    return {**MODELS, "in parts": lambda: regressor().partial_fit(X, Y)}[name]()


def fitted(name):
    return copy.deepcopy(cached(name))


def inner(attribute, **entries):
    """Return a change of entries of an attribute that is a dict."""
    return lambda model: vars(model).update({attribute: {**vars(model)[attribute], **entries}})


def span(**entries):
    return lambda model: model._row_order.update(span={**model._row_order["span"], **entries})


def loop(**entries):
    return lambda model: model._training_state.update(loop={**model._training_state["loop"], **entries})


def lose(attribute):
    return lambda model: delattr(model, attribute)


DAMAGED = {
    "name": ("names", {"feature_names_in_": np.array(["a", "b", 3], object)}, "names that are texts"),
    "mean": ("default", {"target_mean_": np.zeros(2)}, r"numbers of float64 of shape \(\)"),
    "infinite mean": ("default", {"target_mean_": np.float64(np.inf)}, "finite numbers of float64"),
    "three axes": ("outputs", inner("_coding", shape=(2, 1, 1)), "at most two axes"),
    "flag": ("default", inner("_coding", is_huge=1), "True or False"),
    "float32": ("selector", {"scores_": np.zeros(3, "f4")}, "one of float64"),
    "negative": ("default", inner("_input_moments", deviation=np.full(3, -1.0)), "numbers of at least 0"),
    "no moments": ("default", {"_input_moments": 3}, "the entries"),
    "label": ("frame in parts", span(groups=[["x"]]), "a label"),
    "lengths": ("frame in parts", span(names=[]), "lists of different lengths"),
    "step": ("frame in parts", span(step="x"), "a step between two rows"),
    "means": ("units of a column", {"group_means_": np.zeros((3, 1))}, r"numbers of shape \(n_groups, 2\)"),
    "classes": ("two labels", {"classes_": np.array(["up", "down"])}, "two labels or more, different and sorted"),
    "context": ("carried groups", {"context_groups_": np.array(["a"])}, "context_groups_ has not as many labels"),
    "member": ("ensemble", {"estimators_": [StandardScaler().fit(X)] * 2}, "a fitted estimator with predict"),
    "names": ("ensemble", {"_fitted_names": {1: True}}, "expected names"),
    "class": ("calibrated", inner("calibration_", **{"7": np.zeros(2)}), "calibrators of classes by their numbers"),
    "curve": (
        "calibrated",
        inner("calibration_", **{"0": np.zeros(3)}),
        r"an array of shape \(2,\) or \(2, n_points\)",
    ),
    "falling": ("calibrated", inner("calibration_", **{"0": np.array([[1.0, 0.0]] * 2)}), "increasing points"),
    "lost": ("dynamic weights", lose("dynamics_"), "has weight_history_, but not all of"),
    "history": ("dynamic weights", {"history_steps_": np.arange(9)}, "weight_history_ and history_steps_ have diff"),
    "no weight": ("ensemble", {"weights_": np.zeros(2)}, "a weight above 0"),
    "solver": ("in parts", lambda model: model._training_state["loop"].pop("solver"), "a solver beside it"),
    "schedule": (
        "in parts",
        loop(schedule={"name": "reduce_on_plateau", "state": {"factor": 1.0}}),
        "the state of a schedule",
    ),
    "skip": ("in parts", lambda model: model._training_state.update(skip=np.zeros(3, "f4")), "without a linear skip"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_an_attribute_that_is_damaged(name, tmp_path):
    made, change, message = DAMAGED[name]
    model = fitted(made)
    if callable(change):
        change(model)
    else:
        vars(model).update(change)
    with pytest.raises(ValueError, match=f"(?s)the model is damaged.*{message}"):
        save_model(model, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []
