"""The sides of sklstm. All but `_Bound` use the public estimators alone."""

from itertools import repeat

import numpy as np
from jobs import as_lstm, fitted_model
from timing import Side

from sklstm import DeepLSTMRegressor


class Missing(Exception):
    """A side cannot run here; the message says why."""


class _Bound:
    """The one place that uses internals: a network with its optimizer, driven by `run_epoch` as `fit` does it."""

    def __init__(self, job, n_threads, dtype="float32"):
        from sklstm._network.network import Network
        from sklstm._network.parameters import ParameterLayout
        from sklstm._sequences import Sequences
        from sklstm._training.loop import Samples, Settings, TrainingSchedule
        from sklstm._training.optimizers import AdamW
        from sklstm._training.passes import WindowPasses

        shape = job.shape
        layout = ParameterLayout(shape.columns, (shape.units,) * shape.layers, 1, cell=shape.cell)
        x, y = job.data()
        sequences = Sequences.from_list([row[:length] for row, length in zip(x, job.lengths(), strict=True)])
        self.network = Network(layout, dtype, n_threads)
        self.network.load(layout.flatten(shape.weights(), np.float32))
        self.optimizer = AdamW(self.network, 0.01)
        self.samples = Samples(sequences, y, np.ones(len(y), np.float32))
        # As given: both sides see the same batches.
        settings = Settings(
            loss="squared",
            batch_size=job.batch,
            max_iter=1,
            shuffle=False,
            learning_rate=1e-3,
            weight_decay=0.01,
            max_grad_norm=1.0,
            dropout=0.0,
            tol=0.0,
            n_iter_no_change=1,
            seed=0,
        )
        self.passes = WindowPasses(self.network, self.samples, settings)
        self.schedule = TrainingSchedule(settings, self.passes.n_steps)

    def epoch(self):
        """Train over all sequences once; return the mean loss."""
        from sklstm._training.loop import run_epoch

        return run_epoch(self.passes, self.optimizer, 0, self.schedule)[0]

    def forward(self):
        """Return the raw output of all sequences."""
        return self.network.forward(self.samples.sequences)

    def n_bytes(self):
        """Return the bytes of one step of training, which has been done, by what they hold."""
        stack, workspace = self.network._stack, self.network._workspace
        item = self.network.weights.itemsize
        return {
            "workspace": workspace.chunks.nbytes,
            "rounded weights": 0 if stack.words is None else stack.words.nbytes,
            "transposed weights": item * stack.transposed_size,
            "weights": self.network.weights.nbytes,
            "moments": sum(vector.nbytes for vector in self.optimizer._vectors.values()),
            "gradient": workspace.slots.nbytes,
        }


def training(job, n_threads, dtype="float32"):
    """Time steps of training. The loss is half the squared error, the peers' the whole."""
    epoch = _Bound(job, n_threads, dtype).epoch
    rate = "bf16" if dtype == "bfloat16" else "fma"
    return Side(epoch, job.n_batches, answer=lambda loss: 2.0 * loss, rate=rate)


def forward(job, n_threads):
    """Time forward over one batch."""
    return Side(_Bound(job, n_threads).forward, answer=np.ravel)


def lstm_training(job, n_threads):
    """Time steps of training of an LSTM of the same sizes, which computes other numbers."""
    side = training(as_lstm(job), n_threads)
    side.answer, side.flop = None, as_lstm(job).flop
    return side


def lstm_forward(job, n_threads):
    """Time forward of an LSTM of the same sizes."""
    return Side(_Bound(as_lstm(job), n_threads).forward, flop=as_lstm(job).forward_flop)


def lstm_stream(job, n_threads):
    """Time steps of streams of an LSTM of the same sizes."""
    side = stream(as_lstm(job), n_threads)
    side.answer, side.flop = None, as_lstm(job).flop
    return side


def predict(job, n_threads):
    """Time `predict` over a table; the answer leaves out the first rows, whose windows are filled up at the peers."""
    model, (x, _) = fitted_model(job.shape, job.steps, n_threads), job.data()
    return Side(lambda: model.predict(x), answer=lambda z: z[job.steps :])


def fit(job, n_threads):
    """Time `fit` over a table, one epoch."""
    x, y = job.data()
    model = DeepLSTMRegressor(
        job.shape.units,
        job.shape.layers,
        sequence_length=job.steps,
        batch_size=job.batch,
        max_iter=1,
        early_stopping=False,
        n_jobs=n_threads,
        random_state=0,
    )
    return Side(lambda: model.fit(x, y))


def stream(job, n_threads):
    """Time single steps of streams that carry their state, called from Python."""
    return Side(steps_of(fitted_model(job.shape, 2, n_threads), job), job.repeats, answer=np.ravel)


def steps_of(model, job):
    """Return a function that takes the steps of a job, one after the other, and returns the last answer."""
    # One stream takes and returns no axis of streams.
    rows = job.rows() if job.n_streams > 1 else job.rows()[0]
    step = model.stream(n_streams=job.n_streams if job.n_streams > 1 else None, window=False).step

    def steps():
        for _ in repeat(None, job.repeats):
            z = step(rows)
        return z

    return steps
