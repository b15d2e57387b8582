"""Recurrent layers of PyTorch: names and biases of their parameters, and what a state dict tells of its layers."""

import re

import numpy as np

from sklstm._exchange.arrays import state_of
from sklstm._exchange.fitted import FoundNetwork
from sklstm._exchange.folding import for_columns_as_they_come, for_the_unit_of_y
from sklstm._exchange.refusals import exported, refuse_cell, refuse_options
from sklstm._seeds import n_networks
from sklstm.cells import GRU, LSTM, Elman

SIDE = "torch.nn.LSTM, GRU or RNN with one Linear"
CELLS = ("lstm", "gru", "elman", "elman_relu")
_NAME = re.compile(r"(?P<prefix>.*?)(?P<kind>(?:weight_(?:ih|hh|hr)|bias_(?:ih|hh)))_l(?P<layer>\d+)(?P<end>_reverse)?")


def state_dict_of(model, layers, head):
    """Return the state dict of a fitted model.

    Parameters
    ----------
    model : object
    layers, head : str
        Names of the recurrent layers and of the linear map in it.

    Returns
    -------
    dict of str to ndarray
        Writable copies, of the dtype of the model's parameters.
    """
    model, shape = exported(model, "to_torch")
    refuse_options(shape, "to_torch", SIDE, knows=("projection_size",))
    refuse_cell(shape, CELLS, "to_torch", "torch.nn")
    if len(set(shape.hidden_sizes)) > 1:
        raise ValueError(
            f"to_torch: hidden_size={list(shape.hidden_sizes)} has no place there: all layers of a torch.nn.LSTM, GRU "
            "or RNN have the same number of units."
        )
    if n_networks(model) > 1:
        raise ValueError(
            f"to_torch: n_seeds={n_networks(model)} has no place there: {SIDE} is one network. Fit with n_seeds=1."
        )
    dtype = model.parameters_["weight_out"].dtype
    arrays = for_columns_as_they_come(model, model.parameters_, shape.directions)
    if hasattr(model, "_coding"):
        arrays = for_the_unit_of_y(model, arrays)
    found = {}
    for layer in range(shape.n_layers):
        for suffix in shape.directions:
            ours, theirs = f"_l{layer}{suffix}", f"_l{layer}{suffix.replace('backward', 'reverse')}"
            for name in ("weight_ih", "weight_hh"):
                found[f"{layers}.{name}{theirs}"] = arrays[name + ours]
            from_x, from_h = split_bias(shape.cell, arrays["bias" + ours])
            found |= {f"{layers}.bias_ih{theirs}": from_x, f"{layers}.bias_hh{theirs}": from_h}
            if shape.projection_size:
                found[f"{layers}.weight_hr{theirs}"] = arrays["weight_hr" + ours]
    found |= {f"{head}.weight": arrays["weight_out"], f"{head}.bias": arrays["bias_out"]}
    return {name: np.array(array, dtype, order="C") for name, array in found.items()}


def split_bias(cell, bias):
    """Return the two biases of a layer: all in the first, but for the sum of the GRU that reads only h."""
    if cell != "gru":
        return bias, np.zeros_like(bias)
    r, z, n_x, n_h = np.split(bias, 4)
    return np.concatenate([r, z, n_x]), np.concatenate([np.zeros_like(r), np.zeros_like(z), n_h])


def join_biases(from_x, from_h, n_blocks):
    """Return the bias of a layer: of the GRU the blocks r, z, n of the input and n of h, else the sum."""
    if n_blocks != 3:
        return from_x + from_h
    edge = len(from_x) * 2 // 3
    return np.concatenate([from_x[:edge] + from_h[:edge], from_x[edge:], from_h[edge:]])


def read_state(layers, head, own_activation):
    """Return the `FoundNetwork` of a module of PyTorch, or of a state dict.

    Parameters
    ----------
    layers : torch.nn.Module or mapping
        With exactly one stack of recurrent layers and, where `head` is None, one linear map.
    head : torch.nn.Module, mapping or None
    own_activation : str
        Activation of an RNN whose state dict alone is known.
    """
    state = state_of(layers, "layers", "from_torch")
    stacks, others = {}, {}
    for name, array in state.items():
        match = _NAME.fullmatch(name)
        if match is None:
            others[name] = array
        else:
            key = match["kind"], int(match["layer"]), "_backward" if match["end"] else ""
            stacks.setdefault(match["prefix"], {})[key] = array
    if len(stacks) != 1:
        found = f"those of {sorted(stacks)}" if stacks else f"only {sorted(state)[:8]}"
        raise ValueError(
            "from_torch: layers must hold the parameters of one torch.nn.LSTM, GRU or RNN (weight_ih_l0, ...), found "
            f"{found}."
        )
    if head is not None and others:
        raise ValueError(
            f"from_torch: layers also holds {sorted(others)[:8]}, of which the estimator knows nothing. Hand over the "
            "recurrent layers alone as layers, if the network is these and head."
        )
    weight, bias = _read_head(others if head is None else state_of(head, "head", "from_torch"), head is None)
    [found] = stacks.values()
    return _network(found, weight, bias, _activation(layers) or own_activation)


def _read_head(state, is_part):
    """Return weight and bias of the only linear map in a state dict."""
    weights = {name for name in state if re.fullmatch(r"(.*\.)?weight", name) and state[name].ndim == 2}
    biases = {re.sub("weight$", "bias", name) for name in weights}
    if len(weights) != 1 or not state.keys() <= weights | biases:
        where = "beside the recurrent layers, layers" if is_part else "head"
        raise ValueError(
            f"from_torch: {where} must hold the weight and bias of one torch.nn.Linear, found {sorted(state)[:8]}."
            + (" Hand the linear map over as head." if is_part else "")
        )
    [weight], [bias] = ((state.get(name) for name in names) for names in (weights, biases))
    return weight, np.zeros(len(weight)) if bias is None else bias


def _activation(module):
    """Return the activation of a torch.nn.RNN, or of the first one within a module; None if it is not known."""
    inside = module.modules() if callable(getattr(module, "modules", None)) else [module]
    known = (getattr(one, "nonlinearity", None) for one in inside if hasattr(one, "weight_ih_l0"))
    return next((one for one in known if isinstance(one, str)), None)


def _network(found, weight, bias, activation):
    """Return the `FoundNetwork` of parameters by kind, layer and direction."""
    n_layers = 1 + max(layer for _, layer, _ in found)
    directions = ("", "_backward") if any(end for *_, end in found) else ("",)
    arrays, hidden, n_blocks, projection = {}, None, None, None
    for layer in range(n_layers):
        for end in directions:
            missing = [kind for kind in ("weight_ih", "weight_hh") if (kind, layer, end) not in found]
            if missing:
                direction = " of the backward direction" if end else ""
                raise ValueError(f"from_torch: layers has no {missing[0]} of layer {layer}{direction}.")
            weight_ih, weight_hh = found["weight_ih", layer, end], found["weight_hh", layer, end]
            weight_hr = found.get(("weight_hr", layer, end))
            if hidden is None:
                hidden = weight_hh.shape[-1] if weight_hr is None else weight_hr.shape[-1]
                n_blocks, projection = len(weight_ih) / hidden, None if weight_hr is None else len(weight_hr)
            arrays[f"weight_ih_l{layer}{end}"], arrays[f"weight_hh_l{layer}{end}"] = weight_ih, weight_hh
            zeros = np.zeros(len(weight_ih))
            biases = (found.get((kind, layer, end), zeros) for kind in ("bias_ih", "bias_hh"))
            arrays[f"bias_l{layer}{end}"] = join_biases(*biases, n_blocks)
            if weight_hr is not None:
                arrays[f"weight_hr_l{layer}{end}"] = weight_hr
    if n_blocks not in (1, 3, 4):
        raise ValueError(
            f"from_torch: weight_ih_l0 of layers has {len(arrays['weight_ih_l0'])} rows for {hidden} units, expected 4 "
            "(LSTM), 3 (GRU) or 1 (RNN) for each."
        )
    cell = {4: LSTM(projection_size=projection), 3: GRU(), 1: Elman(activation=activation)}[n_blocks]
    arrays |= {"weight_out": weight, "bias_out": bias}
    return FoundNetwork(arrays, cell, (hidden,) * n_layers, len(directions) > 1)
