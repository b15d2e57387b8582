"""What a model file does not hold, what the reader refuses, and what becomes of the file that was there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from model_case import MODELS, X, Y, regressor
from model_mutations import parts_of, signed
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import InconsistentVersionWarning, NotFittedError
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer, r2_score
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklstm import (
    DeepRNNRegressor,
    LSTMFeatureSelector,
    ModelFormatError,
    WeightedEnsembleRegressor,
    load_model,
    save_model,
)
from sklstm.cells import LSTM


def score(model, X, y):
    return 0.0


class OwnCell(LSTM):
    """A subclass, which no table has."""


def with_attribute(**attributes):
    model = regressor(max_iter=1).fit(X, Y)
    vars(model).update(attributes)
    return model


def ensemble(**parameters):
    return WeightedEnsembleRegressor([("net", regressor(max_iter=1)), ("ridge", Ridge())], **parameters).fit(X, Y)


STOPPED = {"early_stopping": True, "sequence_length": 2, "max_iter": 1}
REFUSED = {
    "class": (lambda: DeepRNNRegressor, TypeError, "model is a abc.ABCMeta. Save an object of it that is fitted"),
    "array": (lambda: X, TypeError, "model is a numpy.ndarray. A model file holds DeepRNNRegressor, .* joblib"),
    "cell": (LSTM, TypeError, "model is a sklstm.cells.*LSTM"),
    "search": (
        lambda: GridSearchCV(regressor(), {"max_iter": [1]}, cv=TimeSeriesSplit(2)).fit(X, Y),
        TypeError,
        "GridSearchCV. Save what the search found, model.best_estimator_",
    ),
    "forest": (lambda: RandomForestRegressor(2).fit(X, Y), TypeError, "RandomForestRegressor. .* use joblib"),
    "unfitted": (regressor, NotFittedError, "not fitted"),
    "unfitted pipeline": (lambda: make_pipeline(Ridge()), NotFittedError, "not fitted"),
    "function": (
        lambda: regressor(scoring=score, **STOPPED).fit(X, Y),
        TypeError,
        "DeepRNNRegressor cannot be saved with scoring=<function score .*no code.* Set it to None",
    ),
    "scorer": (
        lambda: regressor(scoring=make_scorer(r2_score), **STOPPED).fit(X, Y),
        TypeError,
        "cannot be saved with scoring=make_scorer.* no code",
    ),
    "loss": (
        lambda: with_parameters(ensemble(), weights_loss=lambda y, p, sample_weight=None: 0.0),
        TypeError,
        "WeightedEnsembleRegressor cannot be saved with weights_loss=<function",
    ),
    "member": (
        lambda: WeightedEnsembleRegressor([("trees", RandomForestRegressor(2))]).fit(X, Y),
        TypeError,
        "cannot be saved with estimators=.*'trees', RandomForest.* holds a sklearn.ensemble.*Use joblib",
    ),
    "step": (
        lambda: make_pipeline(FunctionTransformer(), regressor(max_iter=1)).fit(X, Y),
        TypeError,
        "Pipeline cannot be saved with steps=.*FunctionTransformer",
    ),
    "splits": (lambda: ensemble(cv=iter([])), TypeError, "cannot be saved with cv=<list_iterator"),
    "own cell": (lambda: regressor(cell=OwnCell(), max_iter=1).fit(X, Y), TypeError, "with cell=OwnCell.*OwnCell"),
    "pandas": (
        lambda: regressor(max_iter=1, loss="quantile", quantile=pd.Series([0.2, 0.5])).fit(X, Y),
        TypeError,
        "cannot be saved with quantile=.* is or holds a pandas.*Series",
    ),
    "large integer": (lambda: with_parameters(with_attribute(), verbose=2**70), TypeError, "verbose=.* beyond 64 bits"),
    "note": (lambda: with_attribute(note="mine"), ValueError, "unknown entry 'note'"),
    "object": (lambda: with_attribute(note=object()), TypeError, "its attribute note is or holds a builtins.object"),
    "damaged": (lambda: with_attribute(input_mean_=np.zeros(2)), ValueError, r"damaged.*input_mean_'\] is an array"),
    "invalid": (lambda: with_parameters(with_attribute(), n_layers=-1), ValueError, "'n_layers' parameter"),
    "complex": (lambda: with_attribute(loss_=1j), TypeError, "attribute loss_ is or holds a builtins.complex"),
    "masked": (lambda: with_attribute(context_=np.ma.zeros((4, 3))), TypeError, "context_ is or holds a numpy.ma"),
    "records": (lambda: with_attribute(context_=np.zeros(2, "i4,i4")), TypeError, "context_ .* an array of dtype"),
}


def with_parameters(model, **parameters):
    return model.set_params(**parameters)


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_model_is_refused_by_name_before_anything_is_written(name, tmp_path):
    make, kind, message = REFUSED[name]
    with pytest.raises(kind, match=message):
        save_model(make(), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


# What is read.


def edited(change):
    """Return a change of the description of a model."""

    def edit(header, data):
        description = json.loads(header["__metadata__"]["model"])
        change(description)
        header["__metadata__"]["model"] = json.dumps(description)
        return signed(header, data)

    return edit


def metadata(**entries):
    def edit(header, data):
        header["__metadata__"].update(entries)
        return signed(header, data)

    return edit


def entry(name, **changes):
    def edit(header, data):
        header[name].update(changes)
        return signed(header, data)

    return edit


def state(name, value):
    return edited(lambda description: description["state"].update({name: value}))


def parameter(name, value):
    return edited(lambda description: description["parameters"].update({name: value}))


def tail(header, data):
    return signed(header, data + b"\0")


def not_finite(header, data):
    begin, end = header["parameters_/bias_l0"]["data_offsets"]
    return signed(header, data[:begin] + np.full((end - begin) // 4, np.nan, "<f4").tobytes() + data[end:])


def swapped(header, data):
    names = "parameters_/weight_ih_l0", "parameters_/weight_hh_l0"
    header[names[0]], header[names[1]] = header[names[1]], header[names[0]]
    return signed(header, data)


def cell_alone(description):
    description.update(object="sklstm.cells.Elman", parameters=ELMAN, state={})


ELMAN = {"projection_size": None, "layer_norm": False, "activation": "tanh"}


def network(**entries):
    def change(description):
        description["state"]["_architecture"]["entries"].update(entries)

    return edited(change)


SPOILT = {
    "empty": (lambda h, d: b"", "0 bytes, too few"),
    "text": (lambda h, d: b"# a page of text, not a model", "the header should have .* bytes, but only"),
    "pickle": (lambda h, d: b"\x80\x04\x95" + bytes(2000), "cut off, or is no model file"),
    "numpy": (lambda h, d: b"\x93NUMPY\x01\x00v\x00" + bytes(2000), "cut off, or is no model file"),
    "cut": (lambda h, d: signed(h, d)[:-9], "the arrays take .* bytes, but .* follow the header"),
    "longer": (tail, "the arrays take"),
    "flipped": (lambda h, d: signed(h, d)[:-9] + b"\xff" * 9, "checksum .sha256. does not match"),
    "large header": (lambda h, d: (2 << 20).to_bytes(8, "little") + bytes(3 << 20), "at most 1048576 are read"),
    "no ASCII": (lambda h, d: signed(h, d).replace(b"sklstm", b"skl\xffstm"[:6], 1), "no ASCII"),
    "other safetensors": (metadata(format="pt"), "was not written by sklstm.save_model"),
    "later": (
        metadata(format_version="2", sklstm_version="9.1"),
        "version 2, written by sklstm 9.1.* up to 1",
    ),
    "no version": (metadata(format_version="one"), "no format_version"),
    "version 0": (metadata(format_version="0"), "no format version 0"),
    "dtype": (entry("parameters_/bias_l0", dtype="F8"), "'parameters_/bias_l0' has dtype 'F8', expected one of"),
    "shape": (entry("parameters_/bias_l0", shape=[4]), "of shape .4,. and dtype F32 takes 16 bytes, but .* 64"),
    "axes": (entry("parameters_/bias_l0", shape=[1] * 9 + [16]), "at most 8 axes"),
    "offsets": (entry("parameters_/bias_l0", data_offsets=[0, 64]), "begins at byte"),
    "other shape": (
        entry("parameters_/weight_hh_l0", shape=[4, 16]),
        "weight_hh_l0 is an array .* of shape .4, 16.",
    ),
    "swapped": (swapped, "weight_ih_l0 is an array of float32 of shape .16, 4., expected .*16, 3"),
    "integers": (entry("parameters_/bias_l0", dtype="I32"), "bias_l0 is an array of int32"),
    "NaN": (not_finite, "parameters_ hold NaN"),
    "class": (edited(lambda d: d.update(object="os.system")), "the model is of class 'os.system', which is none"),
    "builtin": (edited(lambda d: d.update(object="builtins.eval")), "which is none that model files hold"),
    "cell alone": (edited(cell_alone), "arrays .* belong to nothing"),
    "unknown parameter": (parameter("colour", 1), "the parameter 'colour', which this version does not know"),
    "wrong parameter": (parameter("n_layers", -3), "'n_layers' parameter of DeepRNNRegressor"),
    "odd value": (parameter("quantile", {"x": 1}), "quantile is of an unknown kind: .'x'."),
    "unknown state": (state("__class__", 1), "unknown entry '__class__'"),
    "method": (state("predict", 1), "unknown entry 'predict'"),
    "lost state": (edited(lambda d: d["state"].pop("n_iter_")), "no entry 'n_iter_'"),
    "lost array": (state("input_mean_", {"array": "x"}), "input_mean_ is in array 'x', which is not in the file"),
    "array twice": (state("input_mean_", {"array": "input_scale_"}), "which something else has taken"),
    "left array": (edited(lambda d: d["state"].update(loss_curve_=[])), None),
    "curve": (state("loss_curve_", [1.0, "x"]), r"loss_curve_'\]\[1\] is 'x', expected a number"),
    "count": (state("n_iter_", -1), "n_iter_'. is -1, expected an integer of at least 0"),
    "unknown field": (network(colour=1), "the fields of the architecture"),
    "huge network": (network(hidden_sizes={"tuple": [2**62]}), "the network would have"),
    "other network": (network(hidden_sizes={"tuple": [5]}), "expected .* of shape .20, 3."),
    "lost field": (
        edited(lambda d: d["state"]["_architecture"]["entries"].pop("n_outputs")),
        "the fields of the architecture",
    ),
    "targets": (state("target_mean_", {"array": "input_mean_"}), "taken|target_mean_"),
    "inside itself": (edited(lambda d: d["state"].update(note=json.loads(json.dumps(d)))), "taken|unknown entry"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_file_is_refused_with_its_fault(name, tmp_path):
    change, message = SPOILT[name]
    path = tmp_path / "model.safetensors"
    save_model(regressor().fit(X, Y), path)
    path.write_bytes(change(*parts_of(path.read_bytes())))
    if message is None:
        assert load_model(path).loss_curve_ == []
        return
    with pytest.raises(ModelFormatError, match=message) as caught:
        load_model(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_sound_file_signed_anew_is_read(tmp_path):
    """The tests above refuse what they mean to refuse."""
    save_model(regressor().fit(X, Y), tmp_path / "model")
    (tmp_path / "model").write_bytes(signed(*parts_of((tmp_path / "model").read_bytes())))
    load_model(tmp_path / "model")


def test_a_file_of_an_earlier_version_may_lack_what_came_later(tmp_path):
    model = regressor(loss="huber", huber_delta=2.0).fit(X, Y)
    save_model(model, tmp_path / "model")

    def earlier(description):
        del description["parameters"]["huber_delta"], description["state"]["_architecture"]["entries"]["horizon"]

    content = edited(earlier)(*parts_of((tmp_path / "model").read_bytes()))
    (tmp_path / "model").write_bytes(content)
    again = load_model(tmp_path / "model")
    assert again.huber_delta == 1.0
    assert again._architecture == model._architecture
    assert (again.predict(X) == model.predict(X)).all()


@pytest.mark.filterwarnings("error")
def test_another_scikit_learn_warns(tmp_path):
    save_model(ensemble(), tmp_path / "model")
    load_model(tmp_path / "model")
    header, data = parts_of((tmp_path / "model").read_bytes())
    text = header["__metadata__"]["model"]
    place = text.index('"_sklearn_version":"') + len('"_sklearn_version":"')
    header["__metadata__"]["model"] = text[:place] + "0.1" + text[text.index('"', place) :]
    (tmp_path / "model").write_bytes(signed(header, data))
    with pytest.warns(InconsistentVersionWarning, match="Ridge from version 0.1"):
        load_model(tmp_path / "model")


def test_no_module_is_imported_by_a_name_from_the_file(tmp_path):
    (tmp_path / "evil.py").write_text("open('ran', 'w')")
    save_model(regressor().fit(X, Y), tmp_path / "model")
    change = edited(lambda description: description.update(object="evil.evil"))
    (tmp_path / "model").write_bytes(change(*parts_of((tmp_path / "model").read_bytes())))
    code = "import sklstm\ntry:\n    sklstm.load_model('model')\nexcept sklstm.ModelFormatError: pass\nimport sys\n"
    code += "assert 'evil' not in sys.modules and 'pickle' not in getattr(sklstm, '__dict__')"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, env={**os.environ, "PYTHONPATH": _path()})
    assert not (tmp_path / "ran").exists()


def _path():
    folders = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return os.pathsep.join(str(Path(folder).resolve()) for folder in folders if folder)


@pytest.mark.parametrize("is_kept", [1, None, "yes"])
def test_names_of_members_that_are_no_names_of_them(is_kept, tmp_path):
    save_model(MODELS["ensemble"](), tmp_path / "model")

    def change(description):
        description["state"]["_fitted_names"]["entries"]["none"] = is_kept

    (tmp_path / "model").write_bytes(edited(change)(*parts_of((tmp_path / "model").read_bytes())))
    with pytest.raises(ModelFormatError, match=r"_fitted_names'\] is .*, expected 2 names of fitted members"):
        load_model(tmp_path / "model")


def test_a_selector_of_other_shapes(tmp_path):
    save_model(LSTMFeatureSelector(min_autocorrelation=0.0, max_noise_ratio=1e9).fit(X, Y), tmp_path / "model")
    change = edited(lambda description: description["state"].update(n_features_in_=4))
    (tmp_path / "model").write_bytes(change(*parts_of((tmp_path / "model").read_bytes())))
    with pytest.raises(ModelFormatError, match=r"is an array of .* of shape .3,., expected an array of shape .4."):
        load_model(tmp_path / "model")


@pytest.mark.parametrize("classes", [[[0, 2], [0, 1]], [[1, 0], [0, 1]], [[0, 1, 2], [0, 1, 2]]])
def test_classes_of_several_labels_are_rows_of_0_and_1(tmp_path, classes):
    model = MODELS["many labels"]()
    model.classes_ = np.array(classes)
    with pytest.raises(ValueError, match=r"the model is damaged.* a row of 0 and 1 for each label"):
        save_model(model, tmp_path / "model.safetensors")
