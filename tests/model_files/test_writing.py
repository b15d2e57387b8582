"""Paths, links and permissions of model files, and what becomes of the file that was there when writing fails."""

import errno
import os
import subprocess
import sys

import pytest
from model_case import MODELS, X, Y, classifier, regressor

from sklstm import ModelFormatError, load_model, save_model


def test_paths(tmp_path):
    model = regressor(max_iter=1).fit(X, Y)
    for path in (tmp_path / "a", str(tmp_path / "b"), tmp_path / "with space é.safetensors"):
        save_model(model, path)
        assert (load_model(path).predict(X) == model.predict(X)).all()
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match=r"no folder'$"):
        save_model(model, tmp_path / "no folder" / "model")
    for call in (load_model, lambda path: save_model(model, path)):
        with pytest.raises(IsADirectoryError):
            call(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b", "with space é.safetensors"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_what_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelFormatError, match="no regular file"):
        load_model(tmp_path / "pipe")  # it would wait for ever
    with pytest.raises(OSError, match="no regular file"):
        save_model(regressor(max_iter=1).fit(X, Y), tmp_path / "pipe")


def test_a_link_stays_one_and_permissions_stay(tmp_path):
    model = regressor(max_iter=1).fit(X, Y)
    (tmp_path / "folder").mkdir()
    real, link = tmp_path / "folder" / "real", tmp_path / "link"
    save_model(model, real)
    real.chmod(0o640)
    link.symlink_to(real)
    save_model(model.set_params(verbose=True), link)
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert load_model(real).verbose is True


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file(call, tmp_path, monkeypatch):
    old, new = (regressor(max_iter=n).fit(X, Y) for n in (1, 2))
    save_model(old, tmp_path / "model")

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(OSError, match="No space left"):
            save_model(new, tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (load_model(tmp_path / "model").predict(X) == old.predict(X)).all()


@pytest.mark.skipif(sys.platform == "win32", reason="limits of files are those of POSIX")
def test_a_limit_of_the_size_of_files_leaves_the_old_one(tmp_path):
    (tmp_path / "model").write_text("old")
    code = f"""
import resource, signal, sys
import numpy as np
from sklstm import DeepRNNRegressor, save_model
X = np.random.default_rng(0).normal(size=(40, 3))
model = DeepRNNRegressor(hidden_size=64, sequence_length=3, max_iter=1).fit(X, X[:, 0])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sys.dont_write_bytecode = True  # what the limit cuts off would be read by later processes
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    save_model(model, {str(tmp_path / "model")!r})
except OSError as error:
    print(error.errno)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == str(errno.EFBIG)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("model", "old")]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_is_read_only(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError):
            save_model(regressor(max_iter=1).fit(X, Y), tmp_path / "model")
    finally:
        tmp_path.chmod(0o700)


def test_an_interrupt_leaves_the_old_file(tmp_path, monkeypatch):
    (tmp_path / "model").write_text("old")

    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_model(classifier(max_iter=1).fit(X, Y > 20), tmp_path / "model")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("model", "old")]


@pytest.mark.parametrize("n", [900, 1600, 3000])
def test_too_many_models_for_one_file(n, tmp_path):
    model = MODELS["seeds"]()
    vars(model)["other_networks_"] = vars(model)["other_networks_"] * (n // 2)
    with pytest.raises(ValueError, match=r"too large for a model file|has room for 1048576|more than 60000 entries"):
        save_model(model, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []
