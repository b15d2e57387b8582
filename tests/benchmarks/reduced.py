"""The jobs in reduced numbers: bf16 training, bf16 and integer inference; their sides, rows and targets.

They need a CPU with AVX512_BF16 and AVX512_VNNI: elsewhere the same numbers are computed, more slowly, and the table
says so instead of figures. What memory training takes does not depend on the instructions.
"""

import logging
import tempfile
import warnings
from functools import cache, partial
from pathlib import Path

import numpy as np
import ours
import peers
from jobs import Shape, Streaming, Table, Training, fitted_model
from rows import PYTORCH, Row, Target
from timing import Side, fastest

FLOAT32, AUTOCAST, ONNX_INT8 = "our float32", "PyTorch, bf16", "onnxruntime, int8"
STEPS = 32  # of the windows on which the ranges of integers and the error of h are measured
# How much faster than float32 and than PyTorch in float32 and in bf16 a training step is to be.
TRAINING = {
    "train-1x64-b512": (Training(Shape(1, 64, 50), 32, 512, 512), 1.75, 4.2, 2.5),
    "train-1x64-b64": (Training(Shape(1, 64, 50), 32, 64, 64), 1.75, 4.2, 2.5),
    "train-3x128": (Training(Shape(3, 128, 32), 64, 128, 128), 1.8, 2.4, 1.4),
    "train-2x256": (Training(Shape(2, 256, 64), 48, 256, 256), 1.8, 2.7, 1.4),
    "train-5x512": (Training(Shape(5, 512, 256), 32, 64, 64), 1.8, 2.2, 1.4),
}


@cache
def integer_model(shape, steps, n_threads, dtype):
    """Return the fitted model in integers. How exact it is does not matter here: the rows report it."""
    from sklstm import quantize

    rows = np.random.default_rng(7).standard_normal((64, shape.columns), dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return quantize(fitted_model(shape, steps, n_threads), rows, dtype, max_error=1.0)


def _model(shape, steps, n_threads, dtype):
    if dtype.startswith("int"):
        return integer_model(shape, steps, n_threads, dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # with --emulated: bf16 is slower here
        return fitted_model(shape, steps, n_threads, dtype)


def _rate(dtype):
    return {"float32": "fma", "bfloat16": "bf16"}.get(dtype, dtype)


def predict(job, n_threads, dtype="float32"):
    """Time `predict` over a table."""
    model, (x, _) = _model(job.shape, job.steps, n_threads, dtype), job.data()
    return Side(lambda: model.predict(x), answer=np.ravel, rate=_rate(dtype))


def stream(job, n_threads, dtype="float32"):
    """Time single steps of streams that carry their state, called from Python."""
    steps = ours.steps_of(_model(job.shape, STEPS, n_threads, dtype), job)
    error = None if dtype == "float32" else partial(error_of_h, job.shape, n_threads, dtype)
    return Side(steps, job.repeats, answer=np.ravel, rate=_rate(dtype), error=error)


def relative_error(found, exact):
    """Return the norm of the difference over the norm of what is exact."""
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


def error_of_h(shape, n_threads, dtype):
    """Return the relative error of the last h of windows that the integers were not chosen by, against float32."""
    rows = np.random.default_rng(8).standard_normal((64, shape.columns), dtype=np.float32)
    found, exact = (_model(shape, STEPS, n_threads, kind).transform(rows) for kind in (dtype, "float32"))
    return relative_error(np.asarray(found, np.float64), np.asarray(exact, np.float64))


def torch_autocast(job, n_threads):
    """Time steps of training under autocast in bf16, from input in float32 or in bf16, whichever is faster."""
    import torch

    x = torch.from_numpy(job.data()[0]).transpose(0, 1).contiguous()

    def epoch_of(x):
        context = partial(torch.autocast, "cpu", dtype=torch.bfloat16)
        return peers.torch_epoch(job, lambda layers, begin, end: peers.last_hidden(layers(x)), context)

    torch.set_num_threads(n_threads)
    inputs = [x, x.bfloat16()]
    try:
        epoch = epoch_of(inputs[fastest(*(epoch_of(x) for x in inputs))])
    except RuntimeError as error:  # oneDNN has no such layer for this CPU
        raise ours.Missing(str(error).partition(".")[0]) from None
    side = peers.torch_side(epoch, n_threads, answer=float)
    side.rate = "bf16"
    return side


def onnx_int8_stream(job, n_threads):
    """Time single steps of the graph after `quantize_dynamic`, with signed or unsigned weights."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.disable(logging.WARNING)  # shapes are not inferred beforehand: that changes nothing of these nodes
    model = onnx.load_from_string(peers.onnx_model(job.shape, fitted_model(job.shape, STEPS, 1)))
    graphs = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in (QuantType.QInt8, QuantType.QUInt8):
            path = Path(folder) / f"{kind}.onnx"
            quantize_dynamic(model, path, weight_type=kind)
            graphs.append(path.read_bytes())
    logging.disable(logging.NOTSET)
    side = peers.fastest_onnx_side(graphs, job, n_threads)
    side.rate = "int8"
    return side


def memory(part, job, n_threads, dtype="bfloat16"):
    """Return the bytes of a step of training: `part` "call", its workspace and rounded weights, or "whole"."""
    bound = ours._Bound(job, n_threads, dtype)
    bound.epoch()
    parts = bound.n_bytes()
    return sum(parts.values()) if part == "whole" else parts["workspace"] + parts["rounded weights"]


def _training_row(name, job, to_float32, to_pytorch, to_autocast):
    return Row(
        f"{name}-bf16",
        f"training step in bf16, {job.shape}, {job.steps} steps, batch {job.batch}",
        job,
        partial(ours.training, dtype="bfloat16"),
        job.flop,
        {FLOAT32: ours.training, PYTORCH: peers.torch_training, AUTOCAST: torch_autocast},
        (
            Target("ratio", to_float32, FLOAT32),
            Target("ratio", to_pytorch, PYTORCH),
            Target("ratio", to_autocast, AUTOCAST),
            Target("speed-up", 1.85, threads=2),
        ),
        tolerance=2e-2,
        reduced=True,
    )


def _stream_row(dtype, job, sides, *targets, threads=None):
    streams = "one stream" if job.n_streams == 1 else f"{job.n_streams} streams"
    return Row(
        f"stream-5x512-x{job.n_streams}-{dtype}",
        f"one step from Python in {dtype}, {job.shape}, {streams}",
        job,
        partial(stream, dtype=dtype),
        job.flop,
        sides,
        targets,
        threads,
        tolerance=5e-2,
        products_decide=job.n_streams > 1,
        reduced=True,
    )


def _predict_row(dtype):
    job = Table(Shape(1, 64, 50), 32, 512, 100_000)
    kind = _rate(dtype)
    return Row(
        f"predict-{kind}",
        f"`predict` in {kind}, table of 100,000 rows, {job.shape}, windows of 32",
        job,
        partial(predict, dtype=dtype),
        job.shape.forward_flop * job.window_steps,
        {FLOAT32: predict},
        (Target("ratio", 1.6, FLOAT32),),
        tolerance=5e-2,
        products_decide=False,  # the windows share the first product
        reduced=True,
    )


def _memory_row(part, what):
    job = TRAINING["train-5x512"][0]
    return Row(
        f"memory-{part}",
        f"memory of a training step in bf16, {job.shape}, {job.steps} steps, batch {job.batch}: {what}",
        job,
        partial(memory, part),
        peers={FLOAT32: partial(memory, part, dtype="float32")},
        targets=(Target("memory", 0.7, FLOAT32),),
        in_bytes=True,
    )


def reduced_rows():
    """Return the rows of the table of reduced numbers."""
    shape = Shape(5, 512, 256)
    many, one = Streaming(shape, 32, 2), Streaming(shape, 1, 8)
    int8 = {ONNX_INT8: onnx_int8_stream, FLOAT32: stream}
    return [
        *(_training_row(name, *entry) for name, entry in TRAINING.items()),
        _stream_row(
            "int8", many, int8, Target("seconds", 996e-6, threads=2), Target("ratio", 1.7, ONNX_INT8, threads=2)
        ),
        _stream_row(
            "int8",
            one,
            int8,
            Target("ratio", 1.7, ONNX_INT8),
            Target("ratio", 7.0, FLOAT32),
            Target("seconds", 0.15e-3),
            threads=(1,),
        ),
        _stream_row("int16", many, {FLOAT32: stream}, Target("ratio", 2.0, FLOAT32), Target("error", 1e-3)),
        _predict_row("bfloat16"),
        _predict_row("int16"),
        _memory_row("call", "workspace of the call and rounded weights"),
        _memory_row("whole", "these with weights, transposed weights, moments and gradient slots"),
    ]
