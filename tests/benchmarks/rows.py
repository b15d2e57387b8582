"""The rows of the benchmark: job, sides, and what is aimed at.

Two tables are made here: the jobs of an LSTM beside its peers, and the other cells beside the LSTM. The third, in
reduced numbers, is made in reduced.py.
"""

from dataclasses import dataclass, field

import ours
import packages
import peers
import scans
from jobs import Shape, Streaming, Table, Training

PYTORCH, PACKED, PADDED = "PyTorch", "PyTorch, packed", "PyTorch, padded"
SKORCH, ONNX, LSTM, SCAN = "skorch", "onnxruntime", "our LSTM", "PyTorch, scan"
# How much faster than our LSTM of the same sizes, and than PyTorch's layer of the same cell, a training step is to be;
# without an entry, cells of the elementwise driver 2.5 times, and others are not held to anything.
CELL_TARGETS = {
    "gru": {LSTM: 1.25, PYTORCH: 2.0},
    "elman": {LSTM: 2.5},
    "elman_relu": {LSTM: 2.5},
    "indrnn": {LSTM: 5.0},
    "indrnn_tanh": {LSTM: 5.0},
    "sru": {LSTM: 2.5},
    "rglru": {LSTM: 2.5},
    # These have 6 to 12 blocks of weights, `qrnn_f` has four.
    **{name: {} for name in ("qrnn_fo", "qrnn_ifo", "qrnn_f_3", "qrnn_fo_3", "qrnn_ifo_3")},
}
OF_ELEMENTWISE = {LSTM: 2.5}


@dataclass(frozen=True)
class Target:
    """A bound.

    At least: "ratio" to a peer, share of "peak", "speed-up" by threads. At most: "seconds", "error", "memory" beside
    that of a peer.
    """

    kind: str
    bound: float
    peer: str | None = None
    threads: int | None = None


# A step of a stream is to take at most .6 of the LSTM's.
STREAM_TARGET = Target("ratio", 1.67, LSTM)


@dataclass(frozen=True)
class Row:
    """One row: `flop` are those of one piece of work, None where they say nothing.

    `products_decide`: both sides do all of these products, so no ratio can exceed what the FMA peak leaves of the
    peer's time. `reduced`: it says something only where the CPU has the instructions of reduced numbers. `in_bytes`:
    the sides return a number of bytes, and nothing is timed.
    """

    name: str
    title: str
    job: object
    ours: object
    flop: float | None = None
    peers: dict = field(default_factory=dict)
    targets: tuple = ()
    threads: tuple | None = None
    tolerance: float = 1e-3
    products_decide: bool = True
    reduced: bool = False
    in_bytes: bool = False


def _training(name, job, ratio, *more):
    return Row(
        name,
        f"training step, {job.shape}, {job.steps} steps, batch {job.batch}",
        job,
        ours.training,
        job.flop,
        {PYTORCH: peers.torch_training},
        (Target("ratio", ratio, PYTORCH), Target("speed-up", 1.8, threads=2), *more),
    )


def _forward(name, job):
    return Row(
        name,
        f"forward, {job.shape}, {job.steps} steps, batch {job.batch}",
        job,
        ours.forward,
        job.forward_flop,
        targets=(Target("peak", 0.75, threads=1),),
    )


def _stream(name, job, sides, *targets, threads=None):
    streams = "one stream" if job.n_streams == 1 else f"{job.n_streams} streams"
    title = f"one step from Python, {job.shape}, {streams}"
    # A single row waits for the weights, not for the FMA units.
    decide = job.n_streams > 1
    return Row(name, title, job, ours.stream, job.flop, sides, targets, threads, products_decide=decide)


def _batch(layers, units, columns, steps, batch):
    return Training(Shape(layers, units, columns), steps, batch, batch)


def _mixed():
    job = Training(Shape(1, 64, 12), 29, 64, 270, shortest=7)
    return Row(
        "train-mixed",
        f"training step, {job.shape}, 270 sequences of 7 to 29 steps, batch 64",
        job,
        ours.training,
        job.flop,
        {PACKED: peers.torch_packed, PADDED: peers.torch_padded},
        (Target("ratio", 4.0, PACKED), Target("speed-up", 1.8, threads=2)),
        # Five steps of training lie behind this answer; PyTorch's two biases move twice as far as one.
        tolerance=2e-2,
    )


def _predict():
    job = Table(Shape(1, 64, 50), 32, 512, 100_000)
    return Row(
        "predict",
        f"`predict`, table of 100,000 rows, {job.shape}, windows of 32",
        job,
        ours.predict,
        job.shape.forward_flop * job.window_steps,
        {PYTORCH: peers.torch_predict},
        (Target("ratio", 2.5, PYTORCH),),
        products_decide=False,  # the windows share the first product
    )


def _fit():
    job = Table(Shape(1, 64, 50), 32, 64, 20_000)
    return Row(
        "fit",
        f"`fit`, one epoch, table of 20,000 rows, {job.shape}, windows of 32, batch 64",
        job,
        ours.fit,
        job.shape.training_flop * job.window_steps,
        {SKORCH: peers.skorch_fit},
        (Target("ratio", 8.0, SKORCH),),
    )


def _cell_rows(cell):
    """Return the rows of one cell: our LSTM of the same sizes is one of its peers."""
    from sklstm._cell_choice import _KINDS
    from sklstm._network.cells import CELLS, DRIVERS

    shape, is_elementwise = Shape(1, 64, 50, cell), DRIVERS[CELLS[cell].driver] == "elementwise"
    bounds = CELL_TARGETS.get(cell, OF_ELEMENTWISE if is_elementwise else {})
    targets = tuple(Target("ratio", bound, peer) for peer, bound in bounds.items())
    jobs = {
        "train": (Training(shape, 32, 512, 512), "training step", ours.training, ours.lstm_training, targets),
        "long": (Training(shape, 4096, 8, 8), "training step", ours.training, ours.lstm_training, ()),
        "forward": (Training(shape, 32, 512, 512), "forward", ours.forward, ours.lstm_forward, ()),
    }
    torch_sides = {"train": peers.torch_training, "long": peers.torch_training, "forward": peers.torch_forward}
    for name, (job, verb, side, lstm_side, aims) in jobs.items():
        sides = {LSTM: lstm_side}
        if cell in peers.TORCH_LAYERS:
            sides[PYTORCH] = torch_sides[name]
        if cell in scans.CELLS and name != "forward":
            sides[SCAN] = scans.training
        title = f"{verb}, {job.shape}, {job.steps} steps, batch {job.batch}"
        flop = job.forward_flop if name == "forward" else job.flop
        yield Row(f"{name}-{cell}", title, job, side, flop, sides, aims, threads=(1,))
    job, sides = Streaming(shape, 1, 200), {LSTM: ours.lstm_stream}
    if cell == "gru":
        yield _stream("stream-gru", job, {**sides, PYTORCH: peers.torch_stream}, threads=(1,))
    elif is_elementwise and cell in _KINDS:  # what only an object of a cell stands for has the steps of its kind
        yield _stream(f"stream-{cell}", job, sides, STREAM_TARGET, threads=(1,))


def cell_rows():
    """Return the rows of the table of cells: all of the registry but the LSTM."""
    from sklstm._network.cells import CELLS

    of_cells = [row for cell in CELLS if cell != "lstm" for row in _cell_rows(cell)]
    return of_cells + package_rows()


def package_rows():
    """Return the rows of packages that have a cell of ours: a layer and a head, the whole step of training."""
    from sklstm._network.cells import CELLS

    return [
        Row(
            f"package-{cell}",
            f"training step, {job.shape}, {job.steps} steps, batch {job.batch}",
            job,
            ours.training,
            job.flop,
            {package: side},
            (Target("ratio", 8.0, package),),
            threads=(1,),
        )
        for cell, (package, side, units) in packages.SIDES.items()
        if cell in CELLS
        for job in [Training(Shape(1, units, 64, cell), 512, 16, 16)]
    ]


def job_rows():
    """Return the rows of the main table in their order."""
    wide, training_peak = _batch(5, 512, 256, 32, 64), Target("peak", 0.70, threads=1)
    return [
        _training("train-1x64-b512", _batch(1, 64, 50, 32, 512), 3.5, training_peak),
        _training("train-1x64-b64", _batch(1, 64, 50, 32, 64), 3.5),
        _training("train-3x128", _batch(3, 128, 32, 64, 128), 2.0),
        _training("train-2x256", _batch(2, 256, 64, 48, 256), 1.7),
        _training("train-5x512", wide, 1.3, training_peak),
        _training("train-2x100", _batch(2, 100, 7, 20, 50), 2.5),
        _training("train-1x17", _batch(1, 17, 3, 96, 33), 2.5),
        _mixed(),
        _forward("forward-1x64", _batch(1, 64, 50, 32, 512)),
        _forward("forward-5x512", wide),
        _predict(),
        _fit(),
        _stream(
            "stream-1x64",
            Streaming(Shape(1, 64, 50), 1, 200),
            {ONNX: peers.onnx_stream, PYTORCH: peers.torch_stream},
            Target("ratio", 3.0, ONNX),
            Target("ratio", 20.0, PYTORCH),
            Target("seconds", 3e-6),
            threads=(1,),
        ),
        _stream(
            "stream-5x512",
            Streaming(Shape(5, 512, 256), 1, 4),
            {ONNX: peers.onnx_stream},
            Target("ratio", 1.5, ONNX),
        ),
        _stream(
            "stream-5x512-x32",
            Streaming(Shape(5, 512, 256), 32, 2),
            {ONNX: peers.onnx_stream},
            Target("ratio", 1.5, ONNX),
            Target("seconds", 3e-3, threads=2),
        ),
        Row(
            "overhead",
            "Python per training batch: 1 unit, 1 column, 1 step, batch 1",
            Training(Shape(1, 1, 1), 1, 1, 200),
            ours.training,
            targets=(Target("seconds", 30e-6),),
            threads=(1,),
        ),
    ]
