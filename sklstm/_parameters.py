"""Parameters of the constructor that all estimators with a network share: types, defaults, limits and docs."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from sklstm._architecture_parameters import ArchitectureParameters
from sklstm._callbacks.support import CallbackSupport
from sklstm._dtypes import DTYPES
from sklstm._options import refuse_moved_values
from sklstm._scoring import check_scoring
from sklstm._training.optimizers import OPTIMIZERS
from sklstm._training.schedules import SCHEDULES

# Their outputs stand side by side in memory; far fewer gain what there is to gain.
LARGEST_N_SEEDS = 1000


@dataclass(eq=False, repr=False)
class NetworkParameters(CallbackSupport, ArchitectureParameters):
    """Parameters of a network and of its training.

    Parameters
    ----------
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
    weight_decay : float or "auto", default="auto"
        Decay of all matrices, of weights of single units (peepholes, those of IndRNN) and of the vector of pooling,
        decoupled from the gradient but for ``solver="adam"``; "auto" by the number of steps, 0.01 of classes.
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
    shifts never decay. A step takes ``learning_rate_init * weight_decay`` of a weight. Of numbers, "auto" is ``1 /
    (learning_rate_init * max(1000, 30 * steps))`` with the solver's steps in an epoch, so that weights are about the
    sum of the updates of 30 epochs [Wang2024]_ or 1000 steps, and at most 1; of classes, and with "adam", it is 0.01.
    `partial_fit` goes on with that of its first call.

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

    _: KW_ONLY
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
    weight_decay: float | Literal["auto"] = "auto"
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
        **ArchitectureParameters._parameter_constraints,
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
        "weight_decay": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
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

    # What callbacks ask for.
    _trains_in_epochs: ClassVar[bool] = True

    def _validate_params(self):
        """Check the parameters of the constructor, as `fit` does before all else."""
        refuse_moved_values(self.get_params(deep=False))
        super()._validate_params()
        self._check_cell()
        check_scoring(self.scoring)
