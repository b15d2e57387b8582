"""An output table that survives the end of the process: rows in a partial file, with a journal of what is whole.

Beside the table OUT there are, until it is complete, ``OUT.partial`` with the rows of each row group, one after the
other as streams of Arrow, ``OUT.journal`` with a line of JSON for each of them, written after its rows, and in the end
``OUT.new``, which takes the place of OUT. The system keeps what was written when the process is killed. Nothing
waits for the disk before the end: when the machine stops, checksums tell how many row groups have reached it.
"""

import json
import os
import zlib
from contextlib import suppress
from pathlib import Path

from sklstm._model_files.atomic import replacing
from sklstm.cli.errors import OutputError, ResumeError, output_errors
from sklstm.cli.tables import format_of, open_writer

FORMAT = "sklstm-journal-1"
BEGIN = f'{{"format": "{FORMAT}"'.encode("ascii")
ADVICE = " What was done so far is kept: run the same command with --resume."


class PartialOutput:
    """The rows of an output so far.

    Parameters
    ----------
    path : str
        The table in the end.
    job : dict
        What the rows depend on, of texts and numbers; those of another job are not gone on with.
    resume : bool, default=False
        Whether to go on with the rows that are there; else they are dropped.

    Attributes
    ----------
    n_rows : int
        Rows that are there.
    state : str or None
        What was handed to `append` with the last of them.
    n_dropped : int
        Rows of a run before that were dropped.

    Raises
    ------
    OutputError
        If the files cannot be written, or another process writes them.
    ResumeError
        If the rows are of another job; they are kept.
    """

    def __init__(self, path, job, resume=False):
        self._path = Path(os.path.realpath(path))
        self._shown, self._kind = path, format_of(path, "output")
        self._partial, self._journal_path, self._new = (
            self._path.with_name(f"{self._path.name}.{end}") for end in ("partial", "journal", "new")
        )
        self._segments, self.n_rows, self.state, self.n_dropped, self._schema = [], 0, None, 0, None
        self._rows_file = self._journal = None
        try:
            with output_errors(path):
                self._check_target()
                self._journal = open(self._journal_path, "a+b")  # noqa: SIM115  # closed by `close` and `finish`
                _lock(self._journal, path)
                self._rows_file = open(self._partial, "a+b")  # noqa: SIM115  # likewise
                self._begin(job, resume)
        except BaseException:
            self._close_files()
            raise

    def _check_target(self):
        if self._path.exists() and not self._path.is_file():
            raise OutputError(f"{self._shown}: is no regular file.")

    def _begin(self, job, resume):
        """Read the journal of a run before, or begin a new one."""
        lines = self._read_journal()
        if lines and resume:
            self._refuse_other_job(lines[0].get("job"), job)
            self._take_over(lines[1:])
            return
        self.n_dropped = sum(line["rows"] for line in lines[1:])
        self._journal.truncate(0)
        self._rows_file.truncate(0)
        self._write_line({"format": FORMAT, "job": job})

    def _read_journal(self):
        """Return the whole lines; what a crash has left of the last one is cut off."""
        self._journal.seek(0)
        content = self._journal.read()
        if not (content.startswith(BEGIN) or BEGIN.startswith(content)):
            raise OutputError(f"{self._journal_path}: is no journal of sklstm; remove it, or name another output.")
        lines, end = [], 0
        for line in content.splitlines(keepends=True):
            try:
                entry = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                entry = None
            needed = ("rows", "bytes", "crc32") if lines else ("job",)
            if not isinstance(entry, dict) or any(name not in entry for name in needed):
                break
            lines.append(entry)
            end += len(line)
        self._journal.truncate(end)
        return lines

    def _refuse_other_job(self, found, job):
        found = found if isinstance(found, dict) else {}
        other = [name for name in job if found.get(name) != job[name]]
        if other:
            raise ResumeError(
                f"{self._shown}: its partial output is of another job, its {' and '.join(other)} differ"
                f"{'s' if len(other) == 1 else ''}. Without --resume the command starts anew and drops it."
            )

    def _take_over(self, lines):
        """Take over the row groups that are whole, as far as their rows are as they were written."""
        end, taken = 0, []
        self._rows_file.seek(0)
        for line in lines:
            content = self._rows_file.read(line["bytes"])
            if len(content) < line["bytes"] or zlib.crc32(content) != line["crc32"]:
                break
            taken.append(line)
            end += line["bytes"]
        self._rows_file.truncate(end)
        if len(taken) < len(lines):
            self._journal.seek(0)
            n_bytes = sum(len(line) for line in self._journal.read().splitlines(keepends=True)[: len(taken) + 1])
            self._journal.truncate(n_bytes)
        self._segments = [line["bytes"] for line in taken]
        self.n_rows = sum(line["rows"] for line in taken)
        self.state = taken[-1]["state"] if taken else None

    def _write_line(self, entry):
        self._journal.write(json.dumps(entry).encode("ascii") + b"\n")
        self._journal.flush()

    def append(self, batch, state=None):
        """Write a row group, so that a process that is killed after this loses none of its rows.

        Parameters
        ----------
        batch : pyarrow.RecordBatch
        state : str or None, default=None
            What is needed to go on after these rows.
        """
        import pyarrow as pa

        # Not a view of a BytesIO: Python 3.12.1 crashes where both go with the traceback of a failed write.
        stream = pa.BufferOutputStream()
        with pa.ipc.new_stream(stream, batch.schema) as writer:
            writer.write_batch(batch)
        content = stream.getvalue()
        with output_errors(self._shown, ADVICE if self._segments else ""):
            self._rows_file.write(content)
            self._rows_file.flush()
            self._write_line(
                {"rows": batch.num_rows, "bytes": len(content), "crc32": zlib.crc32(content), "state": state}
            )
        self._segments.append(len(content))
        self.n_rows += batch.num_rows

    def finish(self):
        """Write the table, and remove the files beside it."""
        with output_errors(self._shown, ADVICE):
            self._rows_file.seek(0)
            batches = (self._next_batch(n_bytes) for n_bytes in self._segments)
            first = next(batches)
            with (
                replacing(self._path, self._new) as file,
                open_writer(file, first.schema, self._kind) as write,
            ):
                write(first)
                for batch in batches:
                    write(batch)
        self.discard()

    def _next_batch(self, n_bytes):
        import pyarrow as pa

        return pa.ipc.open_stream(self._rows_file.read(n_bytes)).read_next_batch()

    def discard(self):
        """Remove the files beside the table."""
        with suppress(OSError):  # the journal goes last: without it the other is no partial output
            os.unlink(self._partial)
            os.unlink(self._journal_path)
        self.close()

    def close(self):
        """Close the files, and keep what is in them; without rows they are removed."""
        if not self._segments and self._journal is not None and not self._journal.closed:
            for path in (self._partial, self._journal_path):
                with suppress(OSError):
                    os.unlink(path)
        self._close_files()

    def _close_files(self):
        for file in (self._rows_file, self._journal):
            if file is not None:
                with suppress(OSError):
                    file.close()


def _lock(file, path):
    """Hold a file for this process; the system gives it free when the process ends, however it does."""
    try:
        import fcntl
    except ImportError:  # not on Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OutputError(f"{path}: another process is writing this output.") from None
