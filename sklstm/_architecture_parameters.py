"""Parameters of the constructor that describe a network: types, defaults, limits and docs."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cache
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions

from sklstm._cell_choice import CellName, check_cell
from sklstm._docstrings import complete_docstring
from sklstm._validation.parameters import LARGEST_N_LAYERS
from sklstm.cells import Cell

# Units of a feedforward block for each output of its layer.
LARGEST_EXPANSION = 1000


@cache
def _parameter_names(kind):
    return BaseEstimator._get_param_names.__func__(kind)


# A data class, and each estimator too: the fields of a class come after those of its base, and make a constructor
# whose signature `inspect`, scikit-learn and type checkers see. Equality and `repr` stay scikit-learn's.
@dataclass(eq=False, repr=False)
class ArchitectureParameters(BaseEstimator):
    """Parameters of a network.

    Parameters
    ----------
    hidden_size : int or sequence of int, default=64
        Units of every layer, or of the first, the second, ... layer; multiples of 16 make the best use of the kernels.
    n_layers : int, default=1
        Number of stacked layers, each of which reads the output of the one below; 1 where `hidden_size` is a sequence.
    cell : str or object of `sklstm.cells`, default="lstm"
        Recurrent cell of each layer, by its name in lower case, such as "gru", or as an object of `sklstm.cells` with
        options of its kind, such as ``LSTM(peephole=True)``.
    bidirectional : bool, default=False
        Whether each layer also has a direction that reads the sequence from its last row to its first [Schuster1997]_.
    recurrent_constraint : {"spectral_norm", "scaled_orthogonal"} or None, default=None
        What each gate's matrix of `weight_hh` is held to in training: a largest singular value of at most .99 (above 64
        units to about a thousandth) [Miyato2018]_ [Miller2019]_, or a factor in (0, .99] times an orthogonal matrix,
        or nothing.
    residual : int, default=0
        Number of layers that each residual connection spans [He2016]_; 0 for none.
    output_gate : {"silu", "softmax"} or None, default=None
        Gate on the output of each layer, from what the layer reads: the SiLU of a linear map of it, as in Mamba and
        Griffin [Gu2023]_ [De2024]_, or a softmax over groups of units, which compete.
    compete_groups : int, default=1
        Number of groups of the softmax, a divisor of the size of every layer's output.
    norm : {"layer", "rms"} or None, default=None
        Normalisation of the output of each layer over its units, by mean and deviation [Ba2016]_ or by the root mean
        square [Zhang2019]_; inside the cell, its `layer_norm` does.
    norm_first : bool, default=False
        Whether a layer, and the head, normalise what they read, and residual connections add what is not normalised
        [Xiong2020]_; else the sum is normalised.
    feedforward : {"swiglu"} or None, default=None
        Feedforward block behind each layer, with a norm and a residual connection of its own [Shazeer2020]_.
    feedforward_expansion : float, default=2.6666666666666665
        Units of that block for each output of the layer; 8/3 gives it the weights of a plain one with 4.
    attention_heads : int, default=0
        Heads of a block of self-attention on the top layer [Vaswani2017]_, a divisor of the size of its output; 0 for
        no block.
    pooling : {"last", "mean", "attention"}, default="last"
        What the head reads of a sequence's steps: the last one, their mean, or their mean weighted by attention
        [Zhou2016a]_.
    patch_length : int, default=1
        Rows that the first layer reads at a time, which makes the recurrence so many times shorter [Lin2023]_.
    input_scaling : {"standard", "robust"} or None, default="standard"
        How the network standardises each column of X: by mean and standard deviation, by median and quartiles, or not.
    window_norm : {"last", "standard"} or None, default=None
        Normalisation of each input window: by its last row [Zeng2023]_ [Lin2023]_, by its own mean and standard
        deviation [Kim2022]_, or none.
    known_columns : int, str, array-like of such or None, default=None
        Columns of X, by position or name, that are known ahead (calendar, published forecasts, planned prices), which
        `window_norm` leaves as they are.
    linear_skip : int, default=0
        Number of last rows that the output also reads through a linear map [Lai2018]_, the ridge regression of the
        targets on these rows [Hoerl1970]_; 0 for none.
    linear_skip_training : {"frozen", "fine_tune"}, default="frozen"
        Whether that map stays the ridge regression, or is trained with a tenth of the step size.

    Notes
    -----
    **Samples.** Rows of a table X are consecutive time steps. The sample of row i is the window of the last
    `sequence_length` rows that end at i, inside its group; the first rows of a group have shorter windows. There is one
    prediction for each row, and no window looks ahead. A `sklstm.TimeOrderWarning` is issued where a pandas index shows
    rows out of time order. A sequence of a set (3-D array or list) is one sample.

    **Layers.** A layer computes, from its input x_t and its states of the step before, the equations of its `cell`,
    given in the docs of the objects in `sklstm.cells`; those of the LSTM are [Hochreiter1997]_ [Gers2000]_ ::

        i, f, o = sigmoid(W x_t + U h_(t-1) + b)        g = tanh(W x_t + U h_(t-1) + b)
        c_t = f * c_(t-1) + i * g                       h_t = o * tanh(c_t)

    The states start at zero at the first row of a sample's window. Without further options, the head, a linear map,
    reads h of the top layer after the window's last row.

    **Directions.** Both stand side by side, ``[h_forward; h_backward]``. A window still ends at its row: there, where
    ``pooling="last"`` reads, the backward direction of the top layer has just begun; the other poolings read all of it.

    **Recurrent constraint.** Before training and after each step of the solver, each gate's matrix U of `weight_hh` is
    replaced. "spectral_norm": by ``U min(1, .99 / s)`` with its largest singular value s, by power iteration that goes
    on from step to step and is repeated until it has converged at the end of each epoch. An Elman cell then forgets its
    start [Miller2019]_; of a cell with gates the bound holds for each gate, not for the recurrence as a whole.
    "scaled_orthogonal": by ``s Q`` with Q the polar factor of U [Absil2012]_ and ``s = tr(P' U) / n``, cut to
    ``0 < s <= .99``, for a step from a matrix with the factor P: training learns an orthogonal matrix and a factor for
    each gate, and h is passed on at one rate in all directions. It starts at .99. `spectral_radius_` tells what became
    of them.

    **Residual connections.** With ``residual=2`` the output of the first layer is added to that of the third, ``(h_3 +
    y_1) / sqrt(2)`` (eq. 1 of [He2016]_, which does not divide); where their sizes differ, y_1 goes through a linear
    map (eq. 2 there). The recurrent path is left alone.

    **Output gates.** With x_t the input of a layer and h_t its hidden states (of both directions), the gated states
    ``h_t * silu(W x_t)``, ``silu(a) = a sigmoid(a)``, or ``h_t * k softmax(W x_t)`` over each group of k units take the
    place of h_t in all that follows, but not in the recurrence. The factor k makes the gate 1 where all units of a
    group are equal.

    **Normalisation.** ``norm="layer"`` comes after this sum: ``gain (y - mean(y)) / sqrt(var(y) + 1e-5) + bias`` over
    the units (eq. 4 of [Ba2016]_), "rms" is ``gain y / sqrt(mean(y^2) + 1e-5)`` (eq. 4 of [Zhang2019]_). With
    `norm_first` the sum is ``h_3 + y_1``, and what reads a layer (the next one, attention, pooling, the head) reads
    ``N(y)``, with the same parameters: each layer normalises its own input inside its residual branch, and the head
    that of the last. The first layer reads the columns. ``feedforward="swiglu"`` turns y, after sum and norm, into ``y
    + W_out (silu(a) * b)`` with ``[a; b] = W_in N'(y)`` and ``silu(a) = a sigmoid(a)`` (eq. 6 of [Shazeer2020]_), N' a
    norm of its own ("rms" with ``norm=None``). Residual connections and dropout come after it. ``norm="rms",
    norm_first=True, residual=1, feedforward="swiglu"`` makes of each layer but the first the block that language models
    are made of.

    **Attention.** The block computes ``y + W_o [softmax(q k' / sqrt(d)) v]`` for heads of size d, with q, k, v from
    ``LN(y) + PE``, sines and cosines of the position (base 10000, counted from 0 at the sequence's own first step). A
    step sees itself and the steps before; all steps with `bidirectional`. ``pooling="attention"`` is ``sum_t a_t y_t``
    with ``a = softmax(w . tanh(y_t))``.

    **Inputs.** The network reads ``(x - input_mean_) / input_scale_``, computed in float64 and without a copy of X.
    Mean and deviation are those of the rows of the training part, each counted once; "robust" takes the median and the
    distance of the quartiles over 1.349 (as of a normal distribution), where the quartiles are equal the deviation.
    Patches end at the last row; where the first is not full, zeros stand for the rows that its window does not have.
    ``window_norm="last"`` subtracts the window's last row and divides by the deviation s of each column in the training
    data; "standard" subtracts the window's own mean and divides by ``sqrt(var + (s / 10)**2)``, so that a window that
    is nearly constant does not blow up; neither goes with ``sequence_length=1``. `known_columns` are read as without
    it, with ``input_scaling=None`` as they come. `linear_skip` adds ``W_skip
    [x_(T-q+1), ..., x_T]`` of the normalised window to the output; zeros stand for rows that do not exist.

    **Linear part.** Before training, `W_skip` and the bias of the output are set to the ridge regression of the targets
    on these windows, in float64, with the largest penalty (`ridge_penalty_`) whose squared error on the validation part
    is within a standard error of the smallest [Breiman1984]_, without a validation part by generalised cross-validation
    [Golub1979]_. The head starts at zero, so that the network learns what the ridge regression leaves over; if no epoch
    scores better by `tol` than it does alone (`skip_score_`), it alone is kept. After training it is solved once more,
    with the same penalty, on all samples: those that early stopping had set aside too, unless they came as `X_val`.
    Windows that lack some of these rows are left out of it if they are fewer than half. Of several quantiles, and of
    other losses than the squared error, it is the regression of the mean; of classes and labels that of 1 and 0, of
    counts that of ``log(y / mean(y) + 0.5)``, both times a factor that the loss chooses. "fine_tune" decays, by
    `weight_decay`, towards the ridge regression. `partial_fit` solves it on its first block.
    """

    hidden_size: int | Sequence[int] = 64
    n_layers: int = 1
    _: KW_ONLY
    cell: CellName | Cell = "lstm"
    bidirectional: bool = False
    recurrent_constraint: Literal["spectral_norm", "scaled_orthogonal"] | None = None
    residual: int = 0
    output_gate: Literal["silu", "softmax"] | None = None
    compete_groups: int = 1
    norm: Literal["layer", "rms"] | None = None
    norm_first: bool = False
    feedforward: Literal["swiglu"] | None = None
    feedforward_expansion: float = 8 / 3
    attention_heads: int = 0
    pooling: Literal["last", "mean", "attention"] = "last"
    patch_length: int = 1
    input_scaling: Literal["standard", "robust"] | None = "standard"
    window_norm: Literal["last", "standard"] | None = None
    known_columns: int | str | Sequence[int] | Sequence[str] | None = None
    linear_skip: int = 0
    linear_skip_training: Literal["frozen", "fine_tune"] = "frozen"

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "hidden_size": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "n_layers": [Interval(Integral, 1, LARGEST_N_LAYERS, closed="both")],
        "cell": "no_validation",  # by `check_cell`, whose errors say more
        "bidirectional": ["boolean"],
        "recurrent_constraint": [StrOptions({"spectral_norm", "scaled_orthogonal"}), None],
        "residual": [Interval(Integral, 0, None, closed="left")],
        "output_gate": [StrOptions({"silu", "softmax"}), None],
        "compete_groups": [Interval(Integral, 1, None, closed="left")],
        "norm": [StrOptions({"layer", "rms"}), None],
        "norm_first": ["boolean"],
        "feedforward": [StrOptions({"swiglu"}), None],
        "feedforward_expansion": [Interval(Real, 0, LARGEST_EXPANSION, closed="right")],
        "attention_heads": [Interval(Integral, 0, None, closed="left")],
        "pooling": [StrOptions({"last", "mean", "attention"})],
        "patch_length": [Interval(Integral, 1, None, closed="left")],
        "input_scaling": [StrOptions({"standard", "robust"}), None],
        "window_norm": [StrOptions({"last", "standard"}), None],
        "known_columns": [Interval(Integral, 0, None, closed="left"), str, "array-like", None],
        "linear_skip": [Interval(Integral, 0, None, closed="left")],
        "linear_skip_training": [StrOptions({"frozen", "fine_tune"})],
    }

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Complete the docstring by what the base says of the shared parameters."""
        super().__init_subclass__(**keywords)
        complete_docstring(cls, next(base for base in cls.__bases__ if issubclass(base, ArchitectureParameters)))

    @classmethod
    def _get_param_names(cls):
        """As scikit-learn's, which reads the signature at each call: a third of the time of a tiny fit."""
        return _parameter_names(cls)

    def _check_cell(self) -> Cell:
        """Return the cell as an object, after a check of its own parameters."""
        return check_cell(self.cell)

    def set_params(self, **params: Any) -> Self:
        """Set parameters, also those of the cell, such as ``cell__peephole``.

        Parameters
        ----------
        **params : dict
            Parameters by name; those of the cell's object have ``cell__`` before their name.

        Returns
        -------
        self : object
            The estimator.
        """
        cell = params.get("cell", self.cell)
        nested = [name for name in params if name.startswith("cell__")]
        if nested and not isinstance(cell, Cell):
            kind = type(check_cell(cell)).__name__  # which refuses what is no name
            raise ValueError(
                f"{nested[0]} cannot be set where cell={cell!r} is a name, which has no parameters; set an object of "
                f"sklstm.cells, cell={kind}()."
            )
        super().set_params(**params)
        return self
