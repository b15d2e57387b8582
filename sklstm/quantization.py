"""Fitted networks whose recurrent layers predict in integers."""

from __future__ import annotations

from numbers import Real
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklstm._base import BaseRNN
from sklstm._compression.models import check_model
from sklstm._fitted import empty_network, freeze
from sklstm._integer_steps import measure_steps
from sklstm._network.integers import DTYPES, IntegerLayout, quantise_parameters, to_flat
from sklstm._seeds import join, singles
from sklstm._snapshot import snapshot_of
from sklstm._typing import checks_arguments
from sklstm._validation import refuse_overflow
from sklstm._warn import warn_user
from sklstm.exceptions import QuantizationWarning

__all__ = ["quantize"]

# An error above this, and above `max_error`, is refused.
LARGEST_ERROR = 0.1

Model = TypeVar("Model", bound=BaseRNN)


@checks_arguments({"dtype": [StrOptions(set(DTYPES))], "max_error": [Interval(Real, 0, 1, closed="right")]})
def quantize(
    model: Model,
    X: ArrayLike,
    dtype: Literal["int8", "int16"] = "int8",
    *,
    groups: ArrayLike | None = None,
    max_error: float = 0.02,
) -> Model:
    """Return a fitted model whose recurrent layers predict in integers.

    Parameters
    ----------
    model : DeepRNNRegressor, DeepRNNClassifier, DeepLSTMRegressor or DeepLSTMClassifier
        Fitted. It is not changed.
    X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
        Typical input as the model sees it (in a pipeline behind the other steps), such as that of `fit`: what each
        layer reads of it decides the steps of its integers.
    dtype : {"int8", "int16"}, default="int8"
        Integers of the weights.
    groups : array-like of shape (n_samples,), default=None
        One label per row of a table, as in `fit`.
    max_error : float, default=0.02
        Relative error of the raw outputs on X above which there is a warning. Above 0.1 the model is refused, or above
        `max_error` where that is larger.

    Returns
    -------
    estimator
        Of the same class, with the parameters of the constructor. `predict`, `predict_proba`, `transform` and `stream`
        use the integers; `partial_fit`, and `fit` with `warm_start`, raise. It has the attributes
        ``quantization_dtype_`` and ``quantization_error_``, and in ``parameters_`` the matrices of the layers as
        integers.

    Raises
    ------
    ValueError
        If the error on X is above 0.1 and above `max_error`; the layer that causes most of it is named. Also if an
        argument is not as described, or the model is quantised already.
    TypeError
        If the model is not one of these estimators, as an ensemble or a pipeline.

    Warns
    -----
    QuantizationWarning
        If the error on X is more than `max_error`.

    See Also
    --------
    sklstm.DeepRNNRegressor : Its method `stream` predicts row by row, in integers too.

    Notes
    -----
    **Arithmetic.** A sum of a unit is ``bias + scale_ih * (weight_ih @ round(x / step_x)) + scale_hh * (weight_hh @
    round(h / step_h))``: products of integers, summed in 32 bits, exactly and in any order [1]_. Each row of a matrix
    has a scale of its own; each layer has one step for what it reads of x, one for h, and one for h behind a gate
    (`MGU`, and `GRU` with ``reset_after=False``). What is read has 8 bits with "int8", -128 to 127 steps, but 16 bits
    in the first layer, as all of "int16" has. Weights and what they multiply share the 31 bits of a sum, so that none
    can overflow; of 16 bits, each 128 columns have a sum of their own, and int16 reads ``sqrt(10 * 2**31 / 128)`` =
    12,952 steps of them (more of fewer columns). The steps leave room: of the input for 3 times the largest number in
    X, of states for 1.25 times ("int8") or 1.5 times ("int16"). Numbers beyond are clipped; `predict` and the like warn
    of such inputs (`QuantizationWarning`; not with `window_norm`), streams do not. Activations, states, biases, weights
    of single units, projections and normalisations stay float32, and so do residual maps, attention, pooling, linear
    skip and head. A model of float64 or bfloat16 is rounded from its parameters, and answers in float32.

    **Promises.** A row alone has the bits of the same row in a batch, for any number of threads, and a stream those of
    `predict`. Here they are the same on every instruction set as well. CPUs with AVX512_VNNI have instructions for
    these products; the others take 16-bit products.

    **Error.** ``quantization_error_`` is the norm of the difference of the raw outputs on X (of a classifier: before
    softmax or sigmoid), over the norm of the outputs of `model` less their mean; where these are all alike, over their
    norm. Of several networks (`n_seeds`), each has integers of its own, and the largest error counts.

    References
    ----------
    .. [1] B. Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only
       inference", CVPR 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepLSTMRegressor, quantize
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> model = DeepLSTMRegressor(hidden_size=32, sequence_length=8, max_iter=20, random_state=0).fit(X, X[:, 0])
    >>> small = quantize(model, X, dtype="int16")
    >>> small.parameters_["weight_hh_l0"].dtype
    dtype('int16')
    >>> bool(small.quantization_error_ < 0.01)
    True
    >>> bool(np.abs(small.predict(X) - model.predict(X)).max() < 0.05)
    True
    """
    check_model(model, "quantize")
    check_is_fitted(model)
    _refuse_twice(model)
    if model._architecture["decoder"] != "direct":
        raise ValueError(
            f"quantize cannot be combined with decoder={model._architecture['decoder']!r}: the steps of its turns are "
            "not measured."
        )
    source = snapshot_of(model)
    quantised = [_quantised(one, X, groups, dtype, max_error) for one in singles(source)]
    join(source, quantised)
    source.quantization_error_ = max(one.quantization_error_ for one in quantised)
    freeze(source)
    return source


def _quantised(source, X, groups, dtype, max_error):
    """Return a copy of a snapshot with one network, whose layers are integers."""
    network = source._network()
    parts, layout = _sequences(source, X, groups, network), network.layout
    wanted = _raw_outputs(network, parts)
    steps = measure_steps(source, layout, parts, dtype)
    n_layers = layout.architecture.n_layers
    parameters, outputs = _run_integers(source, layout, (dtype,) * n_layers, steps, parts)
    error = _relative_error(outputs, wanted)
    if not error <= max(LARGEST_ERROR, max_error):
        raise ValueError(_refusal(source, layout, dtype, steps, parts, wanted, error, max_error))
    if error > max_error:
        warn_user(
            f"the raw outputs of the {dtype} model differ from those of the float model by {error:.1%} on X, more than "
            f"max_error={max_error:g}.{_advice(dtype)}",
            QuantizationWarning,
        )
    return _with_integers(source, parameters, dtype, error)


def _refuse_twice(model):
    if hasattr(model, "quantization_dtype_"):
        raise ValueError(
            f"model is quantised to {model.quantization_dtype_} already; quantize the float model it was made from."
        )


def _sequences(model, X, groups, network):
    """Return the parts of X, which begins anew: the rows that a model carries are not before it."""
    context, labels = None, None
    if hasattr(model, "context_") and getattr(X, "ndim", 2) == 2:
        context, labels = np.empty((0, model.n_features_in_)), None if groups is None else []
    return [part for part, _, _ in model._parts(X, groups, context, labels, network)]


def _raw_outputs(network, parts):
    n_outputs = network.layout.n_outputs  # beside which there may be moments of windows
    outputs = np.concatenate([network.forward(part)[:, :n_outputs].astype(np.float64) for part in parts])
    refuse_overflow(outputs, lambda sample: f"X[{sample}]", network.dtype_name)
    return outputs


def _run_integers(model, layout, formats, steps, parts):
    """Return the parameters of the network with some layers in integers, and its raw outputs."""
    parameters = quantise_parameters(model.parameters_, layout.architecture, formats, steps)
    network = empty_network(model, IntegerLayout(layout.architecture, formats), "float32")
    network.load(to_flat(parameters, network.layout))
    return parameters, _raw_outputs(network, parts)


def _relative_error(outputs, wanted):
    """Return the norm of the difference over that of the centred outputs; of equal ones, over their own."""
    centred = np.linalg.norm(wanted - wanted.mean(axis=0))
    size = centred if centred > 1e-6 * np.linalg.norm(wanted) else np.linalg.norm(wanted)
    difference = np.linalg.norm(outputs - wanted)
    return float(difference / size) if size > 0 else float(np.inf if difference > 0 else 0)


def _refusal(model, layout, dtype, steps, parts, wanted, error, max_error):
    """Return the message about an error that is too large, with the layer that alone makes most of it."""
    n_layers, alone = layout.architecture.n_layers, []
    for k in range(n_layers):
        formats = tuple(dtype if layer == k else None for layer in range(n_layers))
        alone.append(_relative_error(_run_integers(model, layout, formats, steps, parts)[1], wanted))
    worst = int(np.argmax(alone))
    which = f"layer {worst} (weight_ih_l{worst}, ...) of {n_layers}"
    limit = 100 * max(LARGEST_ERROR, max_error)
    return (
        f"dtype={dtype!r} would change the raw outputs on X by {error:.1%}, more than the {limit:g}% that "
        f"max_error={max_error:g} lets pass; most of it comes from {which}, which alone makes "
        f"{alone[worst]:.1%}.{_advice(dtype)}"
    )


def _advice(dtype):
    return " dtype='int16' is more exact." if dtype == "int8" else ""


def _with_integers(model, parameters, dtype, error):
    """Return a copy of a snapshot with other parameters, without what only training needs."""
    quantised = snapshot_of(model)
    quantised.parameters_ = parameters
    quantised.quantization_dtype_, quantised.quantization_error_ = dtype, error
    quantised.__dict__.pop("_training_state", None)
    return quantised
