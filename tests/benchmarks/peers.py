"""The sides of the peers: PyTorch, skorch and onnxruntime, each in the fastest way that was found.

PyTorch runs `torch.nn.LSTM` (or `GRU`, `RNN`) on time-major input, which is its oneDNN path where it has one; the fused
AdamW was as fast as or faster than its other forms.
"""

from contextlib import nullcontext
from functools import partial
from itertools import cycle, repeat

import numpy as np
from jobs import fitted_model
from timing import Side, fastest


def unscaled(model):
    """Return the parameters of a model for columns as they come: the first layer takes the standardisation in."""
    arrays = {name: array.astype(np.float64) for name, array in model.parameters_.items()}
    arrays["weight_ih_l0"] = arrays["weight_ih_l0"] / model.input_scale_
    # The last of a GRU's four sums reads no x.
    moved = arrays["weight_ih_l0"] @ model.input_mean_
    arrays["bias_l0"][: len(moved)] -= moved
    return {name: array.astype(np.float32) for name, array in arrays.items()}


# Where PyTorch has the cell: the class of its layer and the options that make it ours.
TORCH_LAYERS = {
    "lstm": ("LSTM", {}),
    "gru": ("GRU", {}),
    "elman": ("RNN", {"nonlinearity": "tanh"}),
    "elman_relu": ("RNN", {"nonlinearity": "relu"}),
}


def _torch_biases(cell, bias):
    """Return the two biases of a layer: all in the first, but for the sum of the GRU that reads only h."""
    if cell != "gru":
        return bias, np.zeros_like(bias)
    r, z, n_x, n_h = bias.reshape(4, -1)
    return np.concatenate([r, z, n_x]), np.concatenate([np.zeros_like(r), np.zeros_like(z), n_h])


def _torch_network(shape, arrays):
    """Return torch.nn.LSTM, or the layer of another cell, and a linear head with the given weights."""
    import torch

    kind, options = TORCH_LAYERS[shape.cell]
    layers = getattr(torch.nn, kind)(shape.columns, shape.units, shape.layers, **options)
    head = torch.nn.Linear(shape.units, 1)
    values = dict(arrays)
    for i in range(shape.layers):
        values[f"bias_ih_l{i}"], values[f"bias_hh_l{i}"] = _torch_biases(shape.cell, arrays[f"bias_l{i}"])
    with torch.no_grad():
        for name, parameter in layers.named_parameters():
            parameter.copy_(torch.from_numpy(np.array(values[name])))
        head.weight.copy_(torch.from_numpy(np.array(arrays["weight_out"])))
        head.bias.copy_(torch.from_numpy(np.array(arrays["bias_out"])))
    return layers, head


def last_hidden(out):
    """Return the last hidden state of the top layer from what a layer of PyTorch returns."""
    states = out[1]
    return (states[0] if isinstance(states, tuple) else states)[-1]


def torch_side(call, n_threads, repeats=1, answer=None):
    """Return a side that sets the number of torch's threads before each turn."""
    import torch

    return Side(call, repeats, partial(torch.set_num_threads, n_threads), answer)


def torch_epoch(job, forward, context=nullcontext):
    """Return a function that trains over all batches once; `forward(network, begin, end)` is the head's input.

    The head and the loss run within `context()`.
    """
    import torch

    lstm, head = _torch_network(job.shape, job.shape.weights())
    parameters = [*lstm.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.01, fused=True)
    y = torch.from_numpy(job.data()[1])

    def epoch():
        total = 0.0
        for begin in range(0, job.n_sequences, job.batch):
            end = min(begin + job.batch, job.n_sequences)
            optimizer.zero_grad()
            with context():
                loss = torch.nn.functional.mse_loss(head(forward(lstm, begin, end)), y[begin:end])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            total += loss.item() * (end - begin)
        return total / job.n_sequences

    return epoch


def torch_training(job, n_threads):
    """Time steps of training on one batch of sequences of one length."""
    import torch

    x = torch.from_numpy(job.data()[0]).transpose(0, 1).contiguous()
    epoch = torch_epoch(job, lambda layers, begin, end: last_hidden(layers(x)))
    return torch_side(epoch, n_threads, answer=float)


def torch_forward(job, n_threads):
    """Time forward over one batch in inference mode."""
    import torch

    x = torch.from_numpy(job.data()[0]).transpose(0, 1).contiguous()
    layers, head = _torch_network(job.shape, job.shape.weights())

    def forward():
        with torch.inference_mode():
            return head(last_hidden(layers(x))).numpy()

    return torch_side(forward, n_threads, answer=np.ravel)


def torch_packed(job, n_threads):
    """Time steps of training on sequences of mixed lengths as packed sequences; they are padded beforehand."""
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence

    x, lengths = torch.from_numpy(job.data()[0]).transpose(0, 1).contiguous(), torch.from_numpy(job.lengths())

    def forward(lstm, begin, end):
        packed = pack_padded_sequence(x[:, begin:end], lengths[begin:end], enforce_sorted=False)
        return lstm(packed)[1][0][-1]

    return torch_side(torch_epoch(job, forward), n_threads, job.n_batches, float)


def torch_padded(job, n_threads):
    """Time the same on padded sequences, of which the output at the last true step is taken."""
    import torch

    x, lengths = torch.from_numpy(job.data()[0]).transpose(0, 1).contiguous(), torch.from_numpy(job.lengths())

    def forward(lstm, begin, end):
        longest = int(lengths[begin:end].max())
        outputs = lstm(x[:longest, begin:end].contiguous())[0]
        return outputs[lengths[begin:end] - 1, torch.arange(end - begin)]

    return torch_side(torch_epoch(job, forward), n_threads, job.n_batches, float)


def torch_predict(job, n_threads):
    """Time predictions for all rows of a table in batches of windows, which are copied out of it on the way."""
    import torch

    model = fitted_model(job.shape, job.steps, 1)
    lstm, head = _torch_network(job.shape, unscaled(model))
    # Rows of zeros in front, so that every row has a window.
    x = np.concatenate([np.zeros((job.steps - 1, job.shape.columns), np.float32), job.data()[0]])
    windows = torch.from_numpy(x).unfold(0, job.steps, 1)

    def predict():
        out = torch.empty(job.n_rows)
        with torch.inference_mode():
            for begin in range(0, job.n_rows, job.batch):
                batch = windows[begin : begin + job.batch].permute(2, 0, 1).contiguous()
                out[begin : begin + job.batch] = head(lstm(batch)[1][0][-1])[:, 0]
        return out.numpy() * model.target_scale_ + model.target_mean_

    return torch_side(predict, n_threads, answer=lambda z: z[job.steps :])


def torch_stream(job, n_threads):
    """Time single steps of one layer that carries its state, as `LSTMCell` or `LSTM`, in one inference mode."""
    import torch

    shape, model = job.shape, fitted_model(job.shape, 2, 1)
    lstm, head = _torch_network(shape, unscaled(model))
    kind, options = TORCH_LAYERS[shape.cell]
    cell = getattr(torch.nn, f"{kind}Cell")(shape.columns, shape.units, **options)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in lstm.state_dict().items()})
    rows = torch.from_numpy(job.rows())

    def cell_steps():
        state = None

        def steps():
            nonlocal state
            with torch.inference_mode():
                for _ in repeat(None, job.repeats):
                    state = cell(rows, state)
                    z = head(state[0] if isinstance(state, tuple) else state)
            return z

        return steps

    def lstm_steps():
        state, sequence = None, rows[None]

        def steps():
            nonlocal state
            with torch.inference_mode():
                for _ in repeat(None, job.repeats):
                    out, state = lstm(sequence, state)
                    z = head(out[0])
            return z

        return steps

    makers = [cell_steps, lstm_steps]
    torch.set_num_threads(n_threads)
    make = makers[fastest(*(make() for make in makers))]

    def answer(z):
        return z.numpy().ravel() * model.target_scale_ + model.target_mean_

    return torch_side(make(), n_threads, job.repeats, answer)


def skorch_fit(job, n_threads):
    """Time `fit` of the same network for one epoch, on windows that were made beforehand."""
    import torch
    from skorch import NeuralNetRegressor
    from skorch.callbacks import GradientNormClipping

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = torch.nn.LSTM(job.shape.columns, job.shape.units, job.shape.layers)
            self.head = torch.nn.Linear(job.shape.units, 1)

        def forward(self, x):
            return self.head(self.lstm(x.transpose(0, 1).contiguous())[1][0][-1])

    x, y = job.data()
    x = np.concatenate([np.zeros((job.steps - 1, job.shape.columns), np.float32), x])
    windows = np.lib.stride_tricks.sliding_window_view(x, job.steps, axis=0).transpose(0, 2, 1).copy()
    model = NeuralNetRegressor(
        Network,
        max_epochs=1,
        lr=1e-3,
        batch_size=job.batch,
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=0.01,
        optimizer__fused=True,
        train_split=None,
        iterator_train__shuffle=True,
        callbacks=[GradientNormClipping(1.0)],
        verbose=0,
    )
    return torch_side(lambda: model.fit(windows, y[:, None]), n_threads)


def onnx_model(shape, model):
    """Return the bytes of a graph: one step of LSTM nodes whose states come in and go out, then a Gemm as the head."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights, nodes, states, parameters = {}, [], [], unscaled(model)
    below = "x"
    for layer in range(shape.layers):
        # ONNX has the gates in the order i, o, f, g.
        order = np.arange(4 * shape.units).reshape(4, shape.units)[[0, 3, 1, 2]].ravel()
        arrays = [parameters[f"{name}_l{layer}"][order] for name in ("weight_ih", "weight_hh", "bias")]
        arrays[2] = np.concatenate([arrays[2], np.zeros_like(arrays[2])])
        names = [f"{name}{layer}" for name in ("w", "r", "b")]
        weights |= dict(zip(names, (array[None] for array in arrays), strict=True))
        inputs, outputs = [f"h{layer}", f"c{layer}"], [f"h{layer}_out", f"c{layer}_out"]
        nodes.append(helper.make_node("LSTM", [below, *names, "", *inputs], ["", *outputs], hidden_size=shape.units))
        states += inputs
        # The last hidden state (1, streams, units) is at the same time a sequence of one step.
        below = outputs[0]
    weights["rows"] = np.array([-1, shape.units], np.int64)
    weights["w"] = (model.target_scale_ * model.parameters_["weight_out"]).astype(np.float32)
    weights["b"] = (model.target_scale_ * model.parameters_["bias_out"] + model.target_mean_).astype(np.float32)
    nodes.append(helper.make_node("Reshape", [below, "rows"], ["top"]))
    nodes.append(helper.make_node("Gemm", ["top", "w", "b"], ["z"], transB=1))

    def values(names, last):
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, None, last]) for name in names]

    graph = helper.make_graph(
        nodes,
        "step",
        values(["x"], shape.columns) + values(states, shape.units),
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [None, 1])]
        + values([f"{name}_out" for name in states], shape.units),
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    result = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(result)
    return result.SerializeToString()


def _onnx_steps(session, job):
    """Return steps through `run` with a dict of arrays, whose states are replaced."""
    names = [value.name for value in session.get_inputs()]
    zeros = np.zeros((1, job.n_streams, job.shape.units), np.float32)
    feeds = {name: job.rows()[None] if name == "x" else zeros for name in names}

    def steps():
        for _ in repeat(None, job.repeats):
            z, *states = session.run(None, feeds)
            feeds.update(zip(names[1:], states, strict=True))
        return z

    return steps


def _onnx_bound_steps(session, job):
    """Return steps through two bindings in turn, without a copy of the states."""
    import onnxruntime

    names = [value.name for value in session.get_inputs()][1:]
    rows = onnxruntime.OrtValue.ortvalue_from_numpy(job.rows()[None])
    z = onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros((job.n_streams, 1), np.float32))
    size = (1, job.n_streams, job.shape.units)
    states = [[onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros(size, np.float32)) for _ in names] for _ in range(2)]
    bindings = []
    # To and fro: what one binding writes the other reads.
    for before, after in (states, states[::-1]):
        binding = session.io_binding()
        binding.bind_ortvalue_input("x", rows)
        binding.bind_ortvalue_output("z", z)
        for name, value_in, value_out in zip(names, before, after, strict=True):
            binding.bind_ortvalue_input(name, value_in)
            binding.bind_ortvalue_output(f"{name}_out", value_out)
        bindings.append(binding)

    turn = cycle(bindings)

    def steps():
        for _ in repeat(None, job.repeats):
            session.run_with_iobinding(next(turn))
        return z.numpy()

    # A binding does not keep the arrays behind its values alive.
    steps.kept = rows, states
    return steps


def fastest_onnx_side(graphs, job, n_threads):
    """Return the side of the fastest of some graphs, through `run` or through bindings."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.inter_op_num_threads = 1
    sessions = [onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"]) for graph in graphs]
    ways = [(make, session) for session in sessions for make in (_onnx_steps, _onnx_bound_steps)]
    make, session = ways[fastest(*(make(session, job) for make, session in ways))]
    return Side(make(session, job), job.repeats, answer=np.ravel)


def onnx_stream(job, n_threads):
    """Time single steps of streams, through `run` or through bindings, whichever is faster."""
    return fastest_onnx_side([onnx_model(job.shape, fitted_model(job.shape, 2, 1))], job, n_threads)
