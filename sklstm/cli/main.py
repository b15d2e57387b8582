"""The command line: options, exit codes, errors of one line."""

import argparse
import os
import signal
import sys
import traceback
import warnings
from contextlib import contextmanager, suppress

from sklstm._version import __version__
from sklstm.cli import evaluate, info, predict, train
from sklstm.cli.errors import EXIT_CODES, CommandError, Stopped, one_line, say


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message):
        """End the process with an error of usage."""
        say(f"{self.prog}: error: {message} ({self.prog} --help)")
        sys.exit(2)


def make_parser():
    """Return the parser of all commands."""
    parser = _Parser(
        prog="sklstm",
        description="Predictions, training and scores of recurrent networks for tables in files.",
        epilog="exit codes:\n" + "\n".join(f"  {code:3} {meaning}" for code, meaning in EXIT_CODES.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"sklstm {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (predict, evaluate, train, info):
        module.add_to(commands)
    for command in commands.choices.values():
        command.add_argument("--traceback", action="store_true", help="show where an error was raised")
    return parser


def main(arguments=None):
    """Run a command.

    Parameters
    ----------
    arguments : list of str or None, default=None
        None for those of the process.

    Returns
    -------
    int
        The exit code, a key of `EXIT_CODES`.
    """
    parser = make_parser()
    options = parser.parse_args(arguments)
    with _stopped_by_signals(), _short_warnings():
        try:
            options.run(options)
            sys.stdout.flush()  # a pipe that nobody reads would fail where the interpreter ends, with a code of its own
        except CommandError as error:
            return _fail(options, error, one_line(error), error.code)
        except Stopped as stop:
            return stop.code
        except KeyboardInterrupt:
            return 130
        except BrokenPipeError:  # of whoever reads the standard output
            _discard_output()
            return 1
        except Exception as error:
            return _fail(options, error, f"{type(error).__name__}: {one_line(error)}", 1)
    return 0


def _discard_output():
    """Let what is still to be written go nowhere: the interpreter would try again at its end."""
    with suppress(OSError, ValueError):  # a standard output without a file
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _fail(options, error, told, code):
    if options.traceback:
        traceback.print_exception(error)
    say(f"sklstm: error: {told}")
    return code


@contextmanager
def _stopped_by_signals():
    """Let SIGTERM end the command as Ctrl-C does, with the files in order."""

    def stop(signum, frame):
        raise Stopped(signum)

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not in the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _short_warnings():
    """Show each warning once, as one line without the place in the code."""
    shown = set()

    def show(message, category, filename, lineno, file=None, line=None):
        text = f"{category.__name__}: {one_line(message)}"
        if text not in shown:
            shown.add(text)
            say(f"sklstm: warning: {text}")

    with warnings.catch_warnings():
        warnings.showwarning = show
        # The columns of a table are chosen by name before they become an array.
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        yield
