"""What an online learner does behind a row: updates, refits, replacements, checkpoints.

Each is done whole or, where it is interrupted, again before the next call.
"""

import copy
import math
from time import perf_counter

import numpy as np
from sklearn.base import clone

from sklstm._online.buffer import HAS_TRUTH, IS_FRESH
from sklstm._online.candidate import Candidate
from sklstm._online.outliers import outlier_note
from sklstm._online.refit import Refit, RefitFailed

NOT_FRESH = np.uint8(~IS_FRESH & 0xFF)
# Rows whose loss is measured when a model is new.
MEASURED = 200


def follow(engine, candidate, before=None):
    """Let the stream of a new model begin behind the newest rows, as far as it looks back."""
    buffer = engine.buffer
    last = buffer.n_seen if before is None else before
    # States that are carried forget what is far back.
    reach = candidate.reach * (4 if candidate.first_model.training == "stateful" else 1)
    candidate.follow(buffer.X[buffer.rows(max(buffer.first, last - reach), last)])


def training_loss(engine, model):
    """Return the mean loss of a new model over the newest rows whose truth is known."""
    buffer = engine.buffer
    probe = Candidate(model)
    first = max(buffer.first, buffer.n_seen - MEASURED)
    follow(engine, probe, first)
    total, n = 0.0, 0
    for slot in range(buffer.slot(first), buffer.slot(buffer.n_seen)):
        _, numbers = probe.step(buffer.X[slot])
        if buffer.flags[slot] & HAS_TRUTH:
            total += engine.truths.loss(np.atleast_1d(numbers), buffer.y[slot])
            n += 1
    return total / n if n else math.nan


def shadow_step(engine, x):
    """Return what the challenger says of a row; one that cannot go on is dropped."""
    try:
        return engine.challenger.step(x)
    except ValueError as error:
        drop_challenger(engine, "challenger_failed")
        engine.notes.append(f"the challenger cannot go on: {error}")
        return None


def drop_challenger(engine, kind, **numbers):
    """End the trial of the challenger."""
    engine.challenger = engine.rollout = None
    engine.history.append(kind, engine.buffer.n_seen, **numbers)


def train(engine):
    """Update the models by the rows whose truth came since the last update, and by some older ones."""
    begin, buffer = perf_counter(), engine.buffer
    rows = buffer.rows()
    flags = buffer.flags[rows]
    places = np.flatnonzero(flags & IS_FRESH)
    if len(places):
        if engine.config.replay:
            places = _with_older(engine, places, (flags & (IS_FRESH | HAS_TRUTH)) == HAS_TRUTH)
        champion = _learnt_once(engine, engine.champion, places, "update_failed")
        challenger = engine.challenger
        if challenger is not None:
            challenger = _learnt_once(engine, challenger, places, "challenger_update_failed")
        engine.challenger = challenger
        if champion is not engine.champion:
            engine.set_champion(champion)
        # A new array: where this is interrupted, the old one comes back with all that is counted.
        buffer.flags = buffer.flags.copy()
        buffer.flags[rows] &= NOT_FRESH
        engine.n_updates += 1
        engine.metrics.count("updates")
        engine.metrics.observe("update", perf_counter() - begin)


def _with_older(engine, places, older):
    """Return the places of rows with those of `replay` older rows, chosen at random by the number of the update."""
    candidates = np.flatnonzero(older)
    generator = np.random.Generator(np.random.Philox(key=engine.config.seed, counter=[0, 0, engine.n_updates, 0]))
    n = min(engine.config.replay, len(candidates))
    return np.union1d(places, generator.choice(candidates, n, replace=False, shuffle=False))


def _learnt_once(engine, candidate, places, failure):
    """Return what becomes of a model by an update; one that was interrupted behind it is left as it is."""
    if candidate.last_update != engine.n_updates:
        if len(places) > 1 or not _has_learnt_row(engine, candidate, int(places[0])):
            candidate = learnt(engine, candidate, places, failure, engine.n_updates)
        candidate.last_update = engine.n_updates
    return candidate


def _has_learnt_row(engine, candidate, place):
    """Let a model learn a single row, if that takes no more than a step."""
    buffer, number = engine.buffer, engine.buffer.first + place
    n_before = candidate.rows_before(number)
    if n_before is None:
        return False
    slot, first = buffer.slot(number), buffer.slot(max(buffer.first, number - n_before))
    truth = engine.truths.decoded(buffer.y[slot : slot + 1])
    return candidate.has_learnt_row(buffer.X[first : slot + 1], truth, number, engine.n_updates)


def learnt(engine, candidate, places, failure, number=None):
    """Return what becomes of a model by rows at some places of the buffer; where that fails, the model itself."""
    buffer, rows = engine.buffer, engine.buffer.rows()
    begin, end = max(0, places[0] - candidate.reach), places[-1] + 1
    part = slice(rows.start + begin, rows.start + end)
    chosen = np.zeros(end - begin, bool)
    chosen[places - begin] = True
    truths = np.where(chosen[:, np.newaxis], buffer.y[part], engine.truths.unknown)
    try:
        return candidate.learnt(buffer.X[part], chosen, engine.truths.decoded(truths), buffer.first + begin, number)
    except (ValueError, Warning) as error:  # a warning where the user has made errors of them
        engine.history.append(failure, buffer.n_seen, n=int(chosen.sum()))
        engine.metrics.count("update_failures")
        engine.notes.append(f"an update failed, and the model stays as it was: {error}")
        return candidate


def start_refit(engine):
    """Begin to fit a new model to the rows of the buffer."""
    reason, config, buffer = engine.wanted, engine.config, engine.buffer
    if reason is None or engine.refit is not None or engine.challenger is not None:
        return
    n_rows = config.drift_rows if reason == "drift" else config.refit_rows
    rows = buffer.rows(None if n_rows is None else max(buffer.first, buffer.n_seen - n_rows))
    is_known = (buffer.flags[rows] & HAS_TRUTH) > 0
    truths = np.where(is_known[:, np.newaxis], buffer.y[rows], engine.truths.unknown)
    task = {"X": buffer.X[rows].copy(), "y": engine.truths.decoded(truths), "is_known": is_known}
    refit = new_refit(engine, task, engine.n_refits + 1)
    delay = config.refit_delay if config.refit == "background" else 0
    engine.refit, engine.refit_at, engine.refit_behind = refit, engine.n_truths + delay, buffer.n_seen
    engine.n_refits, engine.wanted = engine.n_refits + 1, None
    engine.history.append("refit", buffer.n_seen, n=len(is_known), after_drift=reason == "drift")
    if engine.template.input_scaling == "standard":
        note = outlier_note(task["X"], buffer.n_seen - len(is_known), engine.names)
        engine.notes += [] if note is None else [note]
    if not delay:
        engine.due.insert(1, take_over)


def new_refit(engine, task, number):
    """Begin the fit of a task, also after a crash; the refits are numbered from 1."""
    model = clone(engine.template)
    if model.random_state is None:
        model.set_params(random_state=(engine.config.seed + number) % (1 << 31))
    in_background = engine.config.refit == "background"
    classes = getattr(engine.champion.first_model, "classes_", None)
    return Refit(model, task["X"], task["y"], task["is_known"], classes, in_background)


def take_over(engine):
    """Let the refitted model take part: in place of the champion, or as its challenger."""
    begin, row = perf_counter(), engine.buffer.n_seen
    try:
        model = engine.refit.result()
    except RefitFailed as error:
        engine.refit = engine.refit_at = None
        engine.history.append("refit_failed", row)
        engine.metrics.count("refit_failures")
        engine.notes.append(f"a refit failed, and the model stays: {error}")
        return
    waited, seconds = perf_counter() - begin, engine.refit.seconds
    candidate = _caught_up(engine, Candidate(model))
    follow(engine, candidate)
    loss = training_loss(engine, candidate.model)
    engine.refit = engine.refit_at = None
    engine.metrics.count("refits")
    engine.metrics.observe("refit", seconds)
    engine.metrics.observe("refit_wait", waited)
    engine.history.append("refitted", row, loss=loss)
    if engine.rollout_template is None:
        replace_champion(engine, candidate, "refit", loss)
        return
    engine.challenger, engine.challenger_loss = candidate, loss
    engine.rollout = copy.deepcopy(engine.rollout_template)


def _caught_up(engine, candidate):
    """Return a refitted model that is trained, for one epoch, on the rows whose truth came while it was fitted."""
    buffer = engine.buffer
    rows = buffer.rows()
    chosen = (buffer.flags[rows] & HAS_TRUTH) > 0
    chosen[: max(0, engine.refit_behind - buffer.first)] = False
    if chosen.any() and engine.config.update_every is not None:
        return learnt(engine, candidate, np.flatnonzero(chosen), "update_failed")
    return candidate


def replace_champion(engine, candidate, kind, loss):
    """Give the place of the champion to another model, as a version with the next number."""
    engine.challenger = engine.rollout = None
    engine.set_champion(candidate)
    engine.version += 1
    engine.loss_at_training = loss
    engine.new_watch()
    keep_version(engine, kind)
    engine.history.append("version", engine.buffer.n_seen, version=engine.version)


def keep_version(engine, kind):
    """Write the champion as a numbered version, unless it is there: a crash may have come behind it."""
    if engine.versions is None or max(engine.versions.numbers(), default=0) >= engine.version:
        return
    info = {"kind": kind, "n_rows_seen": engine.buffer.n_seen, "n_truths_seen": engine.n_truths}
    try:
        engine.versions.write(engine.champion.model, info)
        engine.metrics.count("versions")
    except OSError as error:
        engine.metrics.count("write_failures")
        engine.notes.append(f"version {engine.version} could not be written: {error}")


OUTCOMES = {"promote": "promotions", "reject": "rejections", "rollback": "rollbacks"}


def compare(engine, loss, other):
    """Tell the rollout of the losses of both models for a row, and do what it decides."""
    rollout = engine.rollout
    verdict = rollout.observe(loss, other)
    if verdict is None:
        return
    row = engine.buffer.n_seen
    if verdict == "advance":
        engine.history.append("share", row, share=rollout.share, version=engine.version + 1)
        return
    means = {"loss": rollout.champion_sum / rollout.n_rows, "challenger_loss": rollout.challenger_sum / rollout.n_rows}
    engine.metrics.count(OUTCOMES[verdict])
    if verdict == "promote":
        engine.history.append(verdict, row, version=engine.version + 1, **means)
        replace_champion(engine, engine.challenger, verdict, engine.challenger_loss)
    else:
        drop_challenger(engine, verdict, version=engine.version + 1, **means)


def checkpoint(engine):
    """Write a checkpoint; where there is no room for it, the journal goes on."""
    begin = perf_counter()
    engine.n_checked = engine.n_calls
    try:
        engine.folder.checkpoint(engine.state, engine.config.sync_every)
    except OSError as error:
        engine.metrics.count("write_failures")
        engine.notes.append(f"no checkpoint could be written, the journal goes on: {error}")
    engine.metrics.observe("checkpoint", perf_counter() - begin)
