"""The network of an estimator as nodes of ONNX: input, recurrent layers, pooling, head, linear skip."""

import numpy as np

from sklstm._exchange.arrays import in_blocks

# Blocks of the weights, in the order of ONNX: i, o, f, c of our i, f, g, o; z, r, h of our r, z, n.
_ORDERS = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "gru_reset_before": (1, 0, 2)}
# Peepholes: i, o, f of our i, f, o.
_PEEPHOLES = [0, 2, 1]
_ACTIVATIONS = {"elman": "Tanh", "elman_relu": "Relu", "elman_softsign": "Softsign"}
CELLS = (*_ORDERS, *_ACTIVATIONS)


class Network:
    """Writes a network into a graph.

    Parameters
    ----------
    graph : Graph
    shape : Architecture
    x : str
        Name of the standardised input, (batch, steps, features) of float32.
    lengths : str or None
        Name of the lengths of the sequences, int32; None where all steps count.
    """

    def __init__(self, graph, shape, x, lengths):
        self._graph, self._shape, self._x, self._lengths = graph, shape, x, lengths
        self._by_step = graph.add("Transpose", [x], perm=[1, 0, 2])

    def raw_outputs(self, arrays):
        """Return the name of the raw outputs of the head, (batch, outputs), or (batch, steps, outputs)."""
        graph, shape = self._graph, self._shape
        z = self._linear(self._pooled(self._top_layer(arrays)), arrays["weight_out"].T, arrays["bias_out"])
        return z if not shape.linear_skip else graph.add("Add", [z, self._skip(arrays["weight_skip"])])

    def _linear(self, x, weights, bias):
        product = self._graph.add("MatMul", [x, self._graph.constant(weights, np.float32)])
        return self._graph.add("Add", [product, self._graph.constant(bias, np.float32)])

    def _top_layer(self, arrays):
        """Return the name of the outputs of the top layer, (batch, steps, units)."""
        graph, below = self._graph, self._by_step
        for layer in range(self._shape.n_layers):
            outputs = self._layer(layer, below, arrays)
            # (steps, directions, batch, units): both directions of a step side by side.
            beside = graph.add("Transpose", [outputs], perm=[0, 2, 1, 3])
            below = graph.add("Reshape", [beside, graph.constant([0, 0, self._shape.output_size(layer)], np.int64)])
        return graph.add("Transpose", [below], perm=[1, 0, 2])

    def _layer(self, layer, below, arrays):
        graph, cell, directions = self._graph, self._shape.cell, self._shape.directions

        def stacked(name, order):
            return np.stack([in_blocks(arrays[f"{name}_l{layer}{suffix}"], order) for suffix in directions])

        order = _ORDERS.get(cell, (0,))
        biases = np.stack([_biases(cell, arrays[f"bias_l{layer}{suffix}"], order) for suffix in directions])
        values = [stacked("weight_ih", order), stacked("weight_hh", order), biases]
        inputs = [below, *(graph.constant(one, np.float32) for one in values), self._lengths or ""]
        attributes = {"hidden_size": self._shape.hidden_sizes[layer]}
        attributes["direction"] = "bidirectional" if len(directions) > 1 else "forward"
        if cell == "lstm":
            if self._shape.peephole:
                own = [arrays[f"weight_peephole_l{layer}{suffix}"][_PEEPHOLES].ravel() for suffix in directions]
                inputs += ["", "", graph.constant(np.stack(own), np.float32)]
            return graph.add("LSTM", inputs, **attributes)
        if cell in _ORDERS:
            return graph.add("GRU", inputs, linear_before_reset=int(cell == "gru"), **attributes)
        return graph.add("RNN", inputs, activations=[_ACTIVATIONS[cell]] * len(directions), **attributes)

    def _pooled(self, outputs):
        """Return the name of what the head reads."""
        if self._shape.every_step:
            return outputs
        if self._shape.pooling == "last":
            return self._last(outputs)
        graph = self._graph
        if self._lengths is None:
            return graph.add("ReduceMean", [outputs], axes=[1], keepdims=0)
        lengths = graph.add("Unsqueeze", [self._lengths, graph.constant([1], np.int64)])
        n_steps = graph.add("Gather", [graph.add("Shape", [outputs]), graph.constant(1, np.int64)], axis=0)
        steps = graph.add("Range", [graph.constant(0, np.int64), n_steps, graph.constant(1, np.int64)])
        present = graph.add("Less", [steps, graph.cast(lengths, graph.types.INT64)])
        present = graph.add("Unsqueeze", [present, graph.constant([2], np.int64)])
        known = graph.add("Where", [present, outputs, graph.constant(0.0, np.float32)])
        total = graph.add("ReduceSum", [known, graph.constant([1], np.int64)], keepdims=0)
        return graph.add("Div", [total, graph.cast(lengths, graph.types.FLOAT)])

    def _last(self, values):
        """Return the name of the values at the last step of each sequence."""
        graph = self._graph
        if self._lengths is None:
            return graph.add("Gather", [values, graph.constant(-1, np.int64)], axis=1)
        last = graph.add("Sub", [graph.cast(self._lengths, graph.types.INT64), graph.constant(1, np.int64)])
        return graph.add(
            "GatherND", [values, graph.add("Unsqueeze", [last, graph.constant([1], np.int64)])], batch_dims=1
        )

    def _skip(self, weights):
        """Return the name of the linear map of the last rows, a convolution that looks back only."""
        graph, shape, n_rows = self._graph, self._shape, self._shape.linear_skip
        kernel = weights.reshape(len(weights), n_rows, shape.input_size).transpose(0, 2, 1)
        columns = graph.add("Transpose", [self._x], perm=[0, 2, 1])
        skip = graph.add("Conv", [columns, graph.constant(kernel, np.float32)], pads=[n_rows - 1, 0])
        skip = graph.add("Transpose", [skip], perm=[0, 2, 1])
        return skip if shape.every_step else self._last(skip)


def _biases(cell, bias, order):
    """Return the biases of input and h, one behind the other; the second is zero but for the n of the GRU."""
    if cell == "gru":
        r, z, n_x, n_h = np.split(bias, 4)
        return np.concatenate([z, r, n_x, np.zeros_like(z), np.zeros_like(r), n_h])
    bias = in_blocks(bias, order)
    return np.concatenate([bias, np.zeros_like(bias)])


def standardised(graph, model, x):
    """Return the name of ``(x - input_mean_) / input_scale_``, computed in float64 as the estimator does."""
    types, mean, scale = graph.types, model.input_mean_, model.input_scale_
    if mean.any() or (scale != 1.0).any():
        x = graph.cast(x, types.DOUBLE)
        x = graph.add("Sub", [x, graph.constant(mean, np.float64)])
        x = graph.add("Div", [x, graph.constant(scale, np.float64)])
    return graph.cast(x, types.FLOAT)
