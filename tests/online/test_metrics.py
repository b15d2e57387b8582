"""Metrics of a learner: what they count, quantiles within their bound, the text of Prometheus, states, their cost."""

import math
import re
import sys
import threading
import time
from timeit import repeat

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklstm._online.metrics import BOUNDS, LARGEST_FACTOR, Metrics


def test_counters_gauges_and_what_a_snapshot_holds():
    metrics = Metrics()
    found = metrics.snapshot()
    assert (found["rows"], found["updates"], found["drifts"], found["refits"]) == (0, 0, 0, 0)
    assert all(math.isnan(found[name]) for name in ("loss", "loss_at_training", "step_p50", "update_p99", "step_mean"))
    for _ in range(3):
        metrics.count("rows")
    metrics.count("rows", 5)
    metrics.count("own")
    metrics.gauge("loss", 0.5)
    metrics.gauge("loss", np.float32(0.25))
    metrics.observe("step", 0.25)
    metrics.observe("step", 0.75)
    found = metrics.snapshot()
    assert (found["rows"], found["own"], found["loss"]) == (8, 1, 0.25)
    assert (found["step_count"], found["step_mean"], found["step_max"]) == (2, 0.5, 0.75)


@pytest.mark.parametrize("seed", range(3))
def test_quantiles_are_within_their_bound(seed):
    rng = np.random.default_rng(seed)
    seconds = np.exp(rng.normal(-8 + 3 * seed, 1.5, size=5000))
    metrics = Metrics()
    for one in seconds.tolist():
        metrics.observe("update", one)
    found = metrics.snapshot()
    for q in (0.5, 0.99):
        true = np.quantile(seconds, q, method="inverted_cdf")
        assert true / LARGEST_FACTOR <= found[f"update_p{q * 100:g}"] <= true * LARGEST_FACTOR
    assert LARGEST_FACTOR < 1.0443
    assert found["update_mean"] == pytest.approx(seconds.mean(), rel=1e-12)


def test_quantiles_of_few_values_and_beyond_the_buckets():
    metrics = Metrics()
    metrics.observe("step", 0.003)
    assert metrics.snapshot()["step_p50"] == metrics.snapshot()["step_p99"] == 0.003
    for seconds in (0.0, 1e-9, 5000.0):
        metrics.observe("refit", seconds)
    found = metrics.snapshot()
    assert (found["refit_p99"], found["refit_max"], found["refit_count"]) == (5000.0, 5000.0, 3)
    assert 0.0 <= found["refit_p50"] <= BOUNDS[0]
    metrics = Metrics()
    for seconds in (0.0, 0.0):
        metrics.observe("step", seconds)
    assert metrics.snapshot()["step_p50"] == 0.0


def test_refusals():
    metrics = Metrics()
    metrics.count("rows")
    for call, message in (
        (lambda: metrics.count("rows", -1), r"n=-1: a counter \('rows'\) only grows"),
        (lambda: metrics.count("step"), "'step' is a histogram, and can be no counter"),
        (lambda: metrics.gauge("rows", 1), "'rows' is a counter, and can be no gauge"),
        (lambda: metrics.observe("loss", 1), "'loss' is a gauge, and can be no histogram"),
        (lambda: metrics.observe("step", -1e-3), "seconds=-0.001"),
        (lambda: metrics.observe("step", math.nan), "seconds=nan"),
        (lambda: metrics.count("a b"), "name='a b', expected letters, digits and underscores"),
        (lambda: metrics.gauge("é", 1), "name='é'"),
    ):
        before = metrics.prometheus()
        with pytest.raises(ValueError, match=message):
            call()
        assert metrics.prometheus() == before
    assert metrics.snapshot()["step_count"] == 0


def filled():
    metrics = Metrics()
    metrics.count("rows", 12)
    metrics.count("own_events", 2)
    metrics.gauge("loss", 0.1)
    metrics.gauge("loss_at_training", math.inf)
    for seconds in (0.0005, 0.001, 2.0**-10, 3.0, 1e6):
        metrics.observe("step", seconds)
    return metrics


# A metric is its HELP, its TYPE and its samples, in this order.
SAMPLE = re.compile(r'([a-zA-Z_:][\w:]*)(?:\{le="([^"]+)"\})? (\S+)')


def test_the_text_is_that_of_prometheus():
    samples, family = {}, None
    for line in filled().prometheus().splitlines():
        if line.startswith("#"):
            _, what, name, rest = line.split(" ", 3)
            assert rest
            if what == "HELP":
                family = name
            else:
                assert (what, name) == ("TYPE", family)
                assert rest in ("counter", "gauge", "histogram")
        else:
            name, le, value = SAMPLE.fullmatch(line).groups()
            assert name.startswith(family)
            assert (name, le) not in samples
            samples[name, le] = float(value)
    buckets = [(le, n) for (name, le), n in samples.items() if name == "sklstm_online_step_seconds_bucket"]
    assert buckets[-1] == ("+Inf", 5)
    assert samples["sklstm_online_step_seconds_count", None] == 5
    limits, counts = [float(le) for le, _ in buckets], [n for _, n in buckets]
    assert limits == sorted(limits)
    seconds = np.array([0.0005, 0.001, 2.0**-10, 3.0, 1e6])
    assert counts == [(seconds <= limit).sum() for limit in limits]
    assert samples["sklstm_online_rows_total", None] == 12
    assert samples["sklstm_online_loss_at_training", None] == math.inf
    assert ("sklstm_online_version", None) not in samples


def test_the_parser_of_prometheus_reads_the_text():
    parser = pytest.importorskip("prometheus_client.parser")
    families = {one.name: one for one in parser.text_string_to_metric_families(filled().prometheus())}
    assert families["sklstm_online_rows"].type == "counter"
    assert families["sklstm_online_rows"].documentation == "Rows that were taken."
    assert [one.value for one in families["sklstm_online_rows"].samples] == [12.0]
    assert [one.value for one in families["sklstm_online_own_events"].samples] == [2.0]
    assert families["sklstm_online_loss"].type == "gauge"
    step = families["sklstm_online_step_seconds"]
    assert step.type == "histogram"
    by_name = {}
    for one in step.samples:
        by_name.setdefault(one.name.removeprefix("sklstm_online_step_seconds_"), []).append(one)
    assert [one.value for one in by_name["count"]] == [5.0]
    assert by_name["bucket"][-1].labels == {"le": "+Inf"}
    assert by_name["sum"][0].value == 0.0005 + 0.001 + 2.0**-10 + 3.0 + 1e6


def test_a_state_goes_on():
    metrics = filled()
    again = Metrics.from_state(metrics.state())
    for one in (metrics, again):
        one.observe("step", 0.3)
        one.count("own_events")
        one.observe("own", 1.0)
    assert again.prometheus() == metrics.prometheus()
    state = metrics.state()
    assert state["histograms"]["step"]["counts"].dtype == np.int64
    metrics.observe("step", 0.3)
    assert state["histograms"]["step"]["counts"].sum() == 6  # a copy
    state["histograms"]["step"]["counts"] = np.zeros(3)
    with pytest.raises(ValueError, match=r"histogram 'step' has counts of shape \(3,\)"):
        Metrics.from_state(state)


def test_others_may_read_while_one_counts():
    metrics, done, found = Metrics(), threading.Event(), []

    def read():
        while not done.is_set():
            found.append((metrics.snapshot()["step_count"], len(metrics.prometheus())))

    reader = threading.Thread(target=read)
    reader.start()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for k in range(5_000):
            metrics.observe("step", k * 1e-6)
    finally:
        sys.setswitchinterval(interval)
        done.set()
        reader.join()
    counts = [n for n, _ in found]
    assert counts == sorted(counts)
    assert metrics.snapshot()["step_count"] == 5_000


def test_the_cost_of_an_observation():
    metrics = Metrics()
    n = 20_000
    calls = ("metrics.observe('step', 3e-4)", "metrics.count('rows')", "metrics.gauge('loss', 0.5)")
    for call in calls:
        best = min(repeat(call, timer=time.thread_time, globals={"metrics": metrics}, number=n, repeat=5)) / n
        assert best < 5e-6, call  # 0.3 us on a quiet machine
    assert_array_equal(metrics.state()["histograms"]["step"]["counts"].sum(), 5 * n)
