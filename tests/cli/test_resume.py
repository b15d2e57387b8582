"""`--resume`: a run that was interrupted ends with the file of one that was not, byte for byte."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from batch_case import model, run

from sklstm import save_model
from sklstm.cli.errors import Stopped
from sklstm.cli.output import PartialOutput

OPTIONS = ("--group", "series", "--time", "time", "--batch-rows", "40")


def command(files, *options, name="out.parquet", source="table.parquet"):
    return ("predict", files / "model", files / source, files / name, *OPTIONS, *options)


def beside(files):
    """Names of the files beside the output."""
    return sorted(path.name for path in files.iterdir() if path.name.startswith("out."))


@pytest.fixture
def stop_after(monkeypatch):
    """A function that lets runs end after so many row groups, as an error does that is not caught."""

    def arrange(n_groups, error):
        append = PartialOutput.append

        def stopping(self, *arguments):
            if len(self._segments) == n_groups:
                raise error
            append(self, *arguments)

        monkeypatch.setattr(PartialOutput, "append", stopping)
        return lambda: monkeypatch.setattr(PartialOutput, "append", append)

    return arrange


PARQUET, CSV = ("table.parquet", "out.parquet"), ("table.csv", "out.csv")


@pytest.mark.parametrize(
    ("kind", "source", "name"),
    [*((kind, *PARQUET) for kind in ("regressor", "carried", "stateful", "pipeline")), ("classifier", *CSV)],
)
def test_a_resumed_output_is_that_of_one_run(kind, source, name, files, stop_after, capsys):
    save_model(model(kind), files / "model")
    arguments = command(files, name=name, source=source)
    assert run(*arguments) == 0
    expected = (files / name).read_bytes()
    (files / name).unlink()
    for n_groups in (3, 4, 9):  # at the end of a group, inside another, before the last row group
        undo = stop_after(n_groups, Stopped(signal.SIGTERM))
        assert run(*arguments, "--resume") == 143
        undo()
        assert f"{40 * n_groups:,} rows are kept" in capsys.readouterr().err
        assert beside(files) == [f"{name}.journal", f"{name}.partial"]
    assert run(*arguments, "--resume") == 0
    assert "goes on after 360 rows" in capsys.readouterr().err
    assert (files / name).read_bytes() == expected
    assert beside(files) == [name]


def test_the_batches_before_are_not_computed_again(files, stop_after, monkeypatch):
    arguments = command(files)
    undo = stop_after(7, KeyboardInterrupt())
    assert run(*arguments) == 130
    undo()
    asked = []
    append = PartialOutput.append
    monkeypatch.setattr(PartialOutput, "append", lambda *given: (asked.append(given[1].num_rows), append(*given)))
    assert run(*arguments, "--resume") == 0
    assert asked == [40, 40, 40]


def test_without_resume_a_run_begins_anew_and_says_so(files, stop_after, capsys):
    arguments = command(files)
    undo = stop_after(2, KeyboardInterrupt())
    assert run(*arguments) == 130
    undo()
    capsys.readouterr()
    assert run(*arguments) == 0
    assert "dropped 80 rows" in capsys.readouterr().err


def test_resume_without_a_run_before_begins_at_the_first_row(files):
    assert run(*command(files, "--resume")) == 0
    assert beside(files) == ["out.parquet"]


@pytest.mark.parametrize("changed", ["model", "table", "options", "versions"])
def test_the_rows_of_another_job_are_refused_and_kept(changed, files, stop_after, monkeypatch, capsys):
    undo = stop_after(2, KeyboardInterrupt())
    assert run(*command(files)) == 130
    undo()
    before = (files / "out.parquet.partial").read_bytes(), (files / "out.parquet.journal").read_bytes()
    more = ()
    if changed == "model":
        save_model(model("two outputs"), files / "model")
    elif changed == "table":
        os.utime(files / "table.parquet", ns=(1, 1))
    elif changed == "options":
        more = ("--keep", "y")
    else:
        monkeypatch.setattr("sklstm.cli.predict.__version__", "0.0.1")
    capsys.readouterr()
    assert run(*command(files, "--resume", *more)) == 6
    assert f"its {changed} differ" in capsys.readouterr().err
    assert before == ((files / "out.parquet.partial").read_bytes(), (files / "out.parquet.journal").read_bytes())


@pytest.mark.parametrize(
    "damage", ["line cut off", "rows cut off", "rows changed", "rows not told of", "all rows lost"]
)
def test_only_row_groups_that_are_whole_are_gone_on_with(damage, files, stop_after, capsys):
    assert run(*command(files)) == 0
    expected = (files / "out.parquet").read_bytes()
    undo = stop_after(5, KeyboardInterrupt())
    assert run(*command(files)) == 130
    undo()
    rows, journal = files / "out.parquet.partial", files / "out.parquet.journal"
    n_kept = {"line cut off": 4, "rows cut off": 4, "rows changed": 2, "rows not told of": 5, "all rows lost": 0}[
        damage
    ]
    content = bytearray(rows.read_bytes())
    if damage == "line cut off":
        journal.write_bytes(journal.read_bytes()[:-7])
    elif damage == "rows cut off":
        rows.write_bytes(content[:-1])
    elif damage == "rows changed":
        sizes = [json.loads(line)["bytes"] for line in journal.read_bytes().splitlines()[1:]]
        content[sum(sizes[:2]) + sizes[2] // 2] ^= 1
        rows.write_bytes(content)
    elif damage == "rows not told of":
        rows.write_bytes(content + content[:100])
    else:
        rows.unlink()
    capsys.readouterr()
    assert run(*command(files, "--resume")) == 0
    told = capsys.readouterr().err
    assert (f"goes on after {40 * n_kept} rows" in told) == (n_kept > 0)
    assert (files / "out.parquet").read_bytes() == expected


def test_a_file_of_somebody_else_is_not_overwritten(files, capsys):
    (files / "out.parquet.journal").write_text("Dear diary,\n")
    assert run(*command(files)) == 5
    assert "is no journal of sklstm" in capsys.readouterr().err
    assert (files / "out.parquet.journal").read_text() == "Dear diary,\n"


def test_two_processes_do_not_write_one_output(files, capsys):
    pytest.importorskip("fcntl")
    first = PartialOutput(files / "out.parquet", {"model": "a"})
    assert run(*command(files)) == 5
    assert "another process" in capsys.readouterr().err
    first.close()
    assert run(*command(files)) == 0


# With a pause after each row group, as the table is small.
SLOW_COMMAND = """
import sys, time
from sklstm.cli.main import main
from sklstm.cli.output import PartialOutput
append = PartialOutput.append
PartialOutput.append = lambda *arguments: (append(*arguments), time.sleep(0.05))
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_is_stopped_goes_on_with_the_same_bits(signum, files, tmp_path):
    """The real thing, at any moment: after the first row groups a signal comes, however far the process is."""
    arguments = [str(one) for one in command(files, "--quiet")]
    arguments[arguments.index("40")] = "3"
    assert run(*arguments) == 0
    expected = (files / "out.parquet").read_bytes()
    (files / "out.parquet").unlink()
    command_line = [sys.executable, "-c", SLOW_COMMAND, *arguments]
    process = subprocess.Popen(command_line, stderr=subprocess.PIPE, text=True)
    journal = files / "out.parquet.journal"
    while process.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") > 5):
        time.sleep(0.001)
    process.send_signal(signum)
    told = process.communicate(timeout=60)[1]
    assert process.returncode == {signal.SIGKILL: -9, signal.SIGTERM: 143}[signum]
    assert "Traceback" not in told
    assert not (files / "out.parquet").exists()
    assert run(*arguments, "--resume") == 0
    assert (files / "out.parquet").read_bytes() == expected
    assert beside(files) == ["out.parquet"]
