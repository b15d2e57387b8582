"""The callback `Checkpoint`: a fit that goes on after a crash gives the bits of one that was never interrupted."""

import io
import json
import os
import pickle
import zipfile

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_callbacks import Quiet, without
from test_continued_training import same

from sklstm import DeepLSTMClassifier, DeepLSTMRegressor, DeepRNNRegressor
from sklstm._callbacks import checkpoint_file
from sklstm._callbacks.fingerprint import in_words
from sklstm.callbacks import Checkpoint

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 3))
y = X[:, 0] + np.roll(X[:, 1], 1) + RNG.normal(scale=0.5, size=90)
SMALL = {"hidden_size": 4, "sequence_length": 5, "max_iter": 6, "random_state": 0, "learning_rate_init": 0.1}


class Crashes(Quiet):
    """Raises after an epoch of a network, or at the beginning of a task."""

    def __init__(self, number, network=0):
        super().__init__()
        self.number, self.network = number, network

    def on_fit_task_end(self, estimator, context):
        record = getattr(context, "epoch", None)
        if record is not None and (record.number, record.network) == (self.number, self.network):
            raise MemoryError("the machine is gone")


def crash(model, checkpoint, number, network=0, **arguments):
    """Fit a clone until it crashes."""
    crashing = clone(model).set_callbacks(checkpoint, Crashes(number, network))
    with pytest.raises(MemoryError, match=r"^the machine is gone"):
        crashing.fit(X, y, **arguments)


VALIDATED = {"early_stopping": True}
OPTIONS = {
    "plain": {},
    "validation": VALIDATED,
    "adaptive": {"max_grad_norm": "adaptive", "learning_rate": "reduce_on_plateau", "n_iter_no_change": 2},
    "plateau": {**VALIDATED, "learning_rate": "reduce_on_plateau", "n_iter_no_change": 4},
    "cosine": {**VALIDATED, "learning_rate": "cosine", "n_iter_no_change": 2},
    "one_cycle": {"learning_rate": "one_cycle"},
    "sgd": {"solver": "sgd"},
    "schedule_free": {**VALIDATED, "solver": "schedule_free"},
    "spectral norm": {"solver": "adam", "recurrent_constraint": "spectral_norm"},
    "constraint": {**VALIDATED, "recurrent_constraint": "scaled_orthogonal"},
    "dropout": {"n_layers": 2, "dropout": 0.3, "recurrent_dropout": 0.2, "weight_dropout": 0.1, "zoneout": 0.1},
    "frozen": {**VALIDATED, "linear_skip": 2},
    "fine_tune": {**VALIDATED, "linear_skip": 2, "linear_skip_training": "fine_tune"},
    "start is best": {**VALIDATED, "linear_skip": 5, "learning_rate_init": 1e-7},
    "stateful": {"training": "stateful", "shuffle": False},
    "scoring": {**VALIDATED, "scoring": "neg_mean_absolute_error"},
    "conformal": {**VALIDATED, "loss": "quantile", "quantile": (0.25, 0.5, 0.75), "conformal": True},
    "float64": {"dtype": "float64"},
    "bfloat16": {"dtype": "bfloat16"},
    "carried": {"carry_context": True, "accumulation_steps": 2},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_after_a_crash_in_any_epoch_the_bits_are_the_same(tmp_path, name):
    model = DeepLSTMRegressor(**{**SMALL, **OPTIONS[name]})
    whole, path = clone(model).fit(X, y), tmp_path / "net.npz"
    for number in range(1, whole.n_iter_ + 1):
        crash(model, Checkpoint(path), number)
        last_is_missing = number == whole.n_iter_
        assert path.exists() or last_is_missing
        follow = Quiet()
        resumed = clone(model).set_callbacks(Checkpoint(path), follow).fit(X, y)
        assert same(without(resumed), vars(whole)), number
        n_trained = follow.told.count(("end", "epoch"))
        assert n_trained == whole.n_iter_ - number + last_is_missing
        assert os.listdir(tmp_path) == []


def test_a_classifier_and_an_indrnn(tmp_path):
    for model, target in (
        (DeepLSTMClassifier(**SMALL, early_stopping=True), y > 0),
        (DeepRNNRegressor(**SMALL, cell="indrnn", solver="schedule_free"), y),
    ):
        crashing = clone(model).set_callbacks(Checkpoint(tmp_path / "net.npz"), Crashes(3))
        with pytest.raises(MemoryError, match="gone"):
            crashing.fit(X, target)
        resumed = clone(model).set_callbacks(Checkpoint(tmp_path / "net.npz")).fit(X, target)
        assert same(without(resumed), vars(clone(model).fit(X, target)))


def test_after_several_crashes_and_with_fewer_files(tmp_path):
    model, path = DeepLSTMRegressor(**{**SMALL, "max_iter": 12}, early_stopping=False), tmp_path / "net.npz"
    crash(model, Checkpoint(path, every=5), 4)
    assert not path.exists()
    crash(model, Checkpoint(path, every=5), 8)
    crash(model, Checkpoint(path, every=2), 9)
    follow = Quiet()
    resumed = clone(model).set_callbacks(Checkpoint(path, every=5), follow).fit(X, y)
    assert follow.told.count(("end", "epoch")) == 12 - 8
    assert same(without(resumed), vars(clone(model).fit(X, y)))


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("network", [0, 1, 2])
def test_of_several_seeds(tmp_path, network, n_jobs):
    model, path = DeepLSTMRegressor(**SMALL, n_seeds=3, n_jobs=n_jobs, **VALIDATED), tmp_path / "net.npz"
    whole = clone(model).fit(X, y)
    for number in (1, 4):
        crash(model, Checkpoint(path), number, network)
        resumed = clone(model).set_params(n_jobs=3 - n_jobs).set_callbacks(Checkpoint(path)).fit(X, y)
        assert same({**without(resumed), "n_jobs": n_jobs}, vars(whole))
        assert os.listdir(tmp_path) == []


def test_networks_that_were_complete_are_not_trained_again(tmp_path):
    model, path = DeepLSTMRegressor(**SMALL, n_seeds=3, n_jobs=1), tmp_path / "net.npz"
    crash(model, Checkpoint(path), 2, network=2)
    follow = Quiet()
    resumed = clone(model).set_callbacks(Checkpoint(path), follow).fit(X, y)
    assert follow.told.count(("end", "epoch")) == 6 - 2
    assert same(without(resumed), vars(clone(model).fit(X, y)))


def test_an_unknown_seed_is_that_of_the_file(tmp_path):
    model = DeepLSTMRegressor(**{**SMALL, "random_state": None})
    first = clone(model).set_callbacks(Checkpoint(tmp_path / "net.npz"), Crashes(3))
    with pytest.raises(MemoryError, match="gone"):
        first.fit(X, y)
    content = checkpoint_file.read(tmp_path / "net.npz")
    resumed = clone(model).set_callbacks(Checkpoint(tmp_path / "net.npz")).fit(X, y)
    assert resumed._training_state["seed"] == content["networks"]["0"]["seed"]
    assert resumed.loss_curve_[:3] == content["networks"]["0"]["training"]["curves"]["loss"].tolist()


def test_after_an_interrupt_the_fit_goes_on(tmp_path):
    class Interrupts(Quiet):
        def on_fit_task_end(self, estimator, context):
            if context.task_name == "epoch" and context.epoch.number == 3:
                raise KeyboardInterrupt

    path, model = tmp_path / "net.npz", DeepLSTMRegressor(**SMALL)
    with pytest.warns(UserWarning, match="interrupted"), pytest.raises(KeyboardInterrupt):
        clone(model).set_callbacks(Checkpoint(path), Interrupts()).fit(X, y)
    resumed = clone(model).set_callbacks(Checkpoint(path)).fit(X, y)
    assert same(without(resumed), vars(clone(model).fit(X, y)))


def test_warm_start_goes_on_from_the_same_network_only(tmp_path):
    path = tmp_path / "net.npz"
    first = DeepLSTMRegressor(**SMALL).fit(X, y).set_params(warm_start=True)
    crashing = pickle.loads(pickle.dumps(first)).set_callbacks(Checkpoint(path), Crashes(9))
    with pytest.raises(MemoryError, match="gone"):
        crashing.fit(X, y)
    other = DeepLSTMRegressor(**{**SMALL, "max_iter": 3}).fit(X, y).set_params(warm_start=True, max_iter=6)
    with pytest.raises(ValueError, match="checkpoint of a network with other parameters"):
        other.set_callbacks(Checkpoint(path)).fit(X, y)
    resumed = pickle.loads(pickle.dumps(first)).set_callbacks(Checkpoint(path)).fit(X, y)
    assert same(without(resumed), vars(first.fit(X, y)))


# What is refused


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_size": 5}, "hidden_size was 4 and is 5 now"),
        ({"random_state": 1, "tol": 0.0}, "random_state was 0 and is 1 now, tol was 0.0001 and is 0.0 now"),
        ({"max_iter": 7}, "max_iter was 6 and is 7"),
        ({"early_stopping": True}, "early_stopping was 'auto' and is True"),
    ],
)
def test_other_parameters(tmp_path, change, message):
    model, path = DeepLSTMRegressor(**SMALL), tmp_path / "net.npz"
    crash(model, Checkpoint(path), 3)
    other = clone(model).set_params(**change).set_callbacks(Checkpoint(path))
    with pytest.raises(ValueError, match=f"net.npz is the checkpoint of a fit with other parameters: {message}"):
        other.fit(X, y)
    assert path.exists()
    assert not hasattr(other, "parameters_")


def test_other_data_and_another_estimator(tmp_path):
    model, path = DeepLSTMRegressor(**SMALL), tmp_path / "net.npz"
    crash(model, Checkpoint(path), 3)
    again = clone(model).set_callbacks(Checkpoint(path))
    changed = X.copy()
    changed[0, 0] += 1
    for data, more in (
        ((changed, y), {}),
        ((X, y + X[:, 2]), {}),
        ((X[:80], y[:80]), {}),
        ((X, y), {"sample_weight": np.linspace(1, 2, 90)}),
        ((X, y), {"groups": np.repeat([0, 1], 45)}),
        ((X, y), {"X_val": X, "y_val": y}),
    ):
        with pytest.raises(ValueError, match="other data"):
            again.fit(*data, **more)
    with pytest.raises(ValueError, match="of a DeepLSTMRegressor, not of a DeepRNNRegressor"):
        DeepRNNRegressor(**SMALL).set_callbacks(Checkpoint(path)).fit(X, y)
    assert same(without(again.fit(X, y)), vars(clone(model).fit(X, y)))


def test_partial_fit_other_estimators_and_wrong_numbers(tmp_path):
    with pytest.raises(ValueError, match="Checkpoint is for fit, not for partial_fit"):
        DeepLSTMRegressor(**SMALL).set_callbacks(Checkpoint(tmp_path / "net.npz")).partial_fit(X, y)
    for every in (0, 1.5, True, None):
        with pytest.raises(ValueError, match="every"):
            Checkpoint("net.npz", every=every)


def as_file(save, *arrays, **more):
    file = io.BytesIO()
    save(file, *arrays, **more)
    return file.getvalue()


def damage(path, how):
    content = path.read_bytes()
    if how == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "flipped":
        path.write_bytes(content[:200] + bytes([content[200] ^ 1]) + content[201:])
    elif how == "text":
        path.write_text("no checkpoint")
    elif how == "array":
        path.write_bytes(as_file(np.save, np.zeros(3)))
    elif how == "pickle":
        path.write_bytes(as_file(np.savez, header=np.array([print], object)))
    elif how == "other":
        path.write_bytes(as_file(np.savez, a=np.zeros(3)))


@pytest.mark.parametrize("how", ["truncated", "empty", "flipped", "text", "array", "pickle", "other"])
def test_damaged_files(tmp_path, how):
    model, path = DeepLSTMRegressor(**SMALL), tmp_path / "net.npz"
    crash(model, Checkpoint(path), 3)
    damage(path, how)
    with pytest.raises(ValueError, match=r"is no checkpoint, or a damaged one \((?!.*unsafely).*\); delete it"):
        clone(model).set_callbacks(Checkpoint(path)).fit(X, y)


def rewritten(path, change):
    with np.load(path) as file:
        arrays = dict(file)
    header = json.loads(arrays["header"].tobytes())
    change(header, arrays)
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    path.write_bytes(as_file(np.savez, **arrays))


def test_other_formats(tmp_path):
    model, path = DeepLSTMRegressor(**SMALL), tmp_path / "net.npz"
    crash(model, Checkpoint(path), 3)
    rewritten(path, lambda header, arrays: header.update(version=99))
    with pytest.raises(ValueError, match=r"version 99; this version of sklstm reads 'sklstm checkpoint', version 1"):
        clone(model).set_callbacks(Checkpoint(path)).fit(X, y)


@pytest.mark.parametrize("wrong", [np.zeros(3, np.float32), np.full(2, np.nan)])
def test_weights_of_a_wrong_size_reach_no_kernel(tmp_path, wrong):
    model, path = DeepLSTMRegressor(**SMALL), tmp_path / "net.npz"
    crash(model, Checkpoint(path), 3)

    def change(header, arrays):
        arrays[header["content"]["networks"]["0"]["training"]["weights"]["array"]] = wrong

    rewritten(path, change)
    with pytest.raises(ValueError, match="the state to resume from has weights"):
        clone(model).set_callbacks(Checkpoint(path)).fit(X, y)


def test_the_file_is_plain_arrays_and_json(tmp_path):
    path = tmp_path / "net.npz"
    crash(DeepLSTMRegressor(**SMALL), Checkpoint(path), 3)
    with zipfile.ZipFile(path) as file:
        for name in file.namelist():
            np.load(io.BytesIO(file.read(name)), allow_pickle=False)


def test_a_failure_to_write_leaves_the_file_before(tmp_path, monkeypatch):
    path = tmp_path / "net.npz"
    checkpoint_file.write(path, {"a": np.arange(3)})

    def fails(file, **arrays):
        file.write(b"half of it")
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez", fails)
    with pytest.raises(OSError, match="no space"):
        checkpoint_file.write(path, {"a": np.arange(4)})
    assert checkpoint_file.read(path)["a"].tolist() == [0, 1, 2]
    assert os.listdir(tmp_path) == ["net.npz"]


# Inside others


def test_a_missing_folder_is_told_before_the_first_epoch(tmp_path):
    model = DeepRNNRegressor(**SMALL).set_callbacks(Checkpoint(tmp_path / "none" / "net.npz", every=100))
    with pytest.raises(FileNotFoundError, match=r"No folder for the checkpoint.*none'$"):
        model.fit(X, y)
    assert not hasattr(model, "parameters_")


def test_in_a_search_each_fold_has_a_file(tmp_path):
    pytest.importorskip("sklearn.callback")
    path, grid = tmp_path / "net.npz", {"deeplstmregressor__hidden_size": [2, 3]}
    model = make_pipeline(StandardScaler(), DeepLSTMRegressor(**SMALL))
    search = GridSearchCV(model, grid, cv=TimeSeriesSplit(2), error_score="raise")
    plain = clone(search).fit(X, y)
    written = []

    class Watches(Quiet):
        def on_fit_task_end(self, estimator, context):
            written.extend(name for name in os.listdir(tmp_path) if name not in written)
            if len(written) == 3:
                raise MemoryError("the machine is gone")

    search.estimator[-1].set_callbacks(Checkpoint(path), Watches())
    with pytest.raises(MemoryError, match="gone"):
        search.fit(X, y)
    assert len(set(written)) == 3
    assert os.listdir(tmp_path) == written[-1:]
    search.estimator[-1].set_callbacks(Checkpoint(path))
    search.set_params(n_jobs=2).fit(X, y)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"])
    assert os.listdir(tmp_path) == []


def test_it_is_set_on_the_network(tmp_path):
    callback = pytest.importorskip("sklearn.callback")
    search = GridSearchCV(DeepLSTMRegressor(**SMALL), {"hidden_size": [2]}, cv=2)
    assert isinstance(Checkpoint(tmp_path / "net.npz"), callback.FitCallback)
    with pytest.raises(TypeError, match=r"which GridSearchCV has none of: set it on the network itself"):
        search.set_callbacks(Checkpoint(tmp_path / "net.npz")).fit(X, y)


def test_parameters_have_the_same_words_in_every_process():
    """Of values that are equal: for other numbers of NumPy, lists and tuples; without addresses."""
    for one, other in ((np.float64(0.5), 0.5), (np.array([1, 2]), (1, 2)), ([0.5, None], (np.float64(0.5), None))):
        assert in_words(one) == in_words(other)
    assert in_words(np.random.RandomState(0)) == in_words(np.random.RandomState(1)) == "RandomState"
    assert in_words(np.mean) == "numpy.mean"
    assert in_words(object()) == in_words(object()) == "<object object>"
    assert in_words(0.5) != in_words(0.25)
