"""Bad input of the command line: one line, an exit code, and an output that is as it was."""

import errno
import os
import subprocess
import sys
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from batch_case import COLUMNS, OPTIONS, fails, model, read_numbers, run, table
from pyarrow import parquet
from sklearn.linear_model import LinearRegression

from sklstm import DeepLSTMRegressor, WeightedEnsembleRegressor, save_model


def changed(files, change, **kind):
    """Write the table after a change."""
    frame = table().astype(kind).copy()
    change(frame)
    frame.to_parquet(files / "table.parquet", row_group_size=70)


# Files


def test_a_truncated_table(files, capsys):
    path = files / "table.parquet"
    for n_bytes in (0, 3, 1000, path.stat().st_size - 1):
        content = path.read_bytes()
        path.write_bytes(content[:n_bytes])
        assert "table.parquet: is damaged, or no such file" in fails(3, files, capsys)
        path.write_bytes(content)


def test_a_table_with_damaged_pages(files, capsys):
    from pyarrow.parquet import ParquetFile

    path = files / "table.parquet"
    column = ParquetFile(path).metadata.row_group(4).column(table().columns.get_loc("a"))
    begin = column.data_page_offset
    content = bytearray(path.read_bytes())
    content[begin : begin + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    path.write_bytes(content)
    assert "table.parquet: " in fails(3, files, capsys)


def test_a_byte_that_has_changed_is_found_in_tables_of_our_own(files, capsys):
    command = ("predict", files / "model", files / "table.parquet", files / "own.parquet", *OPTIONS, "--quiet")
    assert run(*command, "--keep", "a,b,c") == 0
    content = (files / "own.parquet").read_bytes()
    column = parquet.ParquetFile(files / "own.parquet").metadata.row_group(3).column(3)
    end = column.data_page_offset if column.has_dictionary_page else column.data_page_offset + 400
    for place in range(end - 90, end - 10, 16):
        (files / "own.parquet").write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert "own.parquet: " in fails(3, files, capsys, source="own.parquet")


def test_a_csv_file_that_is_none(files, capsys):
    (files / "table.csv").write_bytes(b"series,time,a,b,c\nx,2020-01-01,1,2\n")
    assert "table.csv: is damaged" in fails(3, files, capsys, source="table.csv")
    (files / "table.csv").write_bytes(b"")
    assert "table.csv: is damaged" in fails(3, files, capsys, source="table.csv")


def test_later_rows_of_a_csv_file_that_hold_text(files, capsys, monkeypatch):
    monkeypatch.setattr("sklstm.cli.tables.CSV_BLOCK", 4000)
    frame = table().astype({"a": object})
    frame.loc[300, "a"] = "broken"
    frame.to_csv(files / "table.csv", index=False)
    assert "broken" in fails(3, files, capsys, source="table.csv")


def test_whole_numbers_that_turn_out_to_be_fractions(files, monkeypatch):
    monkeypatch.setattr("sklstm.cli.tables.CSV_BLOCK", 4000)
    frame = table().copy()
    frame["a"] = np.r_[np.zeros(390), np.full(10, 0.5)]
    (files / "table.csv").write_text(frame.to_csv(index=False).replace(",0.0,", ",0,"))
    assert run("predict", files / "model", files / "table.csv", files / "out.csv", *OPTIONS) == 0
    expected = model("regressor").predict(frame[COLUMNS], groups=frame["series"].to_numpy())
    written = read_numbers(files / "out.csv")
    assert written["prediction"].to_numpy().tobytes() == expected.tobytes()


def test_files_that_are_not_there(files, capsys):
    assert "nothing.parquet: cannot be read: No such file" in fails(3, files, capsys, source="nothing.parquet")
    assert "nothing: cannot be read: No such file" in fails(4, files, capsys, model="nothing")


def test_a_folder_that_is_not_there(files, capsys):
    message = fails(5, files, capsys, output="folder/out.parquet")
    assert "out.parquet: cannot be written: No such file" in message


def test_a_table_without_rows(files, capsys):
    table().iloc[:0].to_parquet(files / "table.parquet")
    assert "has no rows" in fails(3, files, capsys)


def test_an_output_that_is_the_input(files, capsys):
    before = (files / "table.parquet").read_bytes()
    (files / "link.parquet").symlink_to(files / "table.parquet")
    for name in ("table.parquet", "link.parquet"):
        assert "would replace what is read" in fails(2, files, capsys, output=name)
    assert (files / "table.parquet").read_bytes() == before
    for name in ("table.parquet", "model"):
        content, command = (files / name).read_bytes(), ("evaluate", files / "model", files / "table.parquet")
        assert run(*command, "--target", "y", *OPTIONS, "--output", files / name) == 2
        assert "would replace what is read" in capsys.readouterr().err
        assert (files / name).read_bytes() == content


def test_formats_that_are_not_known(files, capsys):
    assert "must end in .parquet, .pq, .csv; found '.feather'" in fails(2, files, capsys, source="table.feather")
    assert "the output must end in" in fails(2, files, capsys, output="out")


@pytest.mark.parametrize("content", [b"", b"\x80\x05K\x01.", b"hello"])
def test_models_that_are_none(content, files, capsys):
    (files / "model").write_bytes(content)
    assert "--trust" in fails(4, files, capsys)
    reason = "holds a int" if content[:1] == b"\x80" else "joblib cannot read it"
    assert reason in fails(4, files, capsys, *OPTIONS, "--trust")


def test_a_damaged_model(files, capsys):
    content = bytearray((files / "model").read_bytes())
    content[-3] ^= 1
    (files / "model").write_bytes(content)
    message = fails(4, files, capsys)
    assert "checksum" in message
    assert "--trust" not in message  # it would not help


# Columns and values


def test_columns_that_are_missing(files, capsys):
    table().rename(columns={"a": "A"}).to_parquet(files / "table.parquet")
    assert "column 'a' is not among its 7 columns; did you mean 'A'?" in fails(3, files, capsys)


def test_keys_that_are_missing(files, capsys):
    assert "'serie'" in (message := fails(3, files, capsys, "--group", "serie"))
    assert "did you mean 'series'?" in message


def test_too_many_columns_without_names(files, capsys):
    nameless = DeepLSTMRegressor(hidden_size=4, max_iter=1).fit(table()[COLUMNS].to_numpy(), table()["y"])
    save_model(nameless, files / "model")
    assert "the model reads 3 columns" in (message := fails(3, files, capsys))
    assert "--features" in message
    assert "--features names 2" in fails(3, files, capsys, "--features", "a,b")


@pytest.mark.parametrize("value", [np.nan, np.inf, None])
def test_numbers_that_are_not_finite(value, files, capsys):
    changed(files, lambda frame: frame.__setitem__("b", frame["b"].where(frame.index != 277, value)))
    message = fails(3, files, capsys)
    assert f"row 277 holds {'inf' if value == np.inf else 'nan'} in column 'b'" in message


def test_text_where_numbers_are_expected(files, capsys):
    table().astype({"c": str}).to_parquet(files / "table.parquet")
    assert "column 'c' holds " in fails(3, files, capsys)
    changed(files, lambda frame: frame.__setitem__("c", [Decimal("1.5")] * len(frame)))
    assert "column 'c' holds decimal128(2, 1), expected numbers: cast it to double." in fails(3, files, capsys)


def test_a_csv_file_with_another_mark_between_values(files, capsys):
    table().to_csv(files / "table.csv", index=False, sep=";")
    message = fails(3, files, capsys, source="table.csv")
    assert "values are separated by commas, and its first line has ';'" in message


def test_columns_of_the_same_name(files, capsys):
    (files / "table.csv").write_text("series,time,a,b,c,a\nx,2020-01-01,1,2,3,4\n")
    assert "two columns are named 'a'" in fails(3, files, capsys, source="table.csv")
    table().rename(columns={"y": "prediction"}).to_parquet(files / "table.parquet")
    message = fails(2, files, capsys, *OPTIONS, "--keep", "prediction")
    assert "two columns of the output would be named 'prediction'; set --prefix" in message


# Order


def test_a_group_in_two_blocks(files, capsys):
    def change(frame):
        frame.loc[350:, "series"] = "few"

    changed(files, change)
    message = fails(3, files, capsys)
    assert "group 'few' of column 'series' comes in separate blocks, the second begins at row 350" in message
    assert "Sort the table by group" in message


def test_interleaved_groups(files, capsys):
    table().sort_values(["time", "series"]).to_parquet(files / "table.parquet")
    assert "comes in separate blocks, the second begins at row" in fails(3, files, capsys)


@pytest.mark.parametrize("row", [7, 150, 399])  # inside a batch, at the first row of one, the last
def test_rows_out_of_time_order(row, files, capsys):
    def change(frame):
        frame.loc[row, "time"] = frame.loc[row - 1, "time"] - pd.Timedelta("1min")

    changed(files, change)
    message = fails(3, files, capsys)
    assert f"row {row} is out of order: its 'time' is 20" in message


@pytest.mark.parametrize("kind", ["number", "date", "text"])
def test_times_of_other_types(kind, files, capsys):
    frame = table().copy()
    frame["series"] = "x"
    hours = np.arange(len(frame))
    days = pd.Series(pd.date_range("2020-01-01", periods=len(frame), freq="D"))
    frame["time"] = {"number": hours / 2, "date": days.dt.date, "text": days.astype(str)}[kind]
    frame.to_parquet(files / "table.parquet")
    command = ("predict", files / "model", files / "table.parquet", files / "out.parquet", *OPTIONS)
    assert run(*command) == (3 if kind == "text" else 0)
    told = capsys.readouterr().err
    assert ("expected timestamps, dates, durations or numbers" in told) == (kind == "text")
    if kind != "text":
        frame.iloc[::-1].to_parquet(files / "table.parquet")
        assert run(*command) == 3
        assert "row 1 is out of order" in capsys.readouterr().err


def test_equal_times_are_told(files, capsys):
    def change(frame):
        frame.loc[[51, 120], "time"] = frame.loc[[50, 119], "time"].to_numpy()

    changed(files, change)
    assert run("predict", files / "model", files / "table.parquet", files / "out.parquet", *OPTIONS, "--quiet") == 0
    assert "warning: 2 rows have the 'time' of the row before them" in (told := capsys.readouterr().err)
    assert "the first is row 51" in told


@pytest.mark.parametrize(("column", "what"), [("series", "no label"), ("time", "no time")])
def test_keys_without_a_value(column, what, files, capsys):
    def change(frame):
        frame.loc[123, column] = None

    changed(files, change)
    assert f"column '{column}' holds {what} in row 123" in fails(3, files, capsys)


# Models that cannot


def test_methods_that_a_model_does_not_have(files, capsys):
    message = fails(4, files, capsys, "--method", "predict_proba")
    assert "a DeepLSTMRegressor without predict_proba; it has predict, transform" in message


def test_models_of_sequences_and_decoders(files, capsys):
    frame = table()
    sequences = DeepLSTMRegressor(hidden_size=4, max_iter=1).fit(np.zeros((4, 3, 3)) + frame["a"][0], [0, 1, 0, 1])
    save_model(sequences, files / "model")
    assert "was fitted on a set of sequences" in fails(4, files, capsys)
    decoder = DeepLSTMRegressor(4, max_iter=1, sequence_length=4, decoder="recurrent", known_columns=["c"])
    y = np.column_stack([frame["y"], frame["y"]])[:50]
    save_model(decoder.fit(frame[COLUMNS][:50], y, future=frame[COLUMNS][50:52]), files / "model")
    assert "has a decoder that reads known_columns of the rows ahead" in fails(4, files, capsys)
    # An ensemble is predicted, but not with members that read all rows before.
    mixed = WeightedEnsembleRegressor([("all", model("stateful")), ("line", LinearRegression())])
    save_model(mixed.fit(frame[COLUMNS], frame["y"], groups=frame["series"]), files / "model")
    assert "with members of training='stateful' reads all rows before each" in fails(4, files, capsys)


def test_models_that_read_all_rows_before(files, capsys):
    save_model(model("stateful"), files / "model")
    assert "reads all rows before each, found --context-rows 3" in fails(4, files, capsys, "--context-rows", "3")


def test_a_group_without_a_unit(files, capsys):
    save_model(model("units"), files / "model")

    def change(frame):
        frame.loc[frame["series"] == "last", "series"] = "new"

    changed(files, change)
    assert "'new'" in fails(3, files, capsys)


# Output


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EIO])
def test_a_full_disk_keeps_what_was_done(number, files, capsys, monkeypatch):
    from sklstm.cli.output import PartialOutput

    command = ("predict", files / "model", files / "table.parquet", files / "out.parquet", *OPTIONS)
    assert run(*command) == 0
    expected = (files / "out.parquet").read_bytes()
    write = PartialOutput._write_line

    def full(self, entry):
        if len(self._segments) == 3:
            raise OSError(number, os.strerror(number))
        write(self, entry)

    monkeypatch.setattr(PartialOutput, "_write_line", full)
    capsys.readouterr()
    assert run(*command, "--quiet") == 5
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "out.parquet: cannot be written: " in told
    assert "--resume" in told
    assert (files / "out.parquet").read_bytes() == expected
    monkeypatch.undo()
    assert run(*command, "--resume") == 0
    assert "goes on after 150 rows" in capsys.readouterr().err
    assert (files / "out.parquet").read_bytes() == expected


def test_a_disk_that_is_full_in_the_end(files, capsys, monkeypatch):
    """The table itself does not fit beside its rows."""
    command = ("predict", files / "model", files / "table.parquet", files / "out.parquet", *OPTIONS)
    code = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sys.dont_write_bytecode = True  # what the limit cuts off would be read by later processes
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
from sklstm.cli.main import main
sys.exit(main(sys.argv[2:]))
"""
    assert run(*command) == 0
    expected = (files / "out.parquet").read_bytes()
    arguments = [sys.executable, "-c", code, "9000", *map(str, command), "--quiet", "--keep", "y,a,b,c,label"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 5, done.stderr
    assert "cannot be written: File too large" in done.stderr
    assert (files / "out.parquet").read_bytes() == expected


# Usage


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "required"),
        (["predicct"], "invalid choice"),
        (["predict", "model"], "required"),
        (["predict", "model", "a.csv", "b.csv", "--method", "x"], "invalid choice"),
        (["predict", "model", "a.csv", "b.csv", "--batch-rows", "x"], "invalid int"),
    ],
)
def test_errors_of_usage_are_one_line(arguments, told, capsys):
    with pytest.raises(SystemExit) as stopped:
        run(*arguments)
    assert stopped.value.code == 2
    err = capsys.readouterr().err
    assert told in err
    assert err.count("\n") == 1


def test_numbers_out_of_range(files, capsys):
    assert "--batch-rows must be at least 1" in fails(2, files, capsys, "--batch-rows", "0")
    assert "--context-rows must be at least 0" in fails(2, files, capsys, "--context-rows", "-1")
    assert "--jobs must be at least 1" in fails(2, files, capsys, "--jobs", "0")


def test_without_pyarrow(files, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    assert "pip install 'sklstm[batch]'" in fails(2, files, capsys)


def test_an_unexpected_error_has_its_type_and_on_demand_its_traceback(files, capsys, monkeypatch):
    def broken(*arguments):
        raise ZeroDivisionError("of course")

    monkeypatch.setattr("sklstm.cli.predict.open_run", broken)
    assert fails(1, files, capsys) == "sklstm: error: ZeroDivisionError: of course"
    run("predict", files / "model", files / "table.parquet", files / "out.parquet", "--traceback")
    assert "Traceback" in capsys.readouterr().err


def test_help_names_every_exit_code(capsys):
    from sklstm.cli.errors import EXIT_CODES

    with pytest.raises(SystemExit):
        run("--help")
    told = capsys.readouterr().out
    assert all(f"{code} {meaning}" in told for code, meaning in EXIT_CODES.items())
