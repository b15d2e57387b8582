"""The spectral radius of the recurrent matrices of a fitted network."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklstm._network.cells import CELLS


class SpectralRadiusMixin:
    """The attribute `spectral_radius_` of an estimator that has `parameters_`."""

    parameters_: dict[str, NDArray[Any]]

    @property
    def spectral_radius_(self) -> dict[str, NDArray[np.float64]]:
        """Spectral radius of the recurrent matrices, computed when it is asked for."""
        architecture = getattr(self, "_architecture", {"cell": None})
        if not any(name.startswith("weight_hh") for name in getattr(self, "parameters_", ())):
            raise AttributeError(
                f"this {type(self).__name__} has no spectral_radius_: it is not fitted, or its cell has no weight_hh."
            )
        if hasattr(self, "quantization_dtype_"):
            raise AttributeError(f"this {type(self).__name__} was quantised: ask the float model for spectral_radius_.")
        return spectral_radii(self.parameters_, architecture["cell"])


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
