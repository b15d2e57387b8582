"""Errors of the command line, each with the exit code of the process."""

import errno
import os
import sys
from contextlib import contextmanager

#: What each exit code means, as the help and doc/guide/batch.md say it.
EXIT_CODES = {
    0: "done",
    1: "unexpected error: a fault of sklstm or of a library (--traceback shows where)",
    2: "usage: an option, a key of a configuration file or a package that is missing",
    3: "the input table: not readable, damaged, wrong columns, values or order of rows",
    4: "the model: not readable, damaged, not trusted, or not able to do what was asked",
    5: "the output: cannot be written, disk full, or another process writes it",
    6: "--resume: the partial output belongs to another job (model, table, options or versions)",
    130: "interrupted (SIGINT)",
    143: "terminated (SIGTERM)",
}


class CommandError(Exception):
    """An error that ends a command with one line and an exit code."""

    code = 1


class UsageError(CommandError):
    """Options or a configuration that make no sense."""

    code = 2


class InputError(CommandError):
    """A table that cannot be used."""

    code = 3


class ModelError(CommandError):
    """A model that cannot be used."""

    code = 4


class OutputError(CommandError):
    """A file that cannot be written."""

    code = 5


class ResumeError(CommandError):
    """A partial output of another job."""

    code = 6


class Stopped(BaseException):
    """The process was asked to end by a signal; no `Exception`, which code between might catch.

    Parameters
    ----------
    signum : int
    """

    def __init__(self, signum):
        super().__init__(signum)
        self.code = 128 + signum


def refuse_output(output, *read):
    """Raise if a file cannot be written, as its folder is missing, or would replace one of those that are read."""
    if os.path.isdir(output):
        raise UsageError(f"{output}: the output is a folder, expected the name of a file.")
    folder = os.path.dirname(output) or "."
    if not os.path.isdir(folder):
        raise OutputError(f"{output}: cannot be written: No such file or directory: {folder}.")
    for given in read:
        if os.path.exists(given) and os.path.exists(output) and os.path.samefile(given, output):
            raise UsageError(f"{output}: the output would replace what is read, {given}; name another file.")


@contextmanager
def output_errors(path, advice=""):
    """Turn errors of the system into an `OutputError` that names the file."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or one_line(error)
        if error.errno == errno.ENOSPC:
            reason = "no space left on the device"
        raise OutputError(f"{path}: cannot be written: {reason}.{advice}") from error


def one_line(error):
    """Return the message of an error without line breaks."""
    return " ".join(str(error).split()) or type(error).__name__


def say(text):
    """Write a line to the standard error, as one call, so that lines of several processes do not mix."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def nearest(name, known, what="did you mean"):
    """Return a hint at the known names nearest to an unknown one, empty where none is near."""
    from difflib import get_close_matches

    lower = {str(one).lower(): str(one) for one in known}
    found = get_close_matches(str(name).lower(), lower, n=2, cutoff=0.6)
    return f"; {what} {' or '.join(repr(lower[one]) for one in found)}?" if found else ""
