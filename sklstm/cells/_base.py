"""Base of the recurrent cells: what all of them have."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval

from sklstm._docstrings import complete_docstring


# Data classes, as the estimators are: see `sklstm._parameters`.
@dataclass(kw_only=True, eq=False, repr=False)
class Cell(BaseEstimator):
    """Base of the recurrent cells, with the options that all of them have.

    It serves type hints and is no cell itself; cells of one's own are kernels and are added in the sources.

    Parameters
    ----------
    projection_size : int or None, default=None
        Size that h is projected to, smaller than the number of units [Sak2014]_; None for no projection.
    layer_norm : bool, default=False
        Whether the products inside the cell are normalised over their units [Ba2016]_.

    Notes
    -----
    **Options.** With `projection_size`, the network reads ``h_t = W_hr m_t`` of the vector m_t that the cell computes;
    where an equation takes the previous h element by element, it takes the previous m there. Cells with a second
    product, of what comes of h, such as `MGU`, ``GRU(reset_after=False)`` and `SecondOrder`, have no projection. With
    `layer_norm`, each of the two products of the equations, ``W x_t`` and ``U h_(t-1)``, is normalised to mean 0 and
    variance 1 over all its rows (1e-5 is added to the variance) and multiplied by a learnt gain for each row; the bias
    is added behind. A second product is normalised on its own.

    Examples
    --------
    >>> from sklstm.cells import LSTM
    >>> LSTM(projection_size=8).get_params()
    {'layer_norm': False, 'peephole': False, 'projection_size': 8}
    """

    # What stands for it in `cell`; empty: its class in lower case.
    _name: ClassVar[str] = ""

    projection_size: int | None = None
    layer_norm: bool = False

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "projection_size": [Interval(Integral, 1, None, closed="left"), None],
        "layer_norm": ["boolean"],
    }

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Complete the docstring by the options of the base."""
        super().__init_subclass__(**keywords)
        complete_docstring(cls, cls.__bases__[0], own_notes_first=True)

    def _kernel_name(self) -> str:
        """Return the key of the registry of cells that the options stand for."""
        raise NotImplementedError

    def _numbers(self) -> tuple[int, ...]:
        """Return the sizes of the cell's own state and the like, as its entry in the registry has them."""
        return ()

    def _recurrent_bound(self, n_steps: int) -> float | None:
        """Return the bound of the weights of single units in training on sequences of at most `n_steps` rows."""
        return None

    def _adjust_start(self, parameters: dict[str, Any], n_steps: int) -> None:
        """Change initial parameters in place for sequences of at most `n_steps` rows."""

    def _architecture(self) -> dict[str, Any]:
        """Return the fields of `Architecture` that the object, with valid parameters, stands for."""
        return {
            "cell": self._kernel_name(),
            "peephole": bool(getattr(self, "peephole", False)),
            "projection_size": int(self.projection_size or 0),
            "cell_norm": bool(self.layer_norm),
            "cell_numbers": self._numbers(),
        }


complete_docstring(Cell)
