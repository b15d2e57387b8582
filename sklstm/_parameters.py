"""Parameters of the constructor that all estimators with a network share: types, defaults, limits and docs."""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cache
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions

from sklstm._cell_choice import CellName, check_cell
from sklstm._docstrings import complete_docstring
from sklstm._dtypes import DTYPES
from sklstm._options import refuse_moved_values
from sklstm._scoring import check_scoring
from sklstm._training.optimizers import OPTIMIZERS
from sklstm._training.schedules import SCHEDULES
from sklstm._validation.parameters import LARGEST_N_LAYERS
from sklstm.cells import Cell

# Their outputs stand side by side in memory; far fewer gain what there is to gain.
LARGEST_N_SEEDS = 1000


@cache
def _parameter_names(kind):
    return BaseEstimator._get_param_names.__func__(kind)


# A data class, and each estimator too: the fields of a class come after those of its base, and make a constructor
# whose signature `inspect`, scikit-learn and type checkers see. Equality and `repr` stay scikit-learn's.
@dataclass(eq=False, repr=False)
class NetworkParameters(BaseEstimator):
    """Parameters of a network and of its training.

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
    residual : int, default=0
        Number of layers that each residual connection spans [He2016]_; 0 for none.
    layer_norm : {"output"} or None, default=None
        Whether the output of each layer is normalised over its units [Ba2016]_; inside the cell, its `layer_norm` does.
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
    training : {"windows", "stateful"}, default="windows"
        Whether the network reads a window for each row of a table, or each series from its first row to its last with
        its states carried along, in `predict` too.
    targets : {"sample", "sequence"}, default="sample"
        Whether y holds one target for each row of a table, or for each sequence of a set, or one for each row of each
        sequence of a set.
    sequence_length : int, default=32
        Rows in the window of a row of a table, the row itself included; sets of sequences (3-D or list) are used as
        they are.
    bptt_steps : int, default=32
        Rows over which gradients are propagated back with ``training="stateful"`` [Williams1990]_.
    dropout : float, default=0.0
        Share of the outputs of a layer that are set to zero on the way to the next one in training [Zaremba2014]_.
    recurrent_dropout : float, default=0.0
        Share of h that is set to zero in the recurrent products in training, the same units at each step of a sequence
        [Gal2016]_.
    weight_dropout : float, default=0.0
        Share of the recurrent weights `weight_hh` that are set to zero for a batch [Merity2018]_.
    zoneout : float, default=0.0
        Share of the units whose states keep their previous values, drawn at each step of training [Krueger2017]_.
    weight_init : {"glorot", "he"}, default="glorot"
        Distribution of the initial weights of inputs and head, of Glorot and Bengio [Glorot2010]_ or of He et al.
        [He2015]_.
    solver : {"adamw", "adam", "sgd", "schedule_free"}, default="adamw"
        Optimizer: AdamW [Loshchilov2019]_, Adam [Kingma2015]_, gradient descent with momentum 0.9, or schedule-free
        AdamW [Defazio2024]_.
    learning_rate_init : float, default=1e-3
        Step size of the solver; of a schedule the largest.
    learning_rate : {"constant", "linear_warm_up", "cosine", "cosine_restarts", "one_cycle", "reduce_on_plateau"}, \
default="constant"
        Schedule of the step size over the `max_iter` epochs.
    weight_decay : float, default=0.01
        Decay of all matrices, of weights of single units (peepholes, those of IndRNN) and of the vector of pooling,
        decoupled from the gradient but for ``solver="adam"``.
    max_grad_norm : float, "adaptive" or None, default=1.0
        Global norm that larger gradients are scaled down to [Pascanu2013]_; "adaptive" for the mean plus three standard
        deviations of the norms so far, None for no limit.
    batch_size : int or "auto", default="auto"
        Samples in a batch; "auto" for ``n_samples // 32``, at least 8 and at most 128.
    accumulation_steps : int, default=1
        Batches whose gradients are added up to one step of the solver.
    max_iter : int, default=100
        Largest number of epochs.
    shuffle : bool or "blocks", default=True
        Whether the samples of a batch are drawn from the whole training part, as blocks of 32 neighbours, or in order.
    early_stopping : bool or "auto", default="auto"
        Whether the last samples in time are set aside, and training stops when their score no longer improves; "auto"
        for True from 200 samples on.
    validation_fraction : float, default=0.1
        Share of the samples, of each group, that are set aside.
    scoring : str, callable or None, default=None
        Score of the validation part that decides about early stopping and the best epoch: a name or a scorer of
        scikit-learn, a callable ``scoring(estimator, X, y)``, or None for the share of the loss that is explained.
    n_iter_no_change : int, default=10
        Epochs in a row without improvement before training stops.
    tol : float, default=1e-4
        Smallest improvement that counts, of the validation score or, without early stopping, of the training loss.
    n_seeds : int, default=1
        Networks that are trained alike, each from a seed of its own, and whose answers are averaged.
    warm_start : bool, default=False
        Whether `fit` goes on from the parameters of the last `fit`.
    carry_context : bool, default=False
        Whether the last ``sequence_length - 1`` training rows of each group are kept as the `context` of later calls.
    dtype : {"float32", "float64", "bfloat16"}, default="float32"
        Precision of the network: float64 is for reference results and several times slower, "bfloat16" trains layers of
        64 units and more faster on a CPU that has AVX512_BF16.
    n_jobs : int or None, default=None
        Number of threads, negative ones counted back from the cores; None for the environment variable
        ``SKLSTM_NUM_THREADS`` or the cores of the process.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial parameters, the order of the samples and dropout.
    verbose : bool or int, default=False
        Whether a line is printed for each epoch: losses, validation score, seconds, and the time left at this pace.

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

    **Residual connections.** With ``residual=2`` the output of the first layer is added to that of the third, ``(h_3 +
    y_1) / sqrt(2)`` (eq. 1 of [He2016]_, which does not divide); where their sizes differ, y_1 goes through a linear
    map (eq. 2 there). ``layer_norm="output"`` comes after this sum: ``gain (y - mean(y)) / sqrt(var(y) + 1e-5) +
    bias`` over the units (eq. 4 of [Ba2016]_). The recurrent path is left alone.

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

    **Stateful training.** Each row of a series is read once an epoch, the states are carried, and gradients go back at
    most `bptt_steps` rows. It needs a table and ``shuffle=False``. `batch_size` is how many segments run side by side
    ("auto": at most 32, of at least ``32 * bptt_steps`` rows), of more series than that so many after each other; each
    starts from zero states in every epoch.

    **Targets at every step.** With ``targets="sequence"`` X is a set of sequences, y holds a target (or several) for
    each row of each of them, as a list of arrays or an array with the axes of X, and so do the answers of `predict` and
    the like. Targets that are NaN, of labels also None, are missing: their rows are read, but neither trained on nor
    scored. A batch is `batch_size` whole sequences ("auto": the 32nd part of all, 1 to 32), gradients go back to their
    first rows, and losses and scores are means over all steps. An answer reads the rows up to its own, with
    `bidirectional` all rows of its sequence.

    **Regularisation.** What dropout leaves is scaled up (inverted dropout). `dropout` needs two layers,
    `recurrent_dropout` sequences of more than one step. With `zoneout`, predictions take the mean, ``zoneout * c_(t-1)
    + (1 - zoneout) * c_t``, likewise for h. For ``solver="adam"``, `weight_decay` is an L2 penalty; biases, gains and
    shifts never decay.

    **Initial weights.** Uniform within ``sqrt(6 / (fan_in + fan_out))`` ("glorot") or ``sqrt(6 / fan_in)`` ("he") for
    inputs, head and other maps, each gate a matrix of its own; orthogonal for recurrent weights, within 0 and 1 for
    those of IndRNN. The bias of the LSTM's forget gate [Jozefowicz2015]_ and the gains of normalisations are 1, all
    else is 0.

    **Step size.** "linear_warm_up" rises from 0 over the first twentieth of the steps [Goyal2017]_; "cosine" falls to
    0 by half a cosine; "cosine_restarts" does so over 10 epochs, then anew over 20, 40, ... [Loshchilov2017]_ (cycles
    end at epochs 10, 30, 70, 150; epoch 100 ends at .69 of it); "one_cycle" rises from 1/25 over three tenths of the
    steps and falls to 1/250,000 by half cosines [Smith2019]_, to the step as PyTorch's `OneCycleLR`;
    "reduce_on_plateau" is halved after ``n_iter_no_change // 2`` epochs without improvement. `partial_fit` goes on with
    "constant" and "reduce_on_plateau"; the others need to know `max_iter`. Steps are counted after accumulation, which
    is as one batch so many times as large, in the memory of one. "schedule_free" predicts with a running mean of its
    weights and wants a larger step size. ``max_grad_norm="adaptive"`` does not clip the first ten steps.

    **Early stopping.** The last samples in time are set aside; of a list of sequences the last ones, of every class (of
    those with targets at every step, the last ones whole).
    Between training and validation part ``sequence_length - 1`` rows are left out, so that no validation window holds a
    training row; none in stateful training, whose states go on. "auto" trains on all samples if the rows left out would
    be more than a quarter. The best epoch's parameters are restored. Without early stopping, training stops when the
    training loss (`loss_curve_`) no longer improves. Each epoch is compared with the best before it, as in
    scikit-learn's MLP: gains below `tol` do not add up. A "cosine" or "one_cycle" is run to its end.

    **Scoring.** A scorer ("matthews_corrcoef", "neg_mean_absolute_error", a callable) is called after each epoch, the
    greater the better, with an estimator that answers by `predict`, `predict_proba` and the like for the validation
    part, with its X (the samples' rows as an array, or a list of sequences) and its y in the unit of the user, and with
    ``sample_weight=`` if its samples differ in weight (`class_weight` does not count). `tol` is in the unit of the
    score. What the scorer raises ends the fit, which then has changed nothing.

    **Several seeds.** With ``n_seeds=5`` five networks see the same samples; initial weights, order and dropout differ.
    Their seeds are drawn from `random_state`, and the first network is the one of ``n_seeds=1``. Early stopping keeps
    the best epoch of each. Regressors answer with the mean of their numbers (of each quantile), classifiers with the
    mean of their probabilities [Hansen1990]_. The attributes of the estimator are those of the first network,
    `other_networks_` holds the others'. They are trained side by side by `n_jobs` threads in total, each with a
    workspace of its own. Size of a pickle, time to predict and a step of a stream are `n_seeds` times those of one.

    **Carried rows.** With `carry_context`, the X of `predict` is taken as what follows the training table, row after
    row, as this estimator saw it (in a pipeline: scaled and selected); with groups, each group of X follows the rows of
    its label, and a new one begins with X. This makes `TimeSeriesSplit` folds exact through a pipeline, if its `gap` is
    0. Rows of the training table, or rows after a gap, would be given wrong windows. Off by default: the pickle then
    holds no training row. Not with ``training="stateful"``.

    **bfloat16.** ``dtype="bfloat16"`` rounds what the products of the recurrent layers multiply (x, h, their weights,
    and in backward the gradients of the sums) to the 8 significant bits of bfloat16 [Kalamkar2019]_. Everything else is
    float32: the sums of the products, c and the gates, the weights that the solver updates (`parameters_`) and its
    moments, sums of gradients, head, attention, projection, maps of residual connections. At the start of training a
    gradient is some .3 % from that in float64, which costs a model less than another seed does. What forward keeps for
    backward takes 16 bits, hence less memory, but for layers with an option of their cell, `zoneout` or
    `recurrent_dropout`. It pays from 64 units on, on a CPU with AVX512_BF16; without, the numbers are the same, but
    slower than float32, which a `sklstm.PerformanceWarning` says.

    **Threads, memory.** The results are the same bits for any `n_jobs`; the same seed gives the same bits on the same
    instruction set, with "bfloat16" on all. Windows are never copied out of the table: memory during `fit` is the table
    plus a workspace that depends on the batch.
    """

    hidden_size: int | Sequence[int] = 64
    n_layers: int = 1
    _: KW_ONLY
    cell: CellName | Cell = "lstm"
    bidirectional: bool = False
    residual: int = 0
    layer_norm: Literal["output"] | None = None
    attention_heads: int = 0
    pooling: Literal["last", "mean", "attention"] = "last"
    patch_length: int = 1
    input_scaling: Literal["standard", "robust"] | None = "standard"
    window_norm: Literal["last", "standard"] | None = None
    known_columns: int | str | Sequence[int] | Sequence[str] | None = None
    linear_skip: int = 0
    linear_skip_training: Literal["frozen", "fine_tune"] = "frozen"
    training: Literal["windows", "stateful"] = "windows"
    targets: Literal["sample", "sequence"] = "sample"
    sequence_length: int = 32
    bptt_steps: int = 32
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    weight_dropout: float = 0.0
    zoneout: float = 0.0
    weight_init: Literal["glorot", "he"] = "glorot"
    solver: Literal["adamw", "adam", "sgd", "schedule_free"] = "adamw"
    learning_rate_init: float = 1e-3
    learning_rate: Literal[
        "constant", "linear_warm_up", "cosine", "cosine_restarts", "one_cycle", "reduce_on_plateau"
    ] = "constant"
    weight_decay: float = 0.01
    max_grad_norm: float | Literal["adaptive"] | None = 1.0
    batch_size: int | Literal["auto"] = "auto"
    accumulation_steps: int = 1
    max_iter: int = 100
    shuffle: bool | Literal["blocks"] = True
    early_stopping: bool | Literal["auto"] = "auto"
    validation_fraction: float = 0.1
    scoring: str | Callable[..., Any] | None = None
    n_iter_no_change: int = 10
    tol: float = 1e-4
    n_seeds: int = 1
    warm_start: bool = False
    carry_context: bool = False
    dtype: Literal["float32", "float64", "bfloat16"] = "float32"
    n_jobs: int | None = None
    random_state: int | np.random.RandomState | None = None
    verbose: bool | int = False

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "hidden_size": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "n_layers": [Interval(Integral, 1, LARGEST_N_LAYERS, closed="both")],
        "cell": "no_validation",  # by `check_cell`, whose errors say more
        "bidirectional": ["boolean"],
        "residual": [Interval(Integral, 0, None, closed="left")],
        "layer_norm": [StrOptions({"output"}), None],
        "attention_heads": [Interval(Integral, 0, None, closed="left")],
        "pooling": [StrOptions({"last", "mean", "attention"})],
        "patch_length": [Interval(Integral, 1, None, closed="left")],
        "input_scaling": [StrOptions({"standard", "robust"}), None],
        "window_norm": [StrOptions({"last", "standard"}), None],
        "known_columns": [Interval(Integral, 0, None, closed="left"), str, "array-like", None],
        "linear_skip": [Interval(Integral, 0, None, closed="left")],
        "linear_skip_training": [StrOptions({"frozen", "fine_tune"})],
        "training": [StrOptions({"windows", "stateful"})],
        "targets": [StrOptions({"sample", "sequence"})],
        "sequence_length": [Interval(Integral, 1, None, closed="left")],
        "bptt_steps": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "recurrent_dropout": [Interval(Real, 0, 1, closed="left")],
        "weight_dropout": [Interval(Real, 0, 1, closed="left")],
        "zoneout": [Interval(Real, 0, 1, closed="left")],
        "weight_init": [StrOptions({"glorot", "he"})],
        "solver": [StrOptions(set(OPTIMIZERS))],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "learning_rate": [StrOptions(set(SCHEDULES))],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "max_grad_norm": [Interval(Real, 0, None, closed="neither"), StrOptions({"adaptive"}), None],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "accumulation_steps": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean", StrOptions({"blocks"})],
        "early_stopping": [StrOptions({"auto"}), "boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "scoring": [str, callable, None],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_seeds": [Interval(Integral, 1, LARGEST_N_SEEDS, closed="both")],
        "warm_start": ["boolean"],
        "carry_context": ["boolean"],
        "dtype": [StrOptions(set(DTYPES))],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Complete the docstring by what the base says of the shared parameters."""
        super().__init_subclass__(**keywords)
        complete_docstring(cls, next(base for base in cls.__bases__ if issubclass(base, NetworkParameters)))

    @classmethod
    def _get_param_names(cls):
        """As scikit-learn's, which reads the signature at each call: a third of the time of a tiny fit."""
        return _parameter_names(cls)

    def _validate_params(self):
        """Check the parameters of the constructor, as `fit` does before all else."""
        refuse_moved_values(self.get_params(deep=False))
        super()._validate_params()
        self._check_cell()
        check_scoring(self.scoring)

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
