"""Interleaved timing: every side of a row in turn, in one process, until the time is up."""

import statistics
import time
from dataclasses import dataclass, field

import numpy as np

# Threads go on spinning for a while after their work (some 5 ms those of OpenMP, 50 ms those of onnxruntime) and would
# take a core from the next side.
REST_SECONDS = 0.1
TURN_SECONDS = 0.1
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


@dataclass
class Side:
    """One way to do the work of a row.

    Attributes
    ----------
    call : callable
        Does the work `repeats` times.
    repeats : int
    prepare : callable
        Called before each turn, not timed.
    answer : callable
        Makes what the first call returned comparable with the other sides' answers; None where it cannot be.
    flop : float or None
        Of one piece of work, where the side does not do what the row counts.
    rate : str
        The instruction whose peak its products are held against: a name from `peak.RATES`.
    error : callable or None
        Returns the relative error of what the side computes, where that is a figure of the row; not timed.
    """

    call: object
    repeats: int = 1
    prepare: object = lambda: None
    answer: object = None
    flop: float | None = None
    rate: str = "fma"
    error: object = None
    timer: object = time.perf_counter
    label: str = "sklstm"
    threads: int = 1
    first: object = None
    turns: list = field(default_factory=list)

    def clock(self):
        """Return the seconds of one piece of work."""
        begin = self.timer()
        self.call()
        return (self.timer() - begin) / self.repeats

    def warm_up(self):
        """Run for the first time; keep the answer."""
        self.prepare()
        result = self.call()
        # A copy: a side may return the same array every time.
        self.first = None if self.answer is None else np.array(self.answer(result))

    def turn(self):
        """Run for a turn and keep its times."""
        self.prepare()
        begin = time.perf_counter()
        took = self.clock()
        # The first call of a turn finds the caches full of the other sides' data. It counts only where it is so long
        # that this cannot matter.
        seconds = [took] if time.perf_counter() - begin > TURN_SECONDS else []
        while not seconds or time.perf_counter() - begin < TURN_SECONDS:
            seconds.append(self.clock())
        self.turns.append(seconds)
        if self.threads > 1:
            time.sleep(REST_SECONDS)


def interleave(sides, seconds, min_turns):
    """Run the sides in turn for `seconds` each, at least `min_turns` times."""
    for side in sides:
        side.warm_up()
    end, n_turns = time.perf_counter() + seconds * len(sides), 0
    while n_turns < min_turns or time.perf_counter() < end:
        # To and fro, so that none always runs after the same other one.
        for side in sides if n_turns % 2 == 0 else sides[::-1]:
            side.turn()
        n_turns += 1


def summary(values):
    """Return the median of some values with the smallest and the largest."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "n": len(values)}


def side_summary(side):
    """Return the summary of a side's seconds."""
    return summary([value for turn in side.turns for value in turn])


def ratio_summary(slow, fast):
    """Return the ratio of the medians of two sides, and the second smallest and largest ratio of paired turns.

    Of few turns it is the smallest and the largest.
    """
    paired = sorted(statistics.median(a) / statistics.median(b) for a, b in zip(slow.turns, fast.turns, strict=True))
    edge = len(paired) // 10
    return {
        "median": side_summary(slow)["median"] / side_summary(fast)["median"],
        "low": paired[edge],
        "high": paired[-1 - edge],
    }


def fastest(*calls):
    """Return which of several calls takes the shortest, for peers with more than one way."""
    seconds = [[] for _ in calls]
    for _ in range(4):
        for call, record in zip(calls, seconds, strict=True):
            begin = time.perf_counter()
            call()
            record.append(time.perf_counter() - begin)
    return min(range(len(calls)), key=lambda i: min(seconds[i][1:]))
