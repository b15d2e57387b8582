"""Recurrent layers of Keras: what they are called, how their weights lie, and what a model of them computes."""

import numpy as np

from sklstm._exchange.arrays import as_array, in_blocks
from sklstm._exchange.fitted import FoundNetwork
from sklstm.cells import GRU, LSTM, Elman

# Without effect on a prediction.
_PASSED_OVER = (
    "InputLayer",
    "Dropout",
    "SpatialDropout1D",
    "GaussianNoise",
    "GaussianDropout",
    "ActivityRegularization",
)
# Their blocks of rows, in the order i, f, g, o or r, z, n: Keras has i, f, c, o and z, r, h.
_ORDERS = {"LSTM": (0, 1, 2, 3), "GRU": (1, 0, 2), "SimpleRNN": (0,)}
_ELMAN = {"tanh": "tanh", "relu": "relu", "softsign": "softsign", "silu": "silu", "swish": "silu"}


def read_layers(layers, head):
    """Return the `FoundNetwork` of layers of Keras.

    Parameters
    ----------
    layers : keras.Model, keras.layers.Layer or sequence of Layer
    head : keras.layers.Dense or None
        None: it is the last of the layers.
    """
    stack = [one for one in _listed(layers) if _kind(one) not in _PASSED_OVER]
    if head is not None:
        stack += [one for one in _listed(head) if _kind(one) not in _PASSED_OVER]
    scales, parameters = {}, {"pooling": "last", "targets": "sample"}
    if stack and _kind(stack[0]) == "Normalization":
        scales = _normalization(stack.pop(0))
    dense = _head(stack)
    recurrent = [one for one in stack if _kind(one) in (*_ORDERS, "Bidirectional")]
    pooled = [one for one in stack if _kind(one) == "GlobalAveragePooling1D"]
    if not recurrent or stack != recurrent + pooled[:1]:
        raise ValueError(
            "from_keras: expected one or more of LSTM, GRU, SimpleRNN (each also in Bidirectional), then perhaps "
            f"GlobalAveragePooling1D, then Dense, found {[_kind(one) for one in [*stack, dense]]}.{_masking(stack)}"
        )
    every_step = [bool(_plain(one, "return_sequences")) for one in recurrent]
    if not all(every_step[:-1]):
        raise ValueError("from_keras: a layer below another one must have return_sequences=True.")
    if pooled:
        parameters["pooling"] = "mean"
        if not every_step[-1]:
            raise ValueError("from_keras: GlobalAveragePooling1D needs return_sequences=True in the layer below it.")
    elif every_step[-1]:
        parameters["targets"] = "sequence"
    elif _kind(recurrent[-1]) == "Bidirectional":
        raise ValueError(
            "from_keras: the top layer is Bidirectional with return_sequences=False, whose backward part answers at "
            "the first row of a sequence; here both directions are read at the last row. What can be taken over is "
            "return_sequences=True, with GlobalAveragePooling1D or an answer for each row."
        )
    return _network(recurrent, dense, parameters, scales)


def _listed(layers):
    """Return the layers of a model, or of a sequence, in order."""
    if isinstance(layers, type):
        raise TypeError(f"from_keras: found the class {layers.__name__}, expected a layer or a model.")
    if hasattr(layers, "layers") and not hasattr(layers, "forward_layer"):
        return list(layers.layers)
    if isinstance(layers, (list, tuple)):
        return list(layers)
    if not hasattr(layers, "get_weights"):
        raise TypeError(f"from_keras: found a {type(layers).__name__}, expected a layer or a model of Keras.")
    return [layers]


def _kind(layer):
    return type(layer).__name__


def _masking(stack):
    if any(_kind(one) == "Masking" for one in stack):
        return (
            " Without Masking the other layers can be handed over as a list; the estimator takes sequences of "
            "different lengths as they are."
        )
    return ""


def _head(stack):
    """Remove the linear map from the end of the layers and return it."""
    dense = stack.pop() if stack else None
    if _kind(dense) == "TimeDistributed":
        dense = dense.layer
    if _kind(dense) != "Dense":
        raise ValueError(
            f"from_keras: the last layer is a {_kind(dense)}, expected Dense. Hand it over as head if the model goes "
            "on behind it."
        )
    return dense


def _normalization(layer):
    """Return mean and scale of a layer that standardises columns."""
    if _plain(layer, "invert"):
        raise ValueError("from_keras: Normalization with invert=True is none of the input.")
    mean, variance = (
        as_array(getattr(layer, name), f"{name} of Normalization").ravel() for name in ("mean", "variance")
    )
    # Keras divides by the deviation or, where that is smaller, by epsilon.
    return {"input_mean": mean, "input_scale": np.maximum(np.sqrt(variance), 1e-7)}


def _plain(layer, name):
    """Return an entry of the configuration of a layer; in Bidirectional of the layer within."""
    return getattr(layer, "forward_layer", layer).get_config().get(name)


def _network(recurrent, dense, parameters, scales):
    """Return the `FoundNetwork` of recurrent layers and a head."""
    directions = {_kind(one) == "Bidirectional" for one in recurrent}
    if len(directions) > 1:
        raise ValueError("from_keras: some layers are Bidirectional and some are not; here all are, or none.")
    arrays, sizes, cells = {}, [], []
    for k, layer in enumerate(recurrent):
        for suffix, one in _directions(layer):
            cells.append(_cell(one))
            own = _weights(one)
            arrays |= {f"{name}_l{k}{suffix}": array for name, array in own.items()}
        sizes.append(own["weight_hh"].shape[1])
    if any(repr(cell) != repr(cells[0]) for cell in cells):
        raise ValueError(f"from_keras: all layers must have the same cell, found {sorted(set(map(repr, cells)))}.")
    weights = dense.get_weights()
    arrays["weight_out"] = as_array(weights[0], "kernel of Dense").T
    arrays["bias_out"] = as_array(weights[1], "bias of Dense") if len(weights) > 1 else np.zeros(weights[0].shape[1])
    activation = dense.get_config().get("activation") or "linear"
    return FoundNetwork(arrays, cells[0], tuple(sizes), directions.pop(), parameters, activation, scales)


def _directions(layer):
    """Return the layers of both directions, or the layer itself, each with the suffix of its names."""
    if _kind(layer) != "Bidirectional":
        return [("", layer)]
    if layer.merge_mode != "concat":
        raise ValueError(
            f"from_keras: Bidirectional with merge_mode={layer.merge_mode!r} has no place here, where both directions "
            "stand side by side (merge_mode='concat')."
        )
    return [("", layer.forward_layer), ("_backward", layer.backward_layer)]


def _cell(layer):
    """Return the cell of a layer."""
    kind, config = _kind(layer), layer.get_config()
    if kind not in _ORDERS:
        raise ValueError(f"from_keras: Bidirectional holds a {kind}, expected LSTM, GRU or SimpleRNN.")
    if config.get("stateful"):
        raise ValueError(f"from_keras: {kind} with stateful=True has no place here: sequences begin with zero states.")
    wanted = {"recurrent_activation": "sigmoid"} if kind != "SimpleRNN" else {}
    wanted |= {"activation": "tanh"} if kind != "SimpleRNN" else {}
    for name, value in wanted.items():
        if config.get(name) != value:
            raise ValueError(f"from_keras: {kind} with {name}={config.get(name)!r} has no place here, only {value!r}.")
    if kind == "LSTM":
        return LSTM()
    if kind == "GRU":
        return GRU(reset_after=bool(config.get("reset_after")))
    if config.get("activation") not in _ELMAN:
        raise ValueError(
            f"from_keras: SimpleRNN with activation={config.get('activation')!r} has no place here, only one of "
            f"{tuple(_ELMAN)}."
        )
    return Elman(activation=_ELMAN[config["activation"]])


def _weights(layer):
    """Return the weights of a layer by the names, and in the layout, of this package."""
    kind, weights = _kind(layer), layer.get_weights()
    if len(weights) < 2:
        raise ValueError(f"from_keras: {kind} has no weights yet; call the model once, or build it.")
    order = _ORDERS[kind]
    weights = [as_array(one, f"weights of {kind}") for one in weights]
    weight_ih, weight_hh = (in_blocks(one.T, order) for one in weights[:2])
    after = kind == "GRU" and layer.get_config().get("reset_after")
    bias = weights[2] if len(weights) > 2 else np.zeros((2, len(weight_ih)) if after else len(weight_ih))
    if after:
        z, r, n_x = np.split(bias[0], 3)
        z_h, r_h, n_h = np.split(bias[1], 3)
        bias = np.concatenate([r + r_h, z + z_h, n_x, n_h])
    else:
        bias = in_blocks(bias, order)
    return {"weight_ih": weight_ih, "weight_hh": weight_hh, "bias": bias}
