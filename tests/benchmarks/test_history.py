"""The history of the figures: which runs it shows, and which rows fell."""

from benchmarks import history


def run_of(seconds, of_peak, ratio=None, **tables):
    results = [{"side": "sklstm", "threads": 1, "seconds": {"median": seconds}, "of_peak": of_peak}]
    if ratio is not None:
        results.append({"side": "PyTorch", "threads": 1, "seconds": {"median": 1.0}, "ratio": {"median": ratio}})
    machine = {"date": "2026-01-01", "cpu": "CPU"}
    return {"machine": machine, "rows": [{"name": "train", "results": results}], **tables}


def test_a_row_is_shown_once_for_each_run_that_measured_it():
    runs = [("a", run_of(0.02, 0.8, 2.5)), ("b", run_of(0.02, 0.8, 2.5)), ("c", run_of(0.03, 0.7, 1.5))]
    (found,) = history.histories(runs).values()
    assert [figure.commit for figure in found] == ["a", "c"]
    assert found[1].shown().split() == [
        *("c", "2026-01-01", "CPU", "0.03", "s", "70", "%", "of", "peak", "PyTorch", "1.50")
    ]


def test_only_a_share_that_falls_by_more_than_a_tenth_counts():
    assert history.fell(history.histories([("a", run_of(1, 0.8)), ("b", run_of(2, 0.7))])["train", 1])
    assert not history.fell(history.histories([("a", run_of(1, 0.8)), ("b", run_of(2, 0.75))])["train", 1])
    assert not history.fell(history.histories([("a", run_of(1, 0.7)), ("b", run_of(2, 0.9))])["train", 1])


def test_other_tables_and_rows_without_a_peak_or_without_us():
    cells = run_of(0.5, None)
    peer = {"name": "peer alone", "results": [{"side": "PyTorch", "threads": 2, "seconds": {"median": 1.0}}]}
    cells["rows"] = [{**cells["rows"][0], "name": "gru"}, peer]
    found = history.histories([("a", run_of(1, 0.8, cells=cells, reduced=None))])
    assert set(found) == {("train", 1), ("gru", 1)}
    assert not history.fell(found["gru", 1])
    assert found["gru", 1][0].shown().endswith("0.5 s")
