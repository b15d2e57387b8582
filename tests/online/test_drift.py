"""Detectors of drift: Page-Hinkley by its definition, losses without unit, real detectors of river over two changes."""

import copy
import math
import pickle

import numpy as np
import pytest
from online_case import learner, regressor

from sklstm._online.drift import DriftWatch, LossNormaliser, PageHinkley


def two_changes(seed=0, length=1500, factor=3.0):
    """Squared errors of a model that becomes worse at row `length`, and at twice this row again."""
    losses = np.random.default_rng(seed).chisquare(1, size=3 * length)
    losses[length:] *= factor
    losses[2 * length :] *= factor
    return losses


def alarms_of(detector, losses, normaliser=None):
    watch = DriftWatch(detector, normaliser)
    return [row for row, loss in enumerate(losses.tolist()) if watch.update(loss)]


def by_definition(values, delta, threshold, min_instances, sign):
    """Alarms of the test in the form of cumulative sums, minus their minimum."""
    alarms, start = [], 0
    for end in range(1, len(values) + 1):
        part = values[start:end]
        means = np.cumsum(part) / np.arange(1, len(part) + 1)
        sums = np.concatenate([[0.0], np.cumsum(sign * (part - means) - delta)])
        if len(part) >= min_instances and sums[-1] - sums.min() > threshold:
            alarms.append(end - 1)
            start = end
    return alarms


@pytest.mark.parametrize(("mode", "sign"), [("up", 1), ("down", -1)])
def test_page_hinkley_is_its_definition(mode, sign):
    values = np.random.default_rng(3).normal(size=700)
    values[200:] += 1.0
    values[450:] -= 2.0
    detector, found = PageHinkley(min_instances=20, delta=0.1, threshold=15.0, mode=mode), []
    for row, x in enumerate(values):
        detector.update(x)
        if detector.drift_detected:
            found.append(row)
    assert found == by_definition(values, 0.1, 15.0, 20, sign)
    assert len(found) >= 1
    assert all(row >= (200 if sign > 0 else 450) for row in found)


def test_only_increases_are_reported_unless_asked_otherwise():
    better = np.concatenate([np.full(500, 2.0), np.full(500, 1.0)])
    worse = better[::-1]
    found = {}
    for mode in ("up", "down", "both"):
        for name, losses in (("better", better), ("worse", worse)):
            found[mode, name] = len(alarms_of(PageHinkley(mode=mode), losses, LossNormaliser(1.0)))
    assert found["up", "better"] == found["down", "worse"] == 0
    assert min(found["up", "worse"], found["down", "better"], found["both", "better"], found["both", "worse"]) >= 1
    assert PageHinkley().mode == "up"


def test_no_alarm_without_a_change_and_before_min_instances():
    losses = np.random.default_rng(5).chisquare(1, size=15_000)
    assert alarms_of(PageHinkley(), losses) == []
    jump = np.concatenate([np.zeros(5), np.full(200, 100.0)])
    detector = PageHinkley(min_instances=50)
    for x in jump[:49]:
        detector.update(x)
        assert not detector.drift_detected
    detector.update(jump[49])
    assert detector.drift_detected
    assert (detector.n_seen, detector.mean) == (50, pytest.approx(90.0))
    detector.update(1.0)
    assert (detector.n_seen, detector.mean, detector.drift_detected) == (1, 1.0, False)


def test_two_changes_are_found():
    for seed in range(3):
        alarms = alarms_of(PageHinkley(), two_changes(seed))
        assert 1500 <= alarms[0] < 1600
        assert any(3000 <= row < 3100 for row in alarms)


@pytest.mark.parametrize("scale", [0.01, 2.0**-7, 1000.0])
def test_the_unit_of_losses_makes_no_difference(scale):
    for normaliser in (lambda s: None, LossNormaliser, lambda s: LossNormaliser(s, clip=None)):
        losses = two_changes(1)
        assert alarms_of(PageHinkley(), losses * scale, normaliser(scale)) == alarms_of(
            PageHinkley(), losses, normaliser(1.0)
        )
    assert len(alarms_of(PageHinkley(), losses * scale)) >= 2


def test_normaliser():
    given = LossNormaliser(4.0)
    assert [given(loss) for loss in (2.0, 4.0, 4000.0)] == [0.5, 1.0, 10.0]
    assert LossNormaliser(4.0, clip=None)(4000.0) == 1000.0
    own = LossNormaliser(warm_up=4)
    assert [own(loss) for loss in (1.0, 3.0, 0.0, 4.0, 4.0)] == [None, None, None, None, 2.0]
    zero = LossNormaliser(warm_up=2)
    assert [zero(0.0) for _ in range(5)] == [None] * 5
    assert [zero(6.0), zero(1.0)] == [None, 1.0]  # 6 / 6 losses
    own.reset(8.0)
    assert own(4.0) == 0.5
    own.reset()
    assert own(4.0) is None


def test_an_alarm_that_lasts_is_one():
    class Latched:
        drift_detected = False

        def update(self, x):
            self.drift_detected = x > 2

    watch = DriftWatch(Latched(), LossNormaliser(1.0))
    assert [watch.update(x) for x in (1.0, 3.0, 3.0, 1.0, 3.0)] == [False, True, False, False, True]


def test_refusals():
    for make, message in (
        (lambda: PageHinkley(min_instances=0), "min_instances=0"),
        (lambda: PageHinkley(delta=-0.1), "delta=-0.1"),
        (lambda: PageHinkley(threshold=0), "threshold=0"),
        (lambda: PageHinkley(threshold=math.nan), "threshold=nan"),
        (lambda: PageHinkley(mode="left"), "mode='left'"),
        (lambda: LossNormaliser(0.0), r"scale=0\.0, expected a number above 0"),
        (lambda: LossNormaliser(warm_up=0), "warm_up=0"),
        (lambda: LossNormaliser(clip=1.0), "clip=1"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
    with pytest.raises(TypeError, match=r"expected an object with a method update\(x\)"):
        DriftWatch("ADWIN")
    with pytest.raises(TypeError, match=r"expected an object with a method update\(x\)"):
        DriftWatch(PageHinkley)
    with pytest.raises(TypeError, match="with an attribute drift_detected"):
        DriftWatch(_OnlyUpdate())
    watch = DriftWatch(PageHinkley(), LossNormaliser(1.0))
    watch.update(1.0)
    before = watch.state()
    for loss in (math.nan, math.inf, -1.0):
        with pytest.raises(ValueError, match="expected a finite number that is not negative"):
            watch.update(loss)
    assert watch.state() == before
    with pytest.raises(ValueError, match="x=nan"):
        PageHinkley().update(math.nan)


class _OnlyUpdate:
    def update(self, x):
        pass


@pytest.mark.parametrize("mode", ["up", "both"])
@pytest.mark.parametrize("cut", [50, 1000, 1510, 4000])
def test_a_state_goes_on_with_the_same_bits(cut, mode):
    losses = two_changes(2).tolist()
    whole = DriftWatch(PageHinkley(mode=mode))
    for loss in losses[:cut]:
        whole.update(loss)
    again = DriftWatch.from_state(whole.state(), PageHinkley())
    assert [again.update(loss) for loss in losses[cut:]] == [whole.update(loss) for loss in losses[cut:]]
    assert again.state() == whole.state()
    assert set(map(type, whole.state()["detector"]["plain"]["numbers"].values())) <= {int, float, bool}


def test_a_state_of_another_class_is_refused():
    state = DriftWatch(PageHinkley()).state()
    with pytest.raises(ValueError, match=r"the state is that of a sklstm\._online\.drift\.PageHinkley"):
        DriftWatch.from_state(state, _Counter())


class _Counter:
    """A detector of somebody's own, without a plain state."""

    drift_detected = False

    def __init__(self):
        self.n = 0

    def update(self, x):
        self.n += 1
        self.drift_detected = self.n % 5 == 0


def test_a_pickle_is_written_and_read_only_with_trust():
    watch = DriftWatch(_Counter(), LossNormaliser(1.0))
    for _ in range(3):
        watch.update(1.0)
    with pytest.raises(TypeError, match="is no plain data, and a checkpoint is read without running code"):
        watch.state()
    state = watch.state(trust=True)
    with pytest.raises(ValueError, match="is a pickle, which runs code: allow it by trust=True"):
        DriftWatch.from_state(state, _Counter())
    again = DriftWatch.from_state(state, _Counter(), trust=True)
    copied, pickled = copy.deepcopy(watch), pickle.loads(pickle.dumps(watch))
    for one in (watch, again, copied, pickled):
        assert [one.update(1.0), one.update(1.0)] == [False, True]


# The real detectors


def river_detectors():
    drift = pytest.importorskip("river.drift")
    return {
        "ADWIN": drift.ADWIN,
        "PageHinkley": lambda: drift.PageHinkley(mode="up", delta=0.2),
        "KSWIN": lambda: drift.KSWIN(alpha=1e-5, window_size=300, stat_size=120, seed=0),
    }


@pytest.mark.parametrize("name", ["ADWIN", "PageHinkley", "KSWIN"])
def test_river_over_two_changes(name):
    make = river_detectors()[name]
    losses = two_changes(0, 600, 6.0)
    alarms = alarms_of(make(), losses)
    near = [[row for row in alarms if change <= row < change + 200] for change in (600, 1200)]
    assert all(near), alarms
    assert [row for row in alarms if row < 600] == []
    assert alarms_of(make(), losses * 0.01) == alarms


def over_two_changes(detector, seed, gap=500, **options):
    """Return a learner, the alarms, and the mean squared error of the last 100 rows of each of three regimes."""
    rng = np.random.default_rng(seed)
    n = 3 * gap
    rows = rng.normal(size=(n, 3))
    truths = np.convolve(rows[:, 0], [0.5, 0.3, 0.2])[:n] + 0.2 * rng.normal(size=n)
    truths[gap : 2 * gap] *= -1.5
    model = regressor(max_iter=15, learning_rate_init=0.02)
    one = learner(model, refit="inline", detector=detector, **options).fit(rows[:200], truths[:200])
    answers = np.zeros(n)
    for number in range(200, n):
        answers[number] = one.predict_one(rows[number])
        one.learn_one(rows[number], truths[number])
    errors = [np.square(answers - truths)[end - 100 : end].mean() for end in (gap, 2 * gap, n)]
    return one, one.history_["row"][one.history_["kind"] == "drift"], errors


@pytest.mark.parametrize("seed", range(3))
def test_the_second_of_two_changes_is_found_without_updates(seed):
    """A refit at an alarm that comes 10 rows after a change would learn the time before, and find its errors usual."""
    one, alarms, errors = over_two_changes("page_hinkley", seed, update_every=None, drift_rows=120)
    assert [int(alarm // 500) for alarm in alarms] == [1, 2], alarms
    assert ((alarms % 500) < 50).all()
    assert one.version_ == 5
    assert max(errors) < 0.4  # of rows whose variance is .4 and .9; the noise has .04 and .09


@pytest.mark.parametrize("name", ["ADWIN", "PageHinkley", "KSWIN"])
@pytest.mark.parametrize("update_every", [25, None])
def test_river_in_a_learner_over_two_changes(name, update_every):
    detector = river_detectors()[name]()
    gap = 800 if name == "KSWIN" else 500  # it looks at 300 rows, behind the 100 that say what is usual for a model
    one, alarms, errors = over_two_changes(detector, 0, gap, update_every=update_every, drift_rows=150)
    assert len(alarms) == 2 == one.metrics()["drifts"], alarms  # counted here: ADWIN forgets how many there were
    assert ((alarms - [gap, 2 * gap] > 0) & (alarms - [gap, 2 * gap] <= 150)).all(), alarms
    assert one.version_ == 5
    assert max(errors) < 0.4
    assert not detector.drift_detected  # a copy is used


def test_what_is_known_of_river():
    """Why only `drift_detected` is read, losses get a unit, and decreases are not reported."""
    river = pytest.importorskip("river.drift")
    adwin = river.ADWIN()
    losses = two_changes(0).tolist()
    n = 0
    while not adwin.drift_detected:
        adwin.update(losses[n])
        n += 1
    assert adwin.n_detections == 1
    assert 1 < adwin.width < n
    adwin.update(losses[n])
    assert (adwin.width, adwin.n_detections, adwin.drift_detected) == (1, 0, False)

    for scale in (1.0, 0.01):
        raw, alarms = river.ADWIN(), 0
        for loss in losses[:1900]:  # three times as large in the last 400 rows
            raw.update(scale * loss)
            alarms += raw.drift_detected
        assert (alarms > 0) == (scale == 1.0)

    both, alarms = river.PageHinkley(), []
    for loss in [2.0] * 500 + [1.0] * 500:
        both.update(loss)
        alarms.append(both.drift_detected)
    assert any(alarms)


def test_river_detectors_in_states():
    for make in river_detectors().values():
        watch, losses = DriftWatch(make()), two_changes(4, 150).tolist()
        for loss in losses[:320]:
            watch.update(loss)
        with pytest.raises(TypeError, match=r"the state of river\.drift"):
            watch.state()
        again = DriftWatch.from_state(watch.state(trust=True), make(), trust=True)
        copied = copy.deepcopy(watch)
        ahead = [watch.update(loss) for loss in losses[320:]]
        assert [again.update(loss) for loss in losses[320:]] == ahead
        assert [copied.update(loss) for loss in losses[320:]] == ahead
