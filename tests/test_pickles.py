"""Pickles: the version that they carry, and what other tools make of fitted attributes (skops, mlflow)."""

import copy
import pickle
import warnings

import joblib
import numpy as np
import pytest
from model_case import MODELS, X, Y, answers, assert_same, regressor
from sklearn.linear_model import Ridge
from sklearn.utils import Bunch

import sklstm
from sklstm import InconsistentVersionWarning, WeightedEnsembleRegressor
from sklstm.exceptions import InconsistentVersionWarning as same

KINDS = ("default", "two labels", "selector", "ensemble")
PLAIN = (np.ndarray, np.generic, str, int, float, type(None))


@pytest.mark.parametrize("name", KINDS)
def test_a_pickle_carries_the_version(name, tmp_path):
    model = MODELS[name]()
    assert model.__getstate__()["_sklstm_version"] == sklstm.__version__
    joblib.dump(model, tmp_path / "model")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for again in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), joblib.load(tmp_path / "model")):
            assert "_sklstm_version" not in vars(again)
            assert_same(again, model)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(("version", "shown"), [("0.0.1", "0.0.1"), (None, "of before 0.1.0")])
def test_a_pickle_of_another_version_warns(name, version, shown):
    model = MODELS[name]()
    state = model.__getstate__()
    del state["_sklstm_version"]
    if version is not None:
        state["_sklstm_version"] = version
    before = dict(state)
    again = type(model).__new__(type(model))
    message = f"{type(model).__name__} was pickled with sklstm {shown} and is read by {sklstm.__version__}"
    with pytest.warns(InconsistentVersionWarning, match=message) as caught:
        again.__setstate__(state)
    assert caught[0].message.original_sklstm_version == shown
    assert caught[0].filename == __file__
    assert state == before
    assert_same(answers(name, again), answers(name, model))
    assert issubclass(same, UserWarning)


def test_ensembles_of_before_had_a_bunch_of_members():
    model = MODELS["ensemble"]()
    state = model.__getstate__()
    del state["_fitted_names"]
    state["named_estimators_"] = Bunch(net=model.estimators_[0], none="drop", ridge=model.estimators_[1])
    again = WeightedEnsembleRegressor.__new__(WeightedEnsembleRegressor)
    again.__setstate__(state)
    assert (again.predict(X) == model.predict(X)).all()
    assert list(again.named_estimators_) == ["net", "none", "ridge"]
    assert again.named_estimators_["none"] == "drop"


def test_members_by_name_are_those_that_were_fitted():
    ensemble = WeightedEnsembleRegressor([("ridge", Ridge()), ("none", "drop")])
    with pytest.raises(AttributeError, match="has no named_estimators_: it is not fitted"):
        _ = ensemble.named_estimators_
    ensemble.fit(X, Y).set_params(estimators=[("other", Ridge())])
    assert isinstance(ensemble.named_estimators_, Bunch)
    assert ensemble.named_estimators_ == {"ridge": ensemble.estimators_[0], "none": "drop"}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_fitted_attributes_are_arrays_numbers_and_texts(name):
    refuse_objects(MODELS[name](), name)


def refuse_objects(value, where):
    if isinstance(value, dict | list | tuple):
        assert type(value) in (dict, list, tuple), (where, type(value))
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            refuse_objects(one, f"{where}[{key!r}]")
    elif hasattr(value, "get_params"):
        for key, one in vars(value).items():
            if key not in value.get_params(deep=False) and key != "_sklearn_output_config":
                refuse_objects(one, f"{where}.{key}")
    else:
        assert isinstance(value, PLAIN), (where, type(value))


SKOPS = {
    "default": ["sklstm.regressor.DeepRNNRegressor"],
    "seeds in parts": ["sklstm.regressor.DeepRNNRegressor"],
    "two labels": ["sklstm.classifier.DeepRNNClassifier"],
    "objects": ["sklstm.classifier.DeepRNNClassifier"],
    "lstm": ["sklstm.cells._recurrent.LSTM", "sklstm.regressor.DeepLSTMRegressor"],
    "int16": ["sklstm.regressor.DeepRNNRegressor"],
    "frame in parts": ["sklstm.regressor.DeepRNNRegressor"],
    "carried groups": ["sklstm.regressor.DeepRNNRegressor"],
    "selector": ["sklstm.feature_selection.LSTMFeatureSelector"],
    "ensemble": ["sklstm.ensemble.WeightedEnsembleRegressor", "sklstm.regressor.DeepRNNRegressor"],
    "pipeline": ["sklstm.regressor.DeepRNNRegressor"],
}


@pytest.mark.parametrize("name", SKOPS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_skops_lists_the_classes_of_this_package_alone(name):
    skops = pytest.importorskip("skops.io")
    model = MODELS[name]()
    content = skops.dumps(model)
    assert sorted(skops.get_untrusted_types(data=content)) == SKOPS[name]
    again = skops.loads(content, trusted=SKOPS[name])
    assert_same(answers(name, again), answers(name, model))
    if name in ("seeds in parts", "frame in parts"):
        first, second = (one.partial_fit(X, Y) for one in (model, again))
        assert_same(answers(name, second), answers(name, first))


@pytest.mark.filterwarnings("ignore")
def test_mlflow_takes_the_two_lines_of_the_guide(tmp_path):
    mlflow = pytest.importorskip("mlflow.sklearn")
    pytest.importorskip("skops")
    model = regressor().fit(X, Y)
    with pytest.raises(Exception, match=r"(?s)untrusted.*sklstm.regressor.DeepRNNRegressor"):
        mlflow.save_model(model, tmp_path / "refused")
    options = (
        {"skops_trusted_types": ["sklstm.regressor.DeepRNNRegressor"]},
        {"serialization_format": "cloudpickle"},
    )
    for k, option in enumerate(options):
        mlflow.save_model(model, tmp_path / f"model {k}", pip_requirements=["sklstm"], **option)
        again = mlflow.load_model(str(tmp_path / f"model {k}"))
        assert (again.predict(X) == model.predict(X)).all()
