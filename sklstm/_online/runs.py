"""Runs of learners in folders: how one begins, and how one goes on."""

import pickle

import numpy as np
from sklearn.base import clone

from sklstm._base import BaseRNN
from sklstm._online.drift import PageHinkley
from sklstm._online.engine import Engine
from sklstm._online.folder import RunFolder, describe, differences, model_words
from sklstm._online.inputs import unfrozen
from sklstm._online.rollout import Rollout
from sklstm._online.versions import VersionStore
from sklstm.exceptions import ModelFormatError

VERSIONS = "versions"


def begin_run(learner, engine):
    """Begin the run of a learner in its folder.

    Parameters
    ----------
    learner : OnlineLearner
    engine : Engine
        In its first state.
    """
    folder = RunFolder(learner.path)
    engine.parameters = _parameters(learner)
    folder.begin(describe(learner), engine.state, engine.config.sync_every)
    engine.folder = folder
    engine.versions = VersionStore(folder.path / VERSIONS, keep=learner.keep_versions)
    engine.keep_version("fit")


def refuse_run(learner):
    """Raise if the folder of a learner that is not fitted holds a run."""
    RunFolder(learner.path).refuse_run(describe(learner))


def _parameters(learner):
    """Return the parameters of a learner as plain data."""
    parameters = learner.get_params(deep=False)
    parameters.pop("path")
    generator = parameters["random_state"]
    parameters["random_state"] = None if isinstance(generator, np.random.RandomState) else generator
    parameters["model"] = clone(unfrozen(learner.model))
    if parameters["rollout"] is not None:
        parameters["rollout"] = parameters["rollout"].state()
    detector = parameters["detector"]
    if isinstance(detector, PageHinkley):
        parameters["detector"] = detector.state()
    elif detector is not None and not isinstance(detector, str):
        parameters["detector"] = {"pickle": np.frombuffer(pickle.dumps(detector), np.uint8)}
    return parameters


def _restored(parameters, path, trust):
    """Return the parameters that `_parameters` made plain."""
    parameters = {**parameters, "path": path}
    if parameters["rollout"] is not None:
        parameters["rollout"] = Rollout.from_state(parameters["rollout"])
    detector = parameters["detector"]
    if isinstance(detector, dict):
        if "pickle" not in detector:
            parameters["detector"] = PageHinkley.from_state(detector)
        elif trust:
            parameters["detector"] = pickle.loads(detector["pickle"].tobytes())
        else:
            raise ValueError(
                f"{path}: the detector is not of this package, and its state is a pickle, which runs code when it is "
                "read. If nobody else can write to the folder: OnlineLearner.resume(path, trust=True)."
            )
    return parameters


def engine_from_folder(path, model, trust):
    """Return the engine of the run in a folder, as it was after the last whole record, and the learner's parameters.

    Parameters
    ----------
    path : str or path-like
    model : estimator or None
        That is expected.
    trust : bool
    """
    if model is not None and not isinstance(unfrozen(model), BaseRNN):
        raise TypeError(f"model must be a network of sklstm or None, found {type(model).__name__}.")
    folder = RunFolder(path)
    state, records = folder.open()
    try:
        saved = state.pop("parameters")
        if model is not None:
            expected = {"parameters": {}, **model_words(unfrozen(model))}
            found = {"parameters": {}, **model_words(saved["model"])}
            other = differences(found, expected)
            if other:
                raise ValueError(f"{path} holds the run of another model than expected{other}.")
        parameters = _restored(saved, path, trust)
        detector = PageHinkley() if parameters["detector"] == "page_hinkley" else parameters["detector"]
        try:
            engine = Engine.from_state(state, detector, parameters["rollout"], trust=trust)
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise ModelFormatError(f"{path}: the checkpoint cannot be read: {error!r}.") from error
        engine.parameters = saved
        engine.versions = VersionStore(folder.path / VERSIONS, keep=parameters["keep_versions"])
        if not engine.n_calls:
            engine.keep_version("fit")
        n_applied = _apply(engine, records, path)
        folder.go_on(n_applied, engine.config.sync_every)
    except BaseException:
        folder.close()
        raise
    engine.folder = folder
    return engine, parameters


def _apply(engine, records, path):
    """Apply the records of a journal; return how many it took."""
    for k, record in enumerate(records):
        try:
            engine.apply(record)
        except ValueError as error:
            if k + 1 < len(records):
                raise ValueError(
                    f"{path}: the journal is damaged: its record {k} cannot be applied: {error}"
                ) from error
            # The process was killed before it took back what it had refused.
            return k
    return len(records)
