"""Versions of a model on disk: numbered folders that are there as a whole, or not at all."""

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
from pathlib import Path

import numpy as np

from sklstm._model_files.atomic import flush_folder, replacing
from sklstm.exceptions import ModelFormatError
from sklstm.persistence import load_model, save_model

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

FORMAT, FORMAT_VERSION = "sklstm versions", 1
MARKER, LOCK, MODEL, INFO = "versions.json", "versions.lock", "model.safetensors", "info.json"
LARGEST_INFO = 1 << 24
_NUMBER = re.compile(r"[0-9]{6,15}")
_TEMPORARY = re.compile(r"\.[0-9]{6,15}\.[0-9a-f]{16}\.tmp")


class VersionStore:
    """A folder with the versions of a model.

    Each is a folder named by its number, with the model (see `sklstm.save_model`) and ``info.json``: what the caller
    says of it, and the SHA-256 of the model.

    Parameters
    ----------
    path : str or path-like
        The folder; it is made by the first `write`.
    keep : int, default=None
        How many of the newest versions stay when one is written; None for all.

    Raises
    ------
    ValueError
        If there is something else in the folder.
    NotADirectoryError
        If `path` is a file.

    Notes
    -----
    A version is written beside the others, brought to the disk, and then given its number by one change of a name.
    Whatever happens before leaves the store as it was; what a process that was killed has left is removed by the next
    `write`. One process writes at a time, the others wait for it.
    """

    def __init__(self, path, keep=None):
        if keep is not None and (isinstance(keep, bool) or not isinstance(keep, (int, np.integer)) or keep < 1):
            raise ValueError(f"keep={keep!r}, expected an integer of at least 1, or None.")
        self.path, self.keep = Path(os.fspath(path)), keep
        if self.path.exists():
            self._check_folder()

    def _check_folder(self):
        """Raise unless the folder is a store, or empty."""
        if not self.path.is_dir():
            raise NotADirectoryError(f"{self.path} is a file, expected a folder of versions.")
        marker = self.path / MARKER
        if not marker.exists():
            others = sorted(one.name for one in self.path.iterdir() if one.name != LOCK and not _is_left(one.name))
            if others:
                raise ValueError(
                    f"{self.path} is no folder of versions: it holds {others[0]!r} and no {MARKER}. Choose a folder of "
                    "its own."
                )
            return
        try:
            found = json.loads(marker.read_text())
            known = (found["format"], found["format_version"]) == (FORMAT, FORMAT_VERSION)
        except (ValueError, KeyError, TypeError) as error:
            raise ModelFormatError(f"{marker} is damaged: {error}.") from error
        if not known:
            raise ModelFormatError(
                f"{marker} says {str(found)[:80]}; this version of sklstm reads {FORMAT!r}, version {FORMAT_VERSION}."
            )

    def numbers(self):
        """Return the numbers of all versions, the oldest first."""
        if not self.path.is_dir():
            return []
        return sorted(int(one.name) for one in self.path.iterdir() if _NUMBER.fullmatch(one.name))

    def write(self, model, info, *, protect=()):
        """Write the next version.

        Parameters
        ----------
        model : estimator
            Fitted, of those that `sklstm.save_model` writes.
        info : dict
            What is said of it: names with numbers, texts, None, and lists and dicts of these.
        protect : iterable of int, default=()
            Versions that stay whatever `keep` is, such as the one in use.

        Returns
        -------
        int
            Its number: 1, and then one more than that of the newest.

        Raises
        ------
        TypeError
            If the model or `info` has no place in a file.
        OSError
            If it cannot be written; what is there stays as it is.
        """
        content = _as_json(info)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with self._locked():
                self._check_folder()
                if not (self.path / MARKER).exists():
                    with replacing(self.path / MARKER) as file:
                        file.write(json.dumps({"format": FORMAT, "format_version": FORMAT_VERSION}).encode())
                self._remove_left()
                number = max(self.numbers(), default=0) + 1
                self._write(number, model, content)
                self._prune(protect)
        except OSError as error:
            if error.errno is None:
                raise
            raise OSError(
                error.errno,
                f"{error.strerror}: the version was not written, those before it are as they were",
                str(self.path),
            ) from error
        return number

    def _write(self, number, model, content):
        """Fill a folder beside the versions, and give it its number."""
        temporary = self.path / f".{number:06d}.{secrets.token_hex(8)}.tmp"
        temporary.mkdir()
        try:
            save_model(model, temporary / MODEL)
            content = {
                "format": FORMAT,
                "number": number,
                "model_sha256": _digest_of_file(temporary / MODEL),
                "info": content,
            }
            with replacing(temporary / INFO) as file:
                file.write(json.dumps({**content, "sha256": _digest(content)}, indent=1).encode())
            flush_folder(temporary)
            os.rename(temporary, self._folder(number))
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        flush_folder(self.path)

    def read(self, number=None):
        """Return a version.

        Parameters
        ----------
        number : int, default=None
            None for the newest.

        Returns
        -------
        model : estimator
        info : dict

        Raises
        ------
        LookupError
            If there is no such version, or none at all.
        ModelFormatError
            If it was damaged; the others can still be read.
        """
        found = self.numbers()
        if not found:
            raise LookupError(f"{self.path} holds no version.")
        if number is None:
            number = found[-1]
        elif number not in found:
            raise LookupError(f"{self.path} holds no version {number!r}, but {_some_of(found)}.")
        folder = self._folder(number)
        try:
            content = self._read_info(folder / INFO, number)
            if _digest_of_file(folder / MODEL) != content["model_sha256"]:
                raise ModelFormatError(f"{folder / MODEL} is not the model that {INFO} was written with.")
            return load_model(folder / MODEL), content["info"]
        except FileNotFoundError as error:
            if not folder.exists():
                raise LookupError(f"version {number} of {self.path} was removed while it was read.") from error
            raise ModelFormatError(f"version {number} of {self.path} lacks {Path(error.filename).name}.") from error

    def _read_info(self, file, number):
        with open(file, "rb") as opened:
            text = opened.read(LARGEST_INFO + 1)
        if len(text) > LARGEST_INFO:
            raise ModelFormatError(f"{file} is larger than {LARGEST_INFO} bytes.")
        try:
            content = json.loads(text)
            digest = content.pop("sha256")
            whole = digest == _digest(content)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ModelFormatError(f"{file} is damaged, or was cut off: {error}.") from error
        if not whole:
            raise ModelFormatError(
                f"{file}: the checksum (sha256) does not match: it was changed after it was written."
            )
        if content["number"] != number:
            raise ModelFormatError(f"{file} belongs to version {content['number']}, not {number}.")
        return content

    def _prune(self, protect):
        """Remove the oldest versions; what is being removed is no longer a version."""
        if self.keep is None:
            return
        protected = {int(one) for one in protect}
        for number in self.numbers()[: -self.keep]:
            if number not in protected:
                gone = self.path / f".{number:06d}.{secrets.token_hex(8)}.tmp"
                with contextlib.suppress(OSError):  # the new version is there; this one is tried again next time
                    os.rename(self._folder(number), gone)
                    shutil.rmtree(gone, ignore_errors=True)

    def _remove_left(self):
        """Remove what a process that was killed has left; the lock is held, so nobody writes there."""
        for one in self.path.iterdir():
            if _is_left(one.name):
                shutil.rmtree(one, ignore_errors=True)

    def _folder(self, number):
        return self.path / f"{number:06d}"

    @contextlib.contextmanager
    def _locked(self):
        """Keep other processes from writing; the system gives the lock back when this one ends."""
        with open(self.path / LOCK, "ab") as file:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _is_left(name):
    return _TEMPORARY.fullmatch(name) is not None


def _some_of(numbers):
    """Return some numbers in words."""
    texts = [str(one) for one in numbers]
    return ", ".join(texts if len(texts) <= 8 else [*texts[:3], "...", *texts[-3:]])


def _as_json(info):
    """Return a dict as what JSON gives back, or raise."""
    if not isinstance(info, dict):
        raise TypeError(f"info must be a dict, found {type(info).__name__}.")
    try:
        text = json.dumps(info, default=_plain)
    except (TypeError, ValueError) as error:
        raise TypeError(f"info has no place in JSON: {error}.") from error
    if len(text) > LARGEST_INFO // 2:
        raise ValueError(f"info takes {len(text)} bytes, there is room for {LARGEST_INFO // 2}.")
    return json.loads(text)


def _plain(value):
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"a {type(value).__module__}.{type(value).__qualname__}")


def _digest(content):
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _digest_of_file(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
