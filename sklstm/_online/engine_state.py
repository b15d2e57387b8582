"""The state of an engine as plain data, and what goes on from it with the same bits."""

from dataclasses import asdict

from sklstm._online import work
from sklstm._online.buffer import RowBuffer
from sklstm._online.candidate import Candidate
from sklstm._online.drift import DriftWatch
from sklstm._online.history import History
from sklstm._online.metrics import Metrics
from sklstm._online.waiting import Waiting

COUNTS = ("n_calls", "n_truths", "n_updates", "n_refits", "version", "n_drifts")
NUMBERS = ("loss_now", "loss_at_training", "challenger_loss", "refit_at", "refit_behind", "wanted")


def state_of(engine):
    """Return the state as nested dicts of arrays, numbers, texts and estimators."""
    refit = None if engine.refit is None else dict(zip(("X", "y", "is_known"), engine.refit.task[1:4], strict=True))
    return {
        **{name: getattr(engine, name) for name in (*COUNTS, *NUMBERS)},
        "config": asdict(engine.config),
        "parameters": engine.parameters,
        "template": engine.template,
        "names": engine.names,
        "last_time": engine.last_time,
        "last_row": None if engine.last_row is None else engine.last_row.copy(),
        "champion": engine.champion.state,
        "challenger": None if engine.challenger is None else engine.challenger.state,
        "truths": engine.truths.state,
        "buffer": engine.buffer.state,
        "waiting": engine.waiting.state,
        "history": engine.history.state(),
        "metrics": engine.metrics.state(),
        "watch": None if engine.watch is None else engine.watch.state(trust=True),
        "rollout": None if engine.rollout is None else engine.rollout.state(),
        "refit": refit,
        "drift_refits": list(engine.drift_refits),
    }


def buffer_from(rows, capacity):
    """Return the buffer whose state these rows are."""
    buffer = RowBuffer(capacity, *(rows[name].shape[1] for name in ("X", "y", "answers")))
    buffer.restore(rows)
    return buffer


def restore(engine, state, detector, rollout, trust):
    """Give an engine, made with the champion, the truths and the buffer of a state, all else of it."""
    for name in (*COUNTS, *NUMBERS, "last_row"):
        setattr(engine, name, state[name])
    engine.last_time = None if state["last_time"] is None else tuple(state["last_time"])
    engine.drift_refits = tuple(state.get("drift_refits", ()))
    engine.n_checked = engine.n_calls
    if state["challenger"] is not None:
        engine.challenger = Candidate.from_state(state["challenger"])
    engine.waiting, engine.history = Waiting.from_state(state["waiting"]), History.from_state(state["history"])
    engine.metrics = Metrics.from_state(state["metrics"])
    watch = state["watch"]  # none too where the detector has failed
    engine.watch = None if watch is None else DriftWatch.from_state(watch, detector, trust=trust)
    if state["rollout"] is not None:
        engine.rollout = type(rollout).from_state(state["rollout"])
    if state["refit"] is not None:
        engine.refit = work.new_refit(engine, state["refit"], engine.n_refits)
