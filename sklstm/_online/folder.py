"""The folder of a learner: checkpoints, the journal of the calls since, and which run they belong to."""

import contextlib
import json
import os
import secrets
from pathlib import Path

from sklstm._callbacks.fingerprint import WITHOUT_EFFECT, in_words
from sklstm._model_files.atomic import replacing
from sklstm._model_files.container import read_file, write_file
from sklstm._model_files.json_text import read_json, write_json
from sklstm._model_files.objects import ObjectReader, ObjectWriter
from sklstm._online.inputs import unfrozen
from sklstm._online.journal import Journal, read_journal
from sklstm._version import __version__
from sklstm._warn import warn_user
from sklstm.exceptions import ModelFormatError

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

RUN_FILE, LOCK_FILE, FORMAT, VERSION = "learner.json", "learner.lock", "sklstm online learner", 1
# The last checkpoint and the one before, should the last be damaged.
KEPT = 2


class RunFolder:
    """The folder of one run.

    Parameters
    ----------
    path : str or path-like
    """

    def __init__(self, path):
        self._journal = self._lock = self.run = None
        if not os.fspath(path):
            raise ValueError(f"path={path!r}, expected the name of a folder.")
        self.path = Path(os.fspath(path))

    def _take(self):
        """Keep other processes out; the system gives the lock back when this one ends."""
        self._lock = open(self.path / LOCK_FILE, "ab")  # noqa: SIM115  # open as long as the learner lives
        if fcntl is None:
            return
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise ValueError(
                f"{self.path} is in use by another learner, in this or another process, or by this one: close() it "
                "first."
            ) from None

    def begin(self, described, state, sync_every):
        """Begin a run.

        Parameters
        ----------
        described : dict
            Parameters of learner and model in words.
        state : dict
            Of the first checkpoint.
        sync_every : int or None

        Raises
        ------
        ValueError
            If the folder holds a run.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self._take()
        try:
            self.refuse_run(described)
            for old in (*self._numbered("checkpoint"), *self._numbered("journal")):
                old[1].unlink()
            self.run = secrets.token_hex(16)
            self.checkpoint(state, sync_every)
            about = {"format": FORMAT, "version": VERSION, "sklstm_version": __version__, "run": self.run}
            with replacing(self.path / RUN_FILE) as file:
                file.write(json.dumps({**about, "learner": described}, indent=1).encode())
        except BaseException:
            self.close()
            raise

    def refuse_run(self, described):
        """Raise if there is a run, as a learner that is described would write over it."""
        if not (self.path / RUN_FILE).exists():
            return
        other = differences(self.read_run()["learner"], described)
        which = "another model" if other else "a learner like this one"
        raise ValueError(
            f"path={str(self.path)!r} holds the run of {which}{other}. Go on with it by OnlineLearner.resume(path), or "
            "choose another folder."
        )

    def read_run(self):
        """Return what stands in the file of the run."""
        file = self.path / RUN_FILE
        if not file.exists():
            raise ValueError(f"{self.path} holds no run of a learner: {RUN_FILE} is missing.")
        try:
            about = json.loads(file.read_text())
            known = about["format"] == FORMAT and about["version"] == VERSION
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{file} is damaged: {error}.") from error
        if not known:
            raise ValueError(f"{file} is of another format than version {VERSION} of {FORMAT!r}.")
        return about

    def open(self):
        """Return the state of the last checkpoint that is whole, and the records since.

        Returns
        -------
        state : dict
        records : list of bytes
        """
        if not self.path.is_dir():
            raise ValueError(f"{self.path} holds no run of a learner: there is no such folder.")
        self._take()
        try:
            self.run = self.read_run()["run"]
            checkpoints = self._numbered("checkpoint")
            for n_calls, file in reversed(checkpoints):
                try:
                    return self._read_checkpoint(file), self._records_since(n_calls)
                except ModelFormatError as error:
                    warn_user(f"{error} The checkpoint before it is taken.")
            raise ValueError(f"{self.path} holds no checkpoint that is whole.")
        except BaseException:
            self.close()
            raise

    def _read_checkpoint(self, file):
        metadata, arrays = read_file(file)
        if metadata.get("run") != self.run:
            raise ModelFormatError(f"{file} belongs to another run.")
        reader = ObjectReader(arrays)
        state = reader.decode(read_json(metadata["state"], "the state"), "the state")
        reader.refuse_left()
        return state

    def _records_since(self, n_calls):
        records, self._journals = [], []
        for number, file in self._numbered("journal"):
            if number < n_calls:
                continue
            found, ends = read_journal(file, bytes.fromhex(self.run))
            if number != n_calls + len(records):
                raise ValueError(
                    f"{self.path}: a part of the journal is lost: calls {n_calls + len(records)} to {number}."
                )
            records += found
            self._journals.append((number, ends))
        self._n_calls, self._n_records = n_calls, len(records)
        return records

    def go_on(self, n_records, sync_every):
        """Open the journal behind the first `n_records` of those that `open` returned: all, or all but the last."""
        if not self._journals:
            self._open_journal(self._n_calls, sync_every)
            return
        n_calls, ends = self._journals[-1]
        left = self._n_records - n_records
        self._open_journal(n_calls, sync_every)
        self._journal.cut_to(ends[len(ends) - 1 - left])

    def _journal_file(self, n_calls):
        return self.path / f"journal-{n_calls:015d}.log"

    def _open_journal(self, n_calls, sync_every):
        self._journal = Journal(self._journal_file(n_calls), bytes.fromhex(self.run), n_calls, sync_every)

    def append(self, record):
        """Write a record of the journal."""
        try:
            self._journal.append(record)
        except OSError as error:
            raise OSError(
                error.errno,
                f"{error.strerror}: the row was not taken, as the journal cannot be written; send it again when there "
                "is room",
                str(self._journal.path),
            ) from error

    @property
    def position(self):
        """Journal, and where it ends."""
        return self._journal, self._journal.end

    def cut_to(self, position):
        """Remove the records that were written since a `position`, in the same journal."""
        journal, end = position
        if journal is self._journal:
            journal.cut_to(end)

    def checkpoint(self, state, sync_every):
        """Write a checkpoint, begin a new journal, and delete the files that are no longer needed."""
        n_calls = state["n_calls"]
        writer = ObjectWriter()
        description = write_json(writer.encode(state))
        metadata = {"format": "sklstm", "format_version": "1", "run": self.run, "state": description}
        file = self.path / f"checkpoint-{n_calls:015d}.safetensors"
        write_file(file, metadata, writer.arrays)
        before, self._journal = self._journal, None
        try:
            self._open_journal(n_calls, sync_every)
        except BaseException:
            self._journal = before
            if before is not None and before.path != self._journal_file(n_calls):
                # The journal of before goes on: behind a newer checkpoint it would not be read.
                for one in (file, self._journal_file(n_calls)):
                    with contextlib.suppress(OSError):
                        one.unlink()
            raise
        if before is not None:
            before.close()
        kept = self._numbered("checkpoint")[-KEPT:]
        for kind in ("checkpoint", "journal"):
            for number, file in self._numbered(kind):
                if number < kept[0][0]:
                    with contextlib.suppress(FileNotFoundError):
                        file.unlink()

    def _numbered(self, kind):
        """Return numbers and paths of the files of a kind, in order."""
        found = []
        for file in self.path.glob(f"{kind}-*"):
            digits = file.name[len(kind) + 1 :].partition(".")[0]
            if digits.isdigit():
                found.append((int(digits), file))
        return sorted(found)

    def sync(self):
        """Bring the journal to the disk."""
        if self._journal is not None:
            self._journal.sync()

    def close(self):
        """Close the files and give the folder back."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __del__(self):
        """Give the folder back with the learner."""
        self.close()


def describe(learner):
    """Return the parameters of a learner, and of its model, in words."""
    parameters = learner.get_params(deep=False)
    model = unfrozen(parameters.pop("model"))
    return {**model_words(model), "parameters": {name: in_words(value) for name, value in parameters.items()}}


def model_words(model):
    """Return class and parameters of a model in words."""
    parameters = model.get_params(deep=False)
    kept = {name: in_words(value) for name, value in parameters.items() if name not in WITHOUT_EFFECT}
    return {"model": type(model).__name__, "model_parameters": kept}


def differences(found, expected):
    """Return in words how two descriptions differ; an empty text where they do not."""
    if found["model"] != expected["model"]:
        return f", a {found['model']} and no {expected['model']}"
    for part in ("model_parameters", "parameters"):
        for name in sorted({*found[part], *expected[part]}):
            one, other = found[part].get(name), expected[part].get(name)
            if one != other:
                return f", with {name}={one} and not {other}"
    return ""
