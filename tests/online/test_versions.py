"""Versions on disk: whole or not at all, whatever fails; foreign folders; which stay."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from model_case import X, Y, regressor

import sklstm
from sklstm import ModelFormatError
from sklstm._online import versions
from sklstm._online.versions import VersionStore


@pytest.fixture(scope="module")
def models():
    return [regressor(max_iter=1, random_state=seed).fit(X, Y) for seed in range(4)]


def same(one, other):
    return (one.predict(X) == other.predict(X)).all()


def content(path):
    """Return all files of a store, but the lock, with their bytes."""
    files = sorted(one for one in Path(path).rglob("*") if one.is_file() and one.name != versions.LOCK)
    return {str(one.relative_to(path)): one.read_bytes() for one in files}


def test_versions_are_numbered_and_come_back(tmp_path, models):
    store = VersionStore(tmp_path / "a" / "store")
    assert store.numbers() == []
    with pytest.raises(LookupError, match="holds no version"):
        store.read()
    info = {"rows": 100, "loss": 0.1, "why": "drift é", "nested": {"list": [1, None, True]}, "nan": np.nan}
    assert [store.write(model, {**info, "k": k}) for k, model in enumerate(models[:3])] == [1, 2, 3]
    again = VersionStore(str(tmp_path / "a" / "store"))
    assert again.numbers() == [1, 2, 3]
    for number in (1, 2, 3):
        model, found = again.read(number)
        assert same(model, models[number - 1])
        assert found.pop("nan") != 0
        assert found == {"k": number - 1, **{name: info[name] for name in info if name != "nan"}}
    assert same(again.read()[0], models[2])
    with pytest.raises(LookupError, match="holds no version 7, but 1, 2, 3"):
        again.read(7)


def test_numpy_in_info(tmp_path, models):
    store = VersionStore(tmp_path)
    store.write(models[0], {"a": np.float32(0.5), "b": np.arange(3), "c": np.int64(7), "d": np.bool_(True)})
    assert store.read()[1] == {"a": 0.5, "b": [0, 1, 2], "c": 7, "d": True}


def test_keep(tmp_path, models):
    store = VersionStore(tmp_path, keep=2)
    for _ in range(4):
        store.write(models[0], {})
    assert store.numbers() == [3, 4]
    store.write(models[1], {}, protect=[3])
    assert store.numbers() == [3, 4, 5]
    store.write(models[1], {}, protect=(5, 77))
    assert store.numbers() == [5, 6]
    assert {one.name for one in tmp_path.iterdir()} == {"000005", "000006", versions.MARKER, versions.LOCK}
    for keep in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match=f"keep={keep!r}"):
            VersionStore(tmp_path, keep)


def test_what_cannot_be_pruned_harms_nobody(tmp_path, models, monkeypatch):
    store = VersionStore(tmp_path, keep=1)
    store.write(models[0], {})
    real = os.rename

    def rename(source, target):
        if Path(source).name == "000001":
            raise OSError(errno.EACCES, "Permission denied")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", rename)
        assert store.write(models[1], {}) == 2
    assert store.numbers() == [1, 2]
    assert store.write(models[2], {}) == 3
    assert store.numbers() == [3]


def test_foreign_folders(tmp_path, models):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"is no folder of versions: it holds 'notes.txt' and no versions.json"):
        VersionStore(tmp_path)
    with pytest.raises(NotADirectoryError, match="is a file"):
        VersionStore(tmp_path / "notes.txt")
    store = VersionStore(tmp_path / "later")
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "data").write_text("mine")
    with pytest.raises(ValueError, match="holds 'data'"):
        store.write(models[0], {})
    assert content(tmp_path / "later") == {"data": b"mine"}
    (tmp_path / "other").mkdir()
    for text, message in (
        (
            '{"format": "sklstm versions", "format_version": 9}',
            "this version of sklstm reads 'sklstm versions', version 1",
        ),
        ('{"format": "else", "format_version": 1}', "says .*else"),
        ("{", "is damaged"),
        ("[]", "is damaged"),
    ):
        (tmp_path / "other" / versions.MARKER).write_text(text)
        with pytest.raises(ModelFormatError, match=message):
            VersionStore(tmp_path / "other")


def test_other_names_in_the_folder_are_no_versions(tmp_path, models):
    store = VersionStore(tmp_path)
    store.write(models[0], {})
    for name in ("7", "000002.tmp", "notes", ".000002.aaaa.tmp", "abcdef"):
        (tmp_path / name).mkdir()
    assert VersionStore(tmp_path).numbers() == [1]


def damage(path, change):
    data = path.read_bytes()
    path.write_bytes(change(data))


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        (versions.MODEL, lambda data: data[: len(data) // 2], "is not the model"),
        (versions.MODEL, lambda data: data[:-1] + bytes([data[-1] ^ 1]), "is not the model"),
        (versions.INFO, lambda data: data[: len(data) // 2], "is damaged, or was cut off"),
        (versions.INFO, lambda data: b"", "is damaged, or was cut off"),
        (versions.INFO, lambda data: data.replace(b'"a": 1', b'"a": 2'), "the checksum"),
        (versions.INFO, lambda data: b"[" * 100_000, "is damaged, or was cut off"),
        (versions.INFO, lambda data: b" " * (versions.LARGEST_INFO + 1), "is larger than"),
        (versions.INFO, lambda data: b"\xff" + data, "is damaged, or was cut off"),
    ],
)
def test_damaged_versions_are_refused(file, change, message, tmp_path, models):
    store = VersionStore(tmp_path)
    for model in models[:2]:
        store.write(model, {"a": 1})
    damage(tmp_path / "000002" / file, change)
    for number in (None, 2):
        with pytest.raises(ModelFormatError, match=message):
            store.read(number)
    assert same(store.read(1)[0], models[0])


def test_files_that_are_missing_or_of_another_version(tmp_path, models):
    store = VersionStore(tmp_path)
    for model in models[:3]:
        store.write(model, {})
    (tmp_path / "000001" / versions.MODEL).unlink()
    with pytest.raises(ModelFormatError, match=r"version 1 of .* lacks model\.safetensors"):
        store.read(1)
    shutil.copy(tmp_path / "000003" / versions.MODEL, tmp_path / "000002" / versions.MODEL)
    with pytest.raises(ModelFormatError, match="is not the model"):
        store.read(2)
    shutil.copy(tmp_path / "000003" / versions.INFO, tmp_path / "000002" / versions.INFO)
    with pytest.raises(ModelFormatError, match="belongs to version 3, not 2"):
        store.read(2)


def test_what_has_no_place_is_refused_before_anything_is_written(tmp_path, models):
    store = VersionStore(tmp_path / "store")
    for info, kind, message in (
        ([], TypeError, "info must be a dict, found list"),
        ({"a": {1, 2}}, TypeError, r"info has no place in JSON: a builtins\.set"),
        ({"a": "x" * versions.LARGEST_INFO}, ValueError, "info takes"),
    ):
        with pytest.raises(kind, match=message):
            store.write(models[0], info)
    assert not (tmp_path / "store").exists()
    with pytest.raises(TypeError, match="save_model: model is a"):
        store.write(object(), {})
    assert store.numbers() == []
    assert set(content(tmp_path / "store")) == {versions.MARKER}


@pytest.mark.parametrize("nth", range(1, 8))
@pytest.mark.parametrize("call", ["fsync", "replace", "rename", "mkdir"])
def test_a_full_disk_leaves_the_store(call, nth, tmp_path, models, monkeypatch):
    store = VersionStore(tmp_path, keep=1)
    store.write(models[0], {"a": 1})
    before, n, real = content(tmp_path), [0], getattr(os, call)

    def full(*arguments, **others):
        n[0] += 1
        if n[0] >= nth:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments, **others)

    failed = None
    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        try:
            store.write(models[1], {"a": 2})
        except OSError as error:
            failed = error
    if failed is None:  # fewer calls, or the disk was full only when the old version was to go
        assert store.numbers()[-1] == 2
        assert same(store.read()[0], models[1])
        return
    assert failed.errno == errno.ENOSPC
    assert "No space left on device: the version was not written, those before it are as they were" in str(failed)
    assert content(tmp_path) == before
    assert store.write(models[1], {"a": 2}) == 2
    assert same(store.read()[0], models[1])


def run(code, *arguments, **options):
    folder = str(Path(sklstm.__file__).parent.parent)
    command = [sys.executable, "-c", PREPARE + code, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": folder}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, **options)


PREPARE = """
import os, signal, sys
import numpy as np
from sklstm import DeepRNNRegressor
from sklstm._online.versions import VersionStore
X = np.random.default_rng(0).normal(size=(40, 3))
model = DeepRNNRegressor(hidden_size=32, sequence_length=3, max_iter=1, random_state=0).fit(X, X[:, 0])
"""

LIMITED = """
import resource
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sys.dont_write_bytecode = True  # what the limit cuts off would be read by later processes
resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, 8_000))
try:
    VersionStore(sys.argv[1]).write(model, {})
except OSError as error:
    print(error.errno)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of files are those of POSIX")
def test_a_limit_of_the_size_of_files_leaves_the_store(tmp_path, models):
    store = VersionStore(tmp_path)
    store.write(models[0], {})
    before = content(tmp_path)
    found = run(LIMITED, tmp_path)
    assert found.stdout.strip() == str(errno.EFBIG), found.stderr
    assert content(tmp_path) == before


KILLED = """
real = os.fsync
for nth in (1, 3, 5):
    if os.fork() == 0:
        n = 0
        def fsync(descriptor):
            global n
            n += 1
            if n == nth:
                os.kill(os.getpid(), signal.SIGKILL)
            real(descriptor)
        os.fsync = fsync
        VersionStore(os.path.join(sys.argv[1], str(nth))).write(model, {})
        os._exit(0)
    assert os.wait()[1] == signal.SIGKILL
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_what_a_killed_process_has_left_is_never_read_and_is_removed(tmp_path, models):
    for nth in ("1", "3", "5"):
        VersionStore(tmp_path / nth).write(models[0], {})
    found = run(KILLED, tmp_path)
    assert found.returncode == 0, found.stderr
    for nth in ("1", "3", "5"):
        (left,) = [one for one in (tmp_path / nth).iterdir() if one.name.startswith(".")]
        store = VersionStore(tmp_path / nth)
        assert store.numbers() == [1]
        assert same(store.read()[0], models[0])
        assert store.write(models[1], {}) == 2
        assert not left.exists()


MANY = """
store = VersionStore(sys.argv[1])
for who in ("a", "b"):
    if os.fork() == 0:
        for k in range(8):
            store.write(model, {"who": who, "k": k})
        os._exit(0)
assert [os.wait()[1], os.wait()[1]] == [0, 0]
"""


@pytest.mark.skipif(versions.fcntl is None, reason="no locks here")
def test_two_processes_write_at_the_same_time(tmp_path):
    found = run(MANY, tmp_path)
    assert found.returncode == 0, found.stderr
    store = VersionStore(tmp_path)
    assert store.numbers() == list(range(1, 17))
    infos = [store.read(number)[1] for number in store.numbers()]
    for who in ("a", "b"):
        assert [one["k"] for one in infos if one["who"] == who] == list(range(8))


def test_a_version_that_goes_while_it_is_read(tmp_path, models, monkeypatch):
    store = VersionStore(tmp_path)
    store.write(models[0], {})
    real = versions.load_model

    def load(path):
        shutil.rmtree(tmp_path / "000001")
        return real(path)

    monkeypatch.setattr(versions, "load_model", load)
    with pytest.raises(LookupError, match=r"version 1 of .* was removed while it was read"):
        store.read()


def test_the_info_can_be_read_by_others(tmp_path, models):
    VersionStore(tmp_path).write(models[0], {"loss": 0.25})
    found = json.loads((tmp_path / "000001" / versions.INFO).read_text())
    assert (found["number"], found["info"]) == (1, {"loss": 0.25})
    assert sklstm.load_model(tmp_path / "000001" / versions.MODEL).predict(X).shape == Y.shape
