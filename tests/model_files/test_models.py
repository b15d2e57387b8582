"""Model files: every kind of model comes back with the same attributes, answers and bits."""

import json
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import sklearn
from cell_objects import OBJECTS
from model_case import ARRAY, FRAME, GROUPS, MODELS, X, Y, answers, assert_same, classifier, regressor, transposed
from model_mutations import parts_of

from sklstm import TimeOrderWarning, load_model, save_model
from sklstm._kernels import available_isas


def saved(model, folder):
    """Return a model after a round through a file."""
    save_model(model, folder / "model.safetensors")
    return load_model(folder / "model.safetensors")


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_model_comes_back_as_it_was(name, tmp_path):
    model = MODELS[name]()
    before = answers(name, model)
    again = saved(model, tmp_path)
    assert_same(again, model)
    assert_same(answers(name, again), before)
    content = (tmp_path / "model.safetensors").read_bytes()
    saved(again, tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == content


@pytest.mark.parametrize("cell", OBJECTS)
def test_objects_of_cells(cell, tmp_path):
    model = regressor(cell=OBJECTS[cell], max_iter=1).fit(X, Y)
    again = saved(model, tmp_path)
    assert type(again.cell) is type(model.cell)
    assert_same(again, model)
    assert (again.predict(X) == model.predict(X)).all()


IN_PARTS = (
    "fine skip",
    "seeds in parts",
    "adam",
    "sgd",
    "schedule free",
    "pruned",
    "labels in parts",
)


@pytest.mark.parametrize("name", IN_PARTS)
def test_training_goes_on_as_if_nothing_had_been_saved(name, tmp_path):
    model = MODELS[name]()
    again = saved(model, tmp_path)
    y = model.predict(X)
    assert_same(again.partial_fit(X, y), model.partial_fit(X, y))


@pytest.mark.filterwarnings("error::sklstm.TimeOrderWarning")
def test_a_loaded_model_knows_the_time_of_its_last_row(tmp_path):
    model = regressor().partial_fit(FRAME[:45], Y[:45])
    again = saved(model, tmp_path)
    assert_same(again.partial_fit(FRAME[45:], Y[45:]), model.partial_fit(FRAME[45:], Y[45:]))
    with pytest.raises(TimeOrderWarning):
        saved(model, tmp_path).partial_fit(FRAME[10:45], Y[10:45])


def test_warm_start_and_a_generator_go_on(tmp_path):
    model = regressor(random_state=np.random.RandomState(1), warm_start=True).fit(X, Y)
    again = saved(model, tmp_path)
    assert_same(again.fit(X, Y), model.fit(X, Y))
    model.set_params(warm_start=False)
    again.set_params(warm_start=False)
    assert_same(again.fit(X, Y), model.fit(X, Y))


@pytest.mark.parametrize("name", ["default", "stateful", "seeds", "int8", "skip", "objects", "carried"])
def test_streams_of_a_loaded_model(name, tmp_path):
    model = MODELS[name]()
    streams = [one.stream() for one in (model, saved(model, tmp_path))]
    for row in X[:20]:
        first, second = (np.asarray(stream.step(row)) for stream in streams)
        assert first.tolist() == second.tolist()


def test_carried_groups_and_attention(tmp_path):
    model = regressor(carry_context=True).fit(X, Y, groups=GROUPS)
    again = saved(model, tmp_path)
    assert (again.predict(X, groups=GROUPS) == model.predict(X, groups=GROUPS)).all()
    model = regressor(pooling="attention").fit(ARRAY, ARRAY[:, 0, 0])
    again = saved(model, tmp_path)
    assert_same(again.attention_weights(ARRAY), model.attention_weights(ARRAY))


def test_bits_of_arrays_in_any_memory_layout(tmp_path):
    """Safetensors 0.8.0 itself writes the numbers of such arrays in another order."""
    model = regressor(hidden_size=8).fit(X, Y)
    expected = {name: array.copy() for name, array in model.parameters_.items()}
    strided = {name: np.repeat(array, 2, axis=-1)[..., ::2] for name, array in expected.items()}
    reversed_ = {name: array[::-1].copy()[::-1] for name, array in expected.items()}
    for parameters in (transposed(model).parameters_, strided, reversed_):
        assert not all(array.flags.c_contiguous for array in parameters.values())
        model.parameters_ = parameters
        again = saved(model, tmp_path)
        for name, array in again.parameters_.items():
            assert array.tobytes() == expected[name].tobytes()
            assert array.flags.c_contiguous
            assert not array.flags.writeable


@pytest.mark.parametrize("name", ["transposed", "objects", "int8", "mixed labels", "ensemble", "selector"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_safetensors_package_reads_the_file(name, tmp_path):
    safetensors = pytest.importorskip("safetensors")
    numpy = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "model.safetensors"
    save_model(MODELS[name](), path)
    header, data = parts_of(path.read_bytes())
    arrays = numpy.load_file(path)
    with safetensors.safe_open(path, "np") as file:
        assert file.metadata() == header.pop("__metadata__")
    assert arrays.keys() == header.keys()
    for key, array in arrays.items():
        begin, end = header[key]["data_offsets"]
        assert array.tobytes() == data[begin:end]
        assert list(array.shape) == header[key]["shape"]
        assert (8 + begin) % array.dtype.itemsize == 0


def test_the_arrays_of_a_network_have_their_names(tmp_path):
    save_model(regressor().fit(X, Y), tmp_path / "model")
    header, _ = parts_of((tmp_path / "model").read_bytes())
    assert header["parameters_/weight_ih_l0"]["shape"] == [16, 3]
    assert header["__metadata__"].keys() == {"format", "format_version", "sklstm_version", "model", "sha256"}
    assert json.loads(header["__metadata__"]["model"])["object"] == "sklstm.DeepRNNRegressor"


CHILD = """
import pickle, sys
import numpy as np
from sklstm import load_model
X = np.load(sys.argv[1])
print(pickle.dumps([load_model(path).predict(X) for path in sys.argv[2:]]).hex())
"""


@pytest.mark.parametrize("isa", [None, "baseline"])
def test_a_fresh_process_and_another_instruction_set(isa, tmp_path, monkeypatch):
    models = {name: MODELS[name]() for name in ("default", "objects", "int16")}
    paths = [str(tmp_path / name) for name in models]
    np.save(tmp_path / "X.npy", X)
    for path, model in zip(paths, models.values(), strict=True):
        save_model(model, path)
    if isa is not None:
        monkeypatch.setenv("SKLSTM_MAX_ISA", isa)
    command = [sys.executable, "-c", CHILD, str(tmp_path / "X.npy"), *paths]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    for name, answer in zip(models, pickle.loads(bytes.fromhex(run.stdout.strip())), strict=True):
        expected = models[name].predict(X)
        if isa is None or name == "int16" or len(available_isas()) == 1:
            assert_same(answer, expected)
        elif expected.dtype.kind == "f":
            np.testing.assert_allclose(answer, expected, rtol=1e-5)
        else:
            assert (answer == expected).mean() > 0.98


def test_names_of_features_are_checked_after_loading(tmp_path):
    again = saved(MODELS["set_output"](), tmp_path)
    assert again.feature_names_in_.tolist() == ["price", "volume", "hour"]
    assert again.get_feature_names_out().tolist()[0] == "deeprnnregressor0"
    with pytest.raises(ValueError, match="feature names should match"):
        again.predict(pd.DataFrame(X, columns=["a", "b", "c"]))


def test_requests_of_metadata(tmp_path):
    with sklearn.config_context(enable_metadata_routing=True):
        model = regressor().set_fit_request(groups=True, sample_weight="w").set_predict_request(groups=False)
        again = saved(model.fit(X, Y), tmp_path)
        assert again._metadata_request._serialize() == model._metadata_request._serialize()


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("quantile", [0.1, 0.5]),
        ("quantile", (0.25, 0.5)),
        ("quantile", np.array([0.1, 0.5], ">f8")),
        ("hidden_size", np.int32(4)),
        ("tol", np.float32(0.1)),
        ("verbose", np.bool_(False)),
        ("random_state", 2**32 - 1),
        ("n_jobs", -1),
    ],
)
def test_types_of_parameters(parameter, value, tmp_path):
    model = regressor(loss="quantile", max_iter=1, **{parameter: value}).fit(X, Y)
    found = getattr(saved(model, tmp_path), parameter)
    if isinstance(value, np.ndarray):
        assert found.tolist() == value.tolist()
        assert found.dtype == np.float64
    else:
        assert_same(found, value)


@pytest.mark.filterwarnings("ignore:Support for labels represented as bytes:FutureWarning")  # scikit-learn 1.6
@pytest.mark.parametrize("dtype", ["U", "O", "S", "bool", "i1", "u2", "u8", "f4", "f8"])
def test_labels_of_every_dtype(dtype, tmp_path):
    labels = np.array(["0", "1", "7"] if dtype in "UOS" else [0, 1, 1]).astype(dtype)[np.arange(len(X)) % 3]
    try:
        model = classifier(max_iter=1).fit(X, labels)
    except (TypeError, ValueError):
        pytest.skip("the classifier refuses such labels")
    again = saved(model, tmp_path)
    assert_same(again.classes_, model.classes_)
    assert_same(again.predict(X), model.predict(X))
