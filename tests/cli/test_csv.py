"""Names of series, times and labels in CSV files: texts where numbers would be others."""

import numpy as np
import pandas as pd
from batch_case import COLUMNS, OPTIONS, SIZES, fails, model, run, table

from sklstm import DeepLSTMRegressor, save_model


def renamed(files, names, **columns):
    """Write the table as CSV with other names of its groups, and other columns."""
    frame = table().assign(**columns)
    frame["series"] = frame["series"].map(dict(zip(frame["series"].unique(), names, strict=True)))
    frame.to_csv(files / "table.csv", index=False)
    return frame


def test_names_in_a_csv_are_texts(files):
    number = np.arange(len(table()))
    ids, long = [f"{k % 7:03d}" for k in number], [f"9007199254740993{k:05d}" for k in number]
    frame = renamed(files, ["01", "1", "NA", "null", "1.0"], id=ids, long=long)
    command = ("predict", files / "model", files / "table.csv", files / "out.parquet", *OPTIONS)
    assert run(*command, "--keep", "id,long,label", "--quiet") == 0
    found = pd.read_parquet(files / "out.parquet")
    for name in ("series", "id", "long", "label"):
        assert found[name].tolist() == frame[name].tolist()
    expected = model("regressor").predict(frame[COLUMNS], groups=frame["series"].to_numpy())
    assert found["prediction"].to_numpy().tobytes() == expected.tobytes()


def test_an_empty_cell_is_no_name_of_a_group(files, capsys):
    renamed(files, ["01", "1", "NA", "", "2"])
    assert "column 'series' holds no label in row 217" in fails(3, files, capsys, source="table.csv")


def test_an_empty_line_of_a_single_column_is_a_row(files, capsys):
    save_model(DeepLSTMRegressor(2, max_iter=1).fit(table()[["a"]], table()["y"]), files / "model")
    (files / "table.csv").write_text("a\n1\n\n2\n")
    assert "row 1 holds nan in column 'a'" in fails(3, files, capsys, "--quiet", source="table.csv")


def test_numbers_of_the_labels_that_a_model_knows_are_numbers(files):
    frame = table().copy()
    frame["series"] = frame["series"].map(dict(zip(SIZES, range(5), strict=True)))
    frame.to_csv(files / "table.csv", index=False)
    network = DeepLSTMRegressor(4, sequence_length=3, max_iter=1, carry_context=True, random_state=0)
    save_model(network.fit(frame[COLUMNS], frame["y"], groups=frame["series"]), files / "model")
    assert run("predict", files / "model", files / "table.csv", files / "out.parquet", *OPTIONS, "--quiet") == 0
    expected = network.predict(frame[COLUMNS], groups=frame["series"].to_numpy())
    assert pd.read_parquet(files / "out.parquet")["prediction"].to_numpy().tobytes() == expected.tobytes()


def test_times_and_labels_that_numbers_would_change(files, capsys, monkeypatch):
    number = np.arange(len(table()))
    renamed(files, "abcde", time=[f"{k:05d}" for k in number])
    assert "'time' holds string, '00000' in row 0" in fails(3, files, capsys, source="table.csv")
    renamed(files, "abcde", time=[str(2**63 + int(k)) for k in number])
    assert "'time' holds string, '9223372036854775808' in row 0" in fails(3, files, capsys, source="table.csv")
    monkeypatch.setattr("sklstm.cli.tables.CSV_BLOCK", 4000)
    renamed(files, "abcde", id=[f"{k + 1}" if k < 390 else f"0{k}" for k in number])
    message = fails(3, files, capsys, *OPTIONS, "--keep", "id", source="table.csv")
    assert "row 390 holds '0390' in column 'id', of which a number would lose digits" in message
