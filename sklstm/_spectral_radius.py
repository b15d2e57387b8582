"""The spectral radius of the recurrent matrices of a fitted network."""

import numpy as np

from sklstm._network.cells import CELLS


def spectral_radii(parameters, cell):
    """Return the spectral radius of each gate's matrix of each layer and direction.

    Parameters
    ----------
    parameters : dict of str to ndarray
        Of a network, by name.
    cell : str
        Name in the kernels.

    Returns
    -------
    dict of str to ndarray of shape (n_gates,)
        By the name of the weights; where h is a projection, of the product with it.
    """
    n_gates, radii = len(CELLS[cell].gates_h), {}
    for name, array in parameters.items():
        if not name.startswith("weight_hh"):
            continue
        gates = array.reshape(n_gates, -1, array.shape[1]).astype(np.float64)
        projection = parameters.get(name.replace("weight_hh", "weight_hr"))
        if projection is not None:
            gates = projection.astype(np.float64) @ gates
        radii[name] = np.abs(np.linalg.eigvals(gates)).max(axis=1)
    return radii
