"""The rows of models that learn online: updates, the look at the drift detector, and one row with its truth.

`OnlineLearner` beside `RollingRegressor` of deep-river, the LSTM of which is PyTorch's, and scikit-learn's
`MLPRegressor.partial_fit`, in networks of equal size. The first trains on the window of each row, as ours does; the
second reads the row alone.
"""

from dataclasses import dataclass, replace
from itertools import cycle

import numpy as np
import peers
from jobs import Shape
from rows import Row, Target
from timing import Side

RIVER, MLP, WINDOWS = "deep-river", "scikit-learn's MLP", "ours, windows"
N_ROWS = 240


@dataclass(frozen=True)
class Live:
    """A learner that is updated every `n_rows` rows; `repeats` rows are timed together.

    In stateful training gradients go back to the first row of an update, in windows `steps` rows.
    """

    shape: Shape
    steps: int
    n_rows: int
    repeats: int = 1
    training: str = "windows"

    def data(self):
        """Return rows and their truths."""
        rng = np.random.default_rng(7)
        x = rng.standard_normal((N_ROWS, self.shape.columns))
        return x, x[:, 0] + 0.1 * rng.standard_normal(N_ROWS)


def _learner(job, n_threads, detector=None, update_every=None):
    """Return a learner of that shape, hardly trained."""
    from sklstm import DeepLSTMRegressor
    from sklstm.online import OnlineLearner

    in_windows = job.training == "windows"
    model = DeepLSTMRegressor(
        job.shape.units,
        job.shape.layers,
        sequence_length=job.steps,
        training=job.training,
        shuffle=in_windows,
        bptt_steps=32 if in_windows else max(job.steps, job.n_rows),
        batch_size=64 if in_windows else "auto",
        max_iter=1,
        early_stopping=False,
        n_jobs=n_threads,
        random_state=0,
    )
    x, y = job.data()
    learner = OnlineLearner(
        model, update_every=update_every, refit=None, detector=detector, buffer_size=400, random_state=0
    )
    return learner.fit(x[:40], y[:40]), x[40:], y[40:]


def update(job, n_threads):
    """Time updates by the newest `n_rows` rows, all that belongs to them included."""
    from sklstm._online import work
    from sklstm._online.buffer import IS_FRESH

    learner, x, y = _learner(job, n_threads)
    for row, truth in zip(x, y, strict=True):
        learner.learn_one(row, truth)
    engine, carried = learner._engine, None
    first = engine.buffer.n_seen - job.n_rows
    engine.buffer.flags &= ~np.uint8(IS_FRESH)

    def call():
        rows = engine.buffer.rows()
        engine.buffer.flags[rows.stop - job.n_rows : rows.stop] |= IS_FRESH
        if carried is not None:  # the update before ended where this one begins, as in a stream
            engine.champion._carried = first, carried
        work.train(engine)

    if job.training == "stateful":
        call()  # the first makes what is kept from update to update
        call()
        carried = engine.champion._carried[1]
    return Side(call)


def update_by_windows(job, n_threads):
    """Time the same of a model that is trained on the window of each row, not on each row once."""
    side = update(replace(job, training="windows"), n_threads)
    side.flop = float(job.shape.training_flop * job.steps * job.n_rows)
    return side


def drift_check(job, n_threads):
    """Time the look at the detector alone."""
    learner, *_ = _learner(job, n_threads, detector="page_hinkley")
    engine, losses = learner._engine, cycle(np.random.default_rng(0).uniform(0.5, 1.5, 1000).tolist())

    def call():
        for _ in range(job.repeats):
            engine._watch(next(losses))

    return Side(call, job.repeats)


def learn(job, n_threads):
    """Time a row with its truth: its prediction, the detector, and its part of the updates."""
    learner, x, y = _learner(job, n_threads, detector="page_hinkley", update_every=job.n_rows)
    rows = cycle(list(zip(x, y.tolist(), strict=True)))

    def call():
        for _ in range(job.repeats):
            row, truth = next(rows)
            learner.learn_one(row, truth)

    return Side(call, job.repeats)


def deep_river(job, n_threads):
    """Time `learn_one` of deep-river: one step of Adam on the window of the row."""
    import torch
    from deep_river.regression import RollingRegressor

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = torch.nn.LSTM(job.shape.columns, job.shape.units, job.shape.layers)
            self.head = torch.nn.Linear(job.shape.units, 1)

        def forward(self, x):
            return self.head(self.lstm(x)[0][-1])

    torch.set_num_threads(n_threads)
    model = RollingRegressor(Network(), optimizer_fn="adam", window_size=job.steps, gradient_clip_value=1.0)
    x, y = job.data()
    names = [f"x{k:03d}" for k in range(job.shape.columns)]
    rows = [(dict(zip(names, row, strict=True)), truth) for row, truth in zip(x.tolist(), y.tolist(), strict=True)]
    for row, truth in rows[: job.steps]:  # fills the window
        model.learn_one(row, truth)
    # Each row takes as long as any other: where one takes a third of a second, a few will do.
    rows, repeats = cycle(rows), job.repeats if job.shape.layers == 1 else 1

    def call():
        for _ in range(repeats):
            model.learn_one(*next(rows))

    return peers.torch_side(call, n_threads, repeats)


def perceptron(job, n_threads):
    """Time `partial_fit` of scikit-learn's perceptron, row by row; it takes its threads from BLAS."""
    from sklearn.neural_network import MLPRegressor
    from threadpoolctl import threadpool_limits

    x, y = job.data()
    model = MLPRegressor(hidden_layer_sizes=(job.shape.units,) * job.shape.layers, random_state=0)
    model.partial_fit(x[:40], y[:40])
    rows = cycle([(x[k : k + 1], y[k : k + 1]) for k in range(40, N_ROWS)])
    repeats = job.repeats if job.shape.layers == 1 else 1

    def call():
        with threadpool_limits(n_threads):
            for _ in range(repeats):
                model.partial_fit(*next(rows))

    return Side(call, repeats)


def _update_row(shape, n_rows, steps, bound):
    job = Live(shape, steps, n_rows, training="stateful")
    rows = "one row" if n_rows == 1 else f"{n_rows} rows"
    title = f"update by {rows}, each read once (stateful), {shape}; windows of {steps}"
    flop = shape.training_flop * n_rows
    sides = {WINDOWS: update_by_windows}
    name = f"update-{n_rows}-{shape.layers}x{shape.units}"
    threads = None if shape.layers > 1 else (1,)
    return Row(name, title, job, update, flop, sides, (Target("seconds", bound),), threads, products_decide=False)


def _learn_row(shape, n_rows, repeats, steps, training):
    job = Live(shape, steps, n_rows, repeats, training)
    often = "each row" if n_rows == 1 else f"{n_rows} rows"
    how = f"windows of {steps}" if training == "windows" else "stateful"
    title = f"a row with its truth, updates after {often}, {shape}, {how}"
    sides = {RIVER: deep_river, MLP: perceptron} if training == "windows" else {RIVER: deep_river}
    name = f"learn-{n_rows}-{shape.layers}x{shape.units}"
    name += "" if training == "windows" else "-stateful"
    # Threads share what is large: an update of 5x512.
    threads = None if shape.layers > 1 else (1,)
    return Row(name, title, job, learn, None, sides, (Target("ratio", 5.0, RIVER),), threads)


def live_rows():
    """Return the rows of the table."""
    wide, narrow = Shape(5, 512, 256), Shape(1, 64, 50)
    rows = []
    for shape, scale, repeats in ((wide, 1.0, 1), (narrow, 0.01, 100)):
        rows += [
            _update_row(shape, 100, 32, 0.120 * scale),
            _update_row(shape, 1, 32, 0.008 * scale),
            Row(
                f"drift-{shape.layers}x{shape.units}",
                f"look at the drift detector, {shape}",
                Live(shape, 32, 100, 1000),
                drift_check,
                targets=(Target("seconds", 0.002 * scale),),
                threads=(1,),
            ),
            *(_learn_row(shape, 1, repeats, 32, training) for training in ("windows", "stateful")),
            *(_learn_row(shape, 100, 100, 32, training) for training in ("windows", "stateful")),
        ]
    return rows
