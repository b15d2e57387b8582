"""The loader of ETTh1 against the file itself, read by the csv module of the standard library."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklstm.datasets import load_etth1

N_ROWS = 17420
NAMES = ["HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"]


@pytest.fixture(scope="module")
def etth1():
    return load_etth1()


@pytest.fixture(scope="module")
def csv_rows(etth1):
    with open(etth1.filename, newline="") as file:
        return list(csv.reader(file))


def test_values_are_those_of_the_file(etth1, csv_rows):
    expected = np.array([[float(cell) for cell in row[1:]] for row in csv_rows[1:]])
    assert etth1.data.shape == (N_ROWS, 7)
    assert etth1.data.dtype == np.float64
    assert etth1.data.flags.c_contiguous
    assert_array_equal(etth1.data, expected)
    assert np.isfinite(etth1.data).all()


def test_names_are_those_of_the_file(etth1, csv_rows):
    assert etth1.feature_names == csv_rows[0][1:] == NAMES
    assert etth1.target_names == ["OT"]


def test_target_is_the_oil_temperature_of_the_same_hour(etth1):
    assert_array_equal(etth1.target, etth1.data[:, NAMES.index("OT")])
    assert not np.shares_memory(etth1.target, etth1.data)
    assert etth1.target.flags.c_contiguous


def test_time_is_hourly_without_gap(etth1, csv_rows):
    assert etth1.time.dtype == np.dtype("datetime64[h]")
    assert etth1.time[0] == np.datetime64("2016-07-01T00")
    assert etth1.time[-1] == np.datetime64("2018-06-26T19")
    assert_array_equal(np.diff(etth1.time), np.full(N_ROWS - 1, np.timedelta64(1, "h")))
    assert [str(hour).replace("T", " ") + ":00:00" for hour in etth1.time] == [row[0] for row in csv_rows[1:]]


def test_description_and_notice_name_source_and_licence(etth1):
    notice = (Path(etth1.filename).parent / "ETTh1-LICENSE.txt").read_text()
    for text in (etth1.DESCR, notice):
        assert "Zhou" in text
        assert "github.com/zhouhaoyi/ETDataset" in text
        assert "CC BY-ND 4.0" in text
        assert "unmodified" in text


def test_every_call_gives_arrays_of_its_own(etth1):
    first = load_etth1()
    first.data[:] = 0.0
    first.target[:] = 0.0
    first.feature_names.clear()
    again = load_etth1()
    assert_array_equal(again.data, etth1.data)
    assert_array_equal(again.target, etth1.target)
    assert again.feature_names == NAMES


def test_return_X_y(etth1):
    X, y = load_etth1(return_X_y=True)
    assert_array_equal(X, etth1.data)
    assert_array_equal(y, etth1.target)


def test_as_frame(etth1):
    pd = pytest.importorskip("pandas")
    bunch = load_etth1(as_frame=True)
    assert isinstance(bunch.data, pd.DataFrame)
    assert isinstance(bunch.target, pd.Series)
    assert bunch.frame is bunch.data
    assert list(bunch.data.columns) == NAMES
    assert bunch.target.name == "OT"
    assert_array_equal(bunch.data.to_numpy(), etth1.data)
    assert_array_equal(bunch.target.to_numpy(), etth1.target)
    for table in (bunch.data, bunch.target):
        assert table.index.name == "date"
        assert_array_equal(table.index.to_numpy().astype("datetime64[h]"), etth1.time)

    X, y = load_etth1(return_X_y=True, as_frame=True)
    pd.testing.assert_frame_equal(X, bunch.data)
    pd.testing.assert_series_equal(y, bunch.target)


def test_arrays_have_no_frame(etth1):
    assert etth1.frame is None


def test_pandas_is_needed_for_frames_only(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)  # makes `import pandas` fail
    assert load_etth1().data.shape == (N_ROWS, 7)
    with pytest.raises(ImportError, match=r"pip install 'sklstm\[pandas\]'"):
        load_etth1(as_frame=True)


def test_arguments_are_keywords_only():
    with pytest.raises(TypeError, match="positional"):
        load_etth1(True)
