"""Recurrent cells: small objects that name the cell of a network and hold the options of its kind.

`DeepRNNRegressor` and `DeepRNNClassifier` take one as their `cell`, or the name of its class in lower case. It is a
scikit-learn estimator without `fit`: its parameters are reached through the network, as in
``model.set_params(cell__peephole=True)`` or in the grid of a search.
"""

from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar, Literal

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions

from sklstm._docstrings import complete_docstring

__all__ = ["GRU", "LSTM", "MGU", "Cell", "Delta", "Elman", "IndRNN", "MinGRU", "MinLSTM"]


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
    where an equation takes the previous h element by element, it takes the previous m there. Cells that multiply h by a
    gate before its product, `MGU` and ``GRU(reset_after=False)``, have no projection. With `layer_norm`, each of the
    two products of the equations, ``W x_t`` and ``U h_(t-1)``, is normalised to mean 0 and variance 1 over all its rows
    (1e-5 is added to the variance) and multiplied by a learnt gain for each row; the bias is added behind. A product
    with an h that was multiplied by a gate, as in `MGU`, is normalised on its own.

    Examples
    --------
    >>> from sklstm.cells import LSTM
    >>> LSTM(projection_size=8).get_params()
    {'layer_norm': False, 'peephole': False, 'projection_size': 8}
    """

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

    def _architecture(self) -> dict[str, Any]:
        """Return the fields of `Architecture` that the object, with valid parameters, stands for."""
        return {
            "cell": self._kernel_name(),
            "peephole": bool(getattr(self, "peephole", False)),
            "projection_size": int(self.projection_size or 0),
            "cell_norm": bool(self.layer_norm),
        }


complete_docstring(Cell)


@dataclass(kw_only=True, eq=False, repr=False)
class LSTM(Cell):
    """Long short-term memory, with the states h and c.

    Parameters
    ----------
    peephole : bool, default=False
        Whether the gates also read c, through a weight for each unit [Gers2000a]_.

    Notes
    -----
    From its input x_t and its states of the step before, a layer computes [Hochreiter1997]_ [Gers2000]_ ::

        i, f, o = sigmoid(W x_t + U h_(t-1) + b)        g = tanh(W x_t + U h_(t-1) + b)
        c_t = f * c_(t-1) + i * g                       h_t = o * tanh(c_t)

    with one block of rows for each of i, f, g, o, in this order, in ``weight_ih`` (W), ``weight_hh`` (U) and ``bias``.
    The bias of the forget gate f starts at 1 [Jozefowicz2015]_. With `peephole`, ``p_i * c_(t-1)`` is added inside i,
    ``p_f * c_(t-1)`` inside f and ``p_o * c_t`` inside o. With `layer_norm`, c is normalised too where h is computed,
    ``h_t = o * tanh(LN(c_t))``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.cells import LSTM
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepRNNRegressor(8, cell=LSTM(peephole=True), max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> model.parameters_["weight_peephole_l0"].shape
    (3, 8)
    """

    peephole: bool = False

    _parameter_constraints: ClassVar[dict[str, Any]] = {**Cell._parameter_constraints, "peephole": ["boolean"]}

    def _kernel_name(self) -> str:
        return "lstm"


@dataclass(kw_only=True, eq=False, repr=False)
class GRU(Cell):
    """Gated recurrent unit, with the state h: three sums where the LSTM has four.

    Parameters
    ----------
    reset_after : bool, default=True
        Whether the reset gate is applied after the recurrent product, as in PyTorch and Keras, or before it.

    Notes
    -----
    From its input x_t and the state of the step before, a layer computes [Cho2014]_ ::

        r, z = sigmoid(W x_t + U h_(t-1) + b)
        n = tanh(W_n x_t + b_nx + r * (U_n h_(t-1) + b_nh))
        h_t = (1 - z) * n + z * h_(t-1)

    with blocks of rows r, z, n in ``weight_ih`` (W) and ``weight_hh`` (U), and r, z, n_x, n_h in ``bias``. Without
    `reset_after`, the form of the paper and the default of ONNX, ``n = tanh(W_n x_t + U_n (r * h_(t-1)) + b_n)``, and
    ``bias`` has the blocks r, z, n.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.cells import GRU
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepRNNRegressor(8, cell=GRU(layer_norm=True), max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> model.parameters_["weight_hh_l0"].shape
    (24, 8)
    """

    reset_after: bool = True

    _parameter_constraints: ClassVar[dict[str, Any]] = {**Cell._parameter_constraints, "reset_after": ["boolean"]}

    def _kernel_name(self) -> str:
        return "gru" if self.reset_after else "gru_reset_before"


@dataclass(kw_only=True, eq=False, repr=False)
class Elman(Cell):
    """Simple recurrent network of Elman, with the state h and no gate.

    Parameters
    ----------
    activation : {"tanh", "relu"}, default="tanh"
        Function of the sum.

    Notes
    -----
    From its input x_t and the state of the step before, a layer computes [Elman1990]_ ::

        h_t = tanh(W x_t + U h_(t-1) + b)

    or relu in place of tanh, with ``weight_ih`` (W), ``weight_hh`` (U) and ``bias``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.cells import Elman
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepRNNRegressor(8, cell=Elman(activation="relu"), max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> model.parameters_["weight_ih_l0"].shape
    (8, 3)
    """

    activation: Literal["tanh", "relu"] = "tanh"

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Cell._parameter_constraints,
        "activation": [StrOptions({"tanh", "relu"})],
    }

    def _kernel_name(self) -> str:
        return "elman" if self.activation == "tanh" else "elman_relu"


@dataclass(kw_only=True, eq=False, repr=False)
class MGU(Cell):
    """Minimal gated unit, with the state h: one gate that resets and updates.

    Notes
    -----
    From its input x_t and the state of the step before, a layer computes [Zhou2016]_ ::

        f = sigmoid(W_f x_t + U_f h_(t-1) + b_f)
        n = tanh(W_n x_t + U_n (f * h_(t-1)) + b_n)
        h_t = (1 - f) * h_(t-1) + f * n

    with blocks of rows f, n in ``weight_ih`` (W), ``weight_hh`` (U) and ``bias``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.cells import MGU
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepRNNRegressor(8, cell=MGU(), max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> model.parameters_["weight_hh_l0"].shape
    (16, 8)
    """

    def _kernel_name(self) -> str:
        return "mgu"


@dataclass(kw_only=True, eq=False, repr=False)
class Delta(Cell):
    """Cell with one update gate and a candidate of its own, with the state h.

    Notes
    -----
    From its input x_t and the state of the step before, a layer computes ::

        d = sigmoid(W_d x_t + U_d h_(t-1) + b_d)
        n = tanh(W_n x_t + U_n h_(t-1) + b_n)
        h_t = (1 - d) * h_(t-1) + d * n

    with blocks of rows d, n in ``weight_ih`` (W), ``weight_hh`` (U) and ``bias``: the GRU [Cho2014]_ without its reset
    gate, and the simplest cell whose gate reads both the input and the state.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.cells import Delta
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepRNNRegressor(8, cell=Delta(projection_size=4), max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> model.transform(X).shape
    (100, 4)
    """

    def _kernel_name(self) -> str:
        return "delta"


@dataclass(kw_only=True, eq=False, repr=False)
class _MinimalCell(Cell):
    """Cell whose gates and candidate read the input only.

    Parameters
    ----------
    candidate : {"positive", "tanh"}, default="positive"
        Function of the candidate's sum: one with positive values, as in the paper, or tanh.

    Notes
    -----
    There is no ``weight_hh``: all products are computed before the loop over time, which makes the cell fast, and
    `recurrent_dropout` and `weight_dropout` have nothing to act on.
    """

    candidate: Literal["positive", "tanh"] = "positive"

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Cell._parameter_constraints,
        "candidate": [StrOptions({"positive", "tanh"})],
    }


@dataclass(kw_only=True, eq=False, repr=False)
class MinGRU(_MinimalCell):
    """Gated recurrent unit whose gate and candidate read the input only, with the state h.

    Notes
    -----
    From its input x_t and the state of the step before, a layer computes [Feng2024]_ ::

        z = sigmoid(W_z x_t + b_z)
        n = g(W_n x_t + b_n)        g(a) = a + 1/2 if a >= 0 else sigmoid(a)
        h_t = (1 - z) * h_(t-1) + z * n

    or ``n = tanh(W_n x_t + b_n)``, with blocks of rows z, n in ``weight_ih`` (W) and ``bias``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.cells import MinGRU
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepRNNRegressor(8, cell=MinGRU(candidate="tanh"), max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> sorted(model.parameters_)
    ['bias_l0', 'bias_out', 'weight_ih_l0', 'weight_out']
    """

    def _kernel_name(self) -> str:
        return "mingru" if self.candidate == "positive" else "mingru_tanh"


@dataclass(kw_only=True, eq=False, repr=False)
class MinLSTM(_MinimalCell):
    """Long short-term memory whose gates and candidate read the input only, with the state h.

    Notes
    -----
    From its input x_t and the state of the step before, a layer computes [Feng2024]_ ::

        f, i = sigmoid(W x_t + b)
        n = g(W_n x_t + b_n)        g(a) = a + 1/2 if a >= 0 else sigmoid(a)
        h_t = f / (f + i) * h_(t-1) + i / (f + i) * n

    or ``n = tanh(W_n x_t + b_n)``, with blocks of rows f, i, n in ``weight_ih`` (W) and ``bias``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.cells import MinLSTM
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepRNNRegressor(8, cell=MinLSTM(candidate="tanh"), max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> sorted(model.parameters_)
    ['bias_l0', 'bias_out', 'weight_ih_l0', 'weight_out']
    """

    def _kernel_name(self) -> str:
        return "minlstm" if self.candidate == "positive" else "minlstm_tanh"


@dataclass(kw_only=True, eq=False, repr=False)
class IndRNN(Cell):
    """Independently recurrent network, with the state h: each unit reads no previous h but its own.

    Parameters
    ----------
    activation : {"relu", "tanh"}, default="relu"
        Function of the sum.

    Notes
    -----
    From its input x_t and the state of the step before, a layer computes [Li2018]_ ::

        h_t = relu(W x_t + u * h_(t-1) + b)

    or tanh in place of relu, with ``weight_ih`` (W), one recurrent weight a unit in ``weight_recurrent`` (u) and
    ``bias``. u starts uniform between 0 and 1: some units remember long, some briefly. Training may take one beyond
    1; with relu, its h then grows at every step. Units are mixed by the next layer only, so the paper stacks several.
    There is no ``weight_hh``: all products are computed before the loop over time, and `recurrent_dropout` and
    `weight_dropout` have nothing to act on.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepRNNRegressor
    >>> from sklstm.cells import IndRNN
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepRNNRegressor(8, cell=IndRNN(), n_layers=2, max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> model.parameters_["weight_recurrent_l0"].shape
    (1, 8)
    """

    activation: Literal["relu", "tanh"] = "relu"

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Cell._parameter_constraints,
        "activation": [StrOptions({"relu", "tanh"})],
    }

    def _kernel_name(self) -> str:
        return "indrnn" if self.activation == "relu" else "indrnn_tanh"
