"""Smaller models: weights that are zero, a small network taught by a large one, and matrices of low rank."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, InvalidParameterError, StrOptions

from sklstm._base import BaseRNN
from sklstm._compression.distillation import fit_student
from sklstm._compression.low_rank import (
    factorized,
    multiplications,
    projected_cell,
    projected_layout,
    refuse_network,
)
from sklstm._compression.models import check_model, checked_layout, fitted_copy, set_parameters
from sklstm._compression.pruning import pruned_bits, sparsity, zero_training_state
from sklstm._fit_inputs import Given
from sklstm._fitted import empty_network
from sklstm._options import refuse_orthogonal_zeros
from sklstm._seeds import join, singles
from sklstm._training.recurrent_constraints import hold_constraint
from sklstm._typing import checks_arguments

__all__ = ["distill", "factorize", "prune"]

Model = TypeVar("Model", bound=BaseRNN)

# Probabilities at higher ones differ by less than float32 tells apart, and T^2 makes the rounding count.
LARGEST_TEMPERATURE = 1000


@checks_arguments(
    {
        "fraction": [Interval(Real, 0, 1, closed="left")],
        "threshold": [StrOptions({"global", "matrix"})],
    }
)
def prune(model: Model, fraction: float, *, threshold: Literal["global", "matrix"] = "global") -> Model:
    """Set the smallest weights of a fitted model to zero.

    They stay zero while `partial_fit` goes on, and in a `fit` with `warm_start`. This makes a compressed file smaller,
    and no prediction faster: the kernels multiply by zeros as by other numbers.

    Parameters
    ----------
    model : DeepRNNRegressor or DeepRNNClassifier
        Fitted; it is not changed.
    fraction : float
        Share of the weights that are zero afterwards, at least 0 and below 1.
    threshold : {"global", "matrix"}, default="global"
        Whether all weights are compared with one threshold, or those of each matrix with one of their own.

    Returns
    -------
    DeepRNNRegressor or DeepRNNClassifier
        A fitted copy, of the class of `model`, with the attribute `sparsity_`.

    Raises
    ------
    TypeError
        If `model` is no estimator with a network.
    ValueError
        If it is not fitted (`NotFittedError`), or an argument is not as described.

    See Also
    --------
    distill : Train a small network instead.
    factorize : Replace matrices by products of two smaller ones.

    Notes
    -----
    Pruned are the weights smallest in magnitude [1]_, of all matrices: inputs, recurrent weights, projections, linear
    maps of residual connections, attention and head. Biases, normalisations, weights of single units (peepholes, those
    of IndRNN, the vector of pooling) and the ridge regression of `linear_skip` never are. `sparsity_` is the share of
    zeros among the weights of the matrices.

    A weight that was pruned stays so: of a model that is pruned twice, the larger fraction counts. That permits gradual
    pruning [2]_, some more weights after each `partial_fit`. A `fit` without `warm_start` trains all weights anew.
    `loss_curve_` and the like tell of the training before. Of several networks (`n_seeds`), each is pruned by itself.

    One threshold for all matrices lets those with large weights keep more of them. At fractions of .8 and more that
    cost much less accuracy than a threshold for each matrix, on the sets with labels that were measured
    (doc/studies/compression.md).

    References
    ----------
    .. [1] S. Han, J. Pool, J. Tran and W. J. Dally, "Learning both weights and connections for efficient neural
       networks", NeurIPS 2015.
    .. [2] M. Zhu and S. Gupta, "To prune, or not to prune: exploring the efficacy of pruning for model compression",
       arXiv:1710.01878, 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepLSTMRegressor
    >>> from sklstm.compression import prune
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> model = DeepLSTMRegressor(hidden_size=8, max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> pruned = prune(model, 0.75)
    >>> pruned.sparsity_
    0.75
    >>> int((pruned.partial_fit(X, X[:, 0]).parameters_["weight_hh_l0"] == 0).sum()) > 100
    True
    """
    check_model(model, "prune")
    refuse_orthogonal_zeros(model.recurrent_constraint)
    result = fitted_copy(model)
    layout = checked_layout(result, "prune")
    models = singles(result)
    for one in models:
        _prune_network(one, layout, fraction, threshold)
    join(result, models)
    return result


def _prune_network(model, layout, fraction, threshold):
    """Prune the one network of a model, in place."""
    flat = layout.flatten(model.parameters_, model.parameters_["weight_out"].dtype).copy()
    state = model._training_state
    before = np.unpackbits(state["pruned"], count=layout.size).astype(bool) if "pruned" in state else None
    pruned = pruned_bits(layout, flat, fraction, threshold, before)
    flat[pruned] = 0.0
    if model.recurrent_constraint is not None:
        # A matrix may be larger without some of its numbers.
        network = empty_network(model, layout, model.dtype)
        network.load(flat)
        hold_constraint(network, model.recurrent_constraint)
        flat = network.from_panels(network.weights)
    set_parameters(model, layout, flat)
    model._training_state = {**zero_training_state(state, pruned), "pruned": np.packbits(pruned)}
    model.sparsity_ = sparsity(layout, pruned)


@checks_arguments(
    {
        "temperature": [Interval(Real, 0, LARGEST_TEMPERATURE, closed="right")],
        "alpha": [Interval(Real, 0, 1, closed="both")],
    }
)
def distill(
    teacher: Any,
    student: Model,
    X: ArrayLike,
    y: ArrayLike | None = None,
    *,
    temperature: float = 2.0,
    alpha: float = 0.5,
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    X_val: ArrayLike | None = None,
    y_val: ArrayLike | None = None,
    sample_weight_val: ArrayLike | None = None,
    groups_val: ArrayLike | None = None,
) -> Model:
    """Fit a small network to the answers of a larger model.

    Parameters
    ----------
    teacher : estimator
        Fitted, with `predict_proba` and `classes_` for a student that classifies, else with `predict`: a network, an
        ensemble, a pipeline or any other model that takes the same X.
    student : DeepRNNRegressor or DeepRNNClassifier
        What is cloned and fitted.
    X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
        As in `fit`.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Targets; None to learn from the teacher alone.
    temperature : float, default=2.0
        What the logits of both classifiers are divided by where they are compared, at most 1000: the higher, the more
        the small probabilities count.
    alpha : float, default=0.5
        Share of y in what is learnt, from 0 to 1; without y it is 0.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        As in `fit`.
    groups : array-like of shape (n_samples,), default=None
        One label per row of a table; the teacher gets them too if its method takes them.
    X_val, y_val, sample_weight_val, groups_val : array-like, default=None
        A validation part of your own, as in `fit`; without `y_val` it is measured by the teacher.

    Returns
    -------
    DeepRNNRegressor or DeepRNNClassifier
        A fitted clone of `student`. It needs no teacher any more.

    Raises
    ------
    TypeError
        If `student` is no estimator with a network, or `teacher` no estimator.
    ValueError
        If the teacher is not fitted (`NotFittedError`), has not the method that is needed, or does not know a class of
        y; or as in `fit`.

    See Also
    --------
    prune : Set weights of a fitted network to zero.
    factorize : Replace matrices by products of two smaller ones.

    Notes
    -----
    **Classifiers** learn by the loss ::

        alpha CE(y, student) + (1 - alpha) T^2 KL(teacher_T || student_T)

    with the cross-entropy CE and, at the temperature T, the Kullback-Leibler divergence of ``softmax(logits / T)``
    [1]_. Of the teacher the logits are the logarithms of its probabilities, by `predict_log_proba` where it has it,
    which gives the same distribution. Columns are matched by `classes_`, and the student gets all classes of the
    teacher. `class_weight` of the student weighs both terms by the class in y, or else by the one that the teacher
    finds most probable; `label_smoothing` concerns the first term alone. A matrix of labels (multilabel) is learnt
    label by label.

    **Regressors** are fitted to ``alpha y + (1 - alpha) teacher.predict(X)``; for the squared error and the Poisson
    loss this is the same as mixing the two losses. ``loss="quantile"`` is refused: its quantile would be one of the
    teacher's predictions.

    Early stopping is that of `fit`: the last samples in time, a gap before them, and the same loss. `partial_fit` of
    the student goes on with the loss of y.

    The teacher answers for the samples that it may have been trained on, where it is surer of itself than on new ones.
    Samples without y, such as those of later times, are as good for the student, and may be better.

    References
    ----------
    .. [1] G. Hinton, O. Vinyals and J. Dean, "Distilling the knowledge in a neural network", arXiv:1503.02531, 2015,
       section 2.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklstm import DeepLSTMClassifier
    >>> from sklstm.compression import distill
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> y = np.where(X[:, 0] > 0, "up", "down")
    >>> teacher = LogisticRegression().fit(X, y)
    >>> student = distill(teacher, DeepLSTMClassifier(4, sequence_length=2, random_state=0), X, y)
    >>> bool(student.score(X, y) > 0.8)
    True
    """
    check_model(student, "distill", "student")
    if getattr(student, "decoder", "direct") != "direct":
        raise ValueError(f"distill: a student with decoder={student.decoder!r} cannot be taught; set decoder='direct'.")
    fitted = clone(student)
    try:
        fitted._validate_params()
    except InvalidParameterError as error:
        raise ValueError(f"student: {error}") from None  # which scikit-learn would take for arguments of `distill`
    given, validation = Given(X, y, sample_weight, groups), Given(X_val, y_val, sample_weight_val, groups_val)
    return fit_student(teacher, fitted, given, validation, alpha=float(alpha), temperature=float(temperature))


@checks_arguments(
    {
        "rank": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }
)
def factorize(model: Model, rank: int, *, random_state: int | np.random.RandomState | None = 0) -> Model:
    """Replace the weights that read the hidden states of a fitted model by matrices of low rank.

    Each layer gets a projection of its h to `rank` numbers, which all that reads h reads instead.

    Parameters
    ----------
    model : DeepRNNRegressor or DeepRNNClassifier
        Fitted; it is not changed.
    rank : int
        Size of the projection of every layer, smaller than the units of each.
    random_state : int, RandomState instance or None, default=0
        Seed of the singular value decomposition.

    Returns
    -------
    DeepRNNRegressor or DeepRNNClassifier
        A fitted copy, of the class of `model`, whose `cell` has ``projection_size=rank``. `factorization_error_`, of
        shape (n_layers,), is the Frobenius norm of what was lost over that of all weights that read h of the layer (of
        several networks, `n_seeds`, the mean);
        `operations_saved_` the share of the multiplications of a step that is saved.

    Raises
    ------
    TypeError
        If `model` is no estimator with a network.
    ValueError
        If it is not fitted (`NotFittedError`), if the two factors take as many multiplications as the matrix, or if the
        network has no such form: a cell without projection or with one, `norm`, `feedforward`, `output_gate`,
        `residual`, `attention_heads` and ``pooling="attention"``, which are not linear in h or add outputs of several
        layers, a `recurrent_constraint`, and pruned weights.

    See Also
    --------
    prune : Set weights of a fitted network to zero.
    distill : Train a small network instead.

    Notes
    -----
    The recurrent weights and what reads the layer from above are factorised jointly, as ``[W_hh; W_above] ~ (U S) V'``
    by a randomised singular value decomposition [1]_ (10 more directions than `rank`, 2 power iterations): ``V'``
    becomes the projection ``weight_hr``, as in [2]_. With `bidirectional`, each direction has a projection of its own.
    The joint form and its effect on recurrent networks are those of [3]_.

    Trained recurrent weights have no low rank: `factorization_error_` is large, most of it from what is left of their
    orthogonal start. The answers may change far less: measure them on data that were set aside. `predict` becomes
    faster, with large layers by nearly as much as operations are saved; a step of a `stream` becomes slower, as its
    code has no projection (doc/studies/compression.md). The solver starts anew in `partial_fit`.

    References
    ----------
    .. [1] N. Halko, P. G. Martinsson and J. A. Tropp, "Finding structure with randomness", SIAM Review 53(2), 2011,
       algorithms 4.4 and 5.1.
    .. [2] H. Sak, A. Senior and F. Beaufays, "Long short-term memory based recurrent neural network architectures for
       large vocabulary speech recognition", arXiv:1402.1128, 2014.
    .. [3] R. Prabhavalkar, O. Alsharif, A. Bruguier and I. McGraw, "On the compression of recurrent neural networks
       with an application to LVCSR acoustic modeling for embedded speech recognition", ICASSP 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepLSTMRegressor
    >>> from sklstm.compression import factorize
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> model = DeepLSTMRegressor(hidden_size=16, max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> smaller = factorize(model, 4)
    >>> smaller.cell
    LSTM(projection_size=4)
    >>> smaller.parameters_["weight_hr_l0"].shape, smaller.parameters_["weight_hh_l0"].shape
    ((4, 16), (64, 4))
    >>> round(smaller.operations_saved_, 2)
    0.58
    """
    check_model(model, "factorize")
    result = fitted_copy(model)
    layout = checked_layout(result, "factorize")
    refuse_network(result, rank)
    projected = projected_layout(layout, int(rank))
    seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
    models = singles(result)
    for one in models:
        _factorize_network(one, layout, projected, seed)
    join(result, models)
    result.cell = projected_cell(result.cell, int(rank))
    result._architecture = {**result._architecture, "projection_size": int(rank)}
    result.factorization_error_ = np.mean([one.factorization_error_ for one in models], axis=0)
    result.operations_saved_ = 1.0 - multiplications(projected) / multiplications(layout)
    return result


def _factorize_network(model, layout, projected, seed):
    """Replace the weights of the one network of a model, in place."""
    arrays, model.factorization_error_ = factorized(layout, projected, model.parameters_, seed)
    set_parameters(model, projected, projected.flatten(arrays, model.parameters_["weight_out"].dtype))
    state = dict(model._training_state)
    if "loop" in state:
        # Mean gradients, and the norms so far, belong to the old weights.
        state["loop"] = {name: value for name, value in state["loop"].items() if name not in ("moments", "clipping")}
    model._training_state = state
