"""Low rank: what reads a layer's h is replaced by the product of two factors, the first a projection of h."""

import numpy as np
from sklearn.base import clone
from sklearn.utils.extmath import randomized_svd

from sklstm._cell_choice import check_cell
from sklstm._network.cells import CELLS
from sklstm._network.parameters import ParameterLayout
from sklstm._options import describe_network

# Options whose part of the network is not linear in h: it does not commute with a projection.
_NOT_LINEAR = {
    "norm": "it normalises h over its units",
    "feedforward": "its blocks normalise h over its units",
    "output_gate": "it multiplies h unit by unit",
    "attention_heads": "it normalises h over its units",
    "residual": "it adds outputs of layers that would have projections of their own",
}


def refuse_network(model, rank):
    """Raise a ValueError for a network that cannot be factorised, or is not the one its parameters describe."""
    shape = model._architecture
    given = f"cell={model.cell!r}"
    if shape["projection_size"]:
        raise ValueError(f"factorize: {given} has a projection already, of size {shape['projection_size']}.")
    if not CELLS[shape["cell"]].projects:
        raise ValueError(
            f"factorize: {given} has no projection: the cell multiplies h, or its product, unit by unit by others "
            "before a second product."
        )
    if model.recurrent_constraint is not None:
        raise ValueError(
            f"factorize cannot be combined with recurrent_constraint={model.recurrent_constraint!r}: it is that of a "
            "matrix, not of two factors. Set recurrent_constraint=None."
        )
    for name, why in _NOT_LINEAR.items():
        if shape[name]:
            # The network has the expansion of its blocks, not their kind.
            value = "swiglu" if name == "feedforward" else shape[name]
            raise ValueError(f"factorize cannot be combined with {name}={value!r}: {why}.")
    if shape["pooling"] == "attention":
        raise ValueError("factorize cannot be combined with pooling='attention': it takes the tanh of h.")
    if "pruned" in model._training_state:
        raise ValueError(
            "factorize: the model was pruned, and factors of a matrix of zeros are dense. Factorize first, then prune."
        )
    fewest = min(shape["hidden_sizes"])
    if rank >= fewest:
        raise ValueError(f"rank={rank} must be smaller than hidden_size, but a layer has {fewest} units.")
    names = getattr(model, "feature_names_in_", None)
    n_outputs = shape["n_outputs"]
    wanted = describe_network(model.get_params(deep=False), model.n_features_in_, n_outputs, names, shape["horizon"])
    if wanted != shape:
        raise ValueError("factorize: parameters were set after fit, and describe another network; set them back.")


def projected_cell(cell, rank):
    """Return a cell as an object with this projection."""
    return clone(check_cell(cell)).set_params(projection_size=rank)


def projected_layout(layout, rank):
    """Return the layout with projections; ValueError where it has no fewer multiplications."""
    projected = ParameterLayout(**{**vars(layout.architecture), "projection_size": rank})
    before, after = multiplications(layout), multiplications(projected)
    if after >= before:
        largest = _largest_rank(layout)
        other = f"The largest rank that saves some is {largest}." if largest else "No other rank does either."
        raise ValueError(
            f"rank={rank} saves no operations: a step takes {after} multiplications with the two factors and {before} "
            f"without. {other}"
        )
    return projected


def multiplications(layout):
    """Return the multiplications of one step and one answer: one for each weight of a matrix."""
    return sum(p.end - p.begin for p in layout.parameters if p.name.startswith("weight_"))


def _largest_rank(layout):
    """Return the largest rank that saves multiplications, 0 if there is none."""
    shape = vars(layout.architecture)
    with_one, with_two = (multiplications(ParameterLayout(**{**shape, "projection_size": rank})) for rank in (1, 2))
    # The number grows by the same amount with each rank.
    return max(0, (multiplications(layout) - with_one - 1) // (with_two - with_one) + 1)


def factorized(layout, projected, parameters, seed):
    """Return the arrays of the projected network, and the relative error of each layer.

    Parameters
    ----------
    layout, projected : ParameterLayout
        Of the network as it is, and with projections.
    parameters : dict of str to ndarray
    seed : int
        Of the random range finder.

    Returns
    -------
    arrays : dict of str to ndarray
        In float64 where they are new.
    errors : ndarray of shape (n_layers,)
        Frobenius norm of what is lost over that of all weights that read h of the layer.
    """
    shape, rank = layout.architecture, projected.architecture.projection_size
    arrays = {p.name: parameters.get(p.name) for p in projected.parameters}
    arrays |= {p.name: np.zeros(p.shape) for p in projected.parameters if np.shape(arrays[p.name]) != p.shape}
    errors = []
    for layer in range(shape.n_layers):
        lost = total = 0.0
        for k, suffix in enumerate(shape.directions):
            readers = _readers(shape, layer, k, suffix)
            hidden = shape.hidden_sizes[layer]
            joint = np.concatenate([parameters[name][:, at * hidden :][:, :hidden] for name, at in readers.items()])
            joint = joint.astype(np.float64)
            directions = _leading_directions(joint, rank, seed)
            arrays[f"weight_hr_l{layer}{suffix}"] = directions
            parts = np.split(joint @ directions.T, np.cumsum([len(arrays[name]) for name in readers])[:-1])
            for part, (name, at) in zip(parts, readers.items(), strict=True):
                arrays[name][:, at * rank : (at + 1) * rank] = part
            lost += np.sum((joint - joint @ directions.T @ directions) ** 2)
            total += np.sum(joint**2)
        errors.append(np.sqrt(lost / total) if total > 0 else 0.0)
    return arrays, np.array(errors)


def _readers(shape, layer, k, suffix):
    """Return the names of the weights that read h of direction k of a layer, and in which block of columns."""
    readers = {f"weight_hh_l{layer}{suffix}": 0} if CELLS[shape.cell].has_weight_hh else {}
    if layer + 1 == shape.n_layers:
        return {**readers, "weight_out": k}
    return {**readers, **{f"weight_ih_l{layer + 1}{name}": k for name in shape.directions}}


def _leading_directions(joint, rank, seed):
    """Return the first right singular vectors of a matrix, in rows."""
    if rank >= min(joint.shape):
        return np.linalg.svd(joint, full_matrices=True)[2][:rank]
    return randomized_svd(joint, rank, n_oversamples=10, n_iter=2, random_state=seed)[2]
