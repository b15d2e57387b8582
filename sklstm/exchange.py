"""Networks to and from PyTorch, Keras and ONNX."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from numpy.typing import ArrayLike
from sklearn.utils._param_validation import StrOptions

from sklstm._base import BaseRNN
from sklstm._compression.models import check_model
from sklstm._exchange.fitted import Given, fitted_estimator
from sklstm._exchange.keras_layers import read_layers
from sklstm._exchange.onnx_export import onnx_model
from sklstm._exchange.torch_layers import read_state, state_dict_of
from sklstm._typing import Array, checks_arguments
from sklstm.cells import Elman

__all__ = ["from_keras", "from_torch", "to_onnx", "to_torch"]

Model = TypeVar("Model", bound=BaseRNN)


@checks_arguments({"layers": [str], "head": [str]})
def to_torch(model: BaseRNN, *, layers: str = "layers", head: str = "head") -> dict[str, Array]:
    """Return the parameters of a fitted model as a state dict of PyTorch.

    They are those of a `torch.nn.LSTM`, `GRU` or `RNN` and a `torch.nn.Linear` that reads its output at the last step.
    PyTorch is not needed to make them.

    Parameters
    ----------
    model : DeepRNNRegressor, DeepRNNClassifier, DeepLSTMRegressor or DeepLSTMClassifier
        Fitted. It is not changed.
    layers : str, default="layers"
        Name of the recurrent layers in the module that loads the parameters.
    head : str, default="head"
        Name of the linear map there.

    Returns
    -------
    dict of str to ndarray
        ``layers.weight_ih_l0`` (k hidden_size, n_features), ``layers.weight_hh_l0``, ``layers.bias_ih_l0``,
        ``layers.bias_hh_l0``, with a projection ``layers.weight_hr_l0``, the same with ``_reverse``, ..., and
        ``head.weight``, ``head.bias``: new arrays of the dtype of the model's parameters, which `torch.from_numpy`
        takes.

    Raises
    ------
    TypeError
        If `model` is no estimator with a network, such as a pipeline or an ensemble.
    ValueError
        If it is not fitted (`NotFittedError`), quantised, or has what those layers do not: the parameter is named.

    See Also
    --------
    from_torch : The way back.
    to_onnx : With everything that is around the network.

    Notes
    -----
    **Inputs.** The module reads the columns as the estimator does: ``(x - input_mean_) / input_scale_`` is folded into
    the first layer, computed in float64. Where a column's mean is much larger than its deviation, float32 loses digits
    of x in PyTorch that the estimator, which standardises in float64, keeps.

    **Outputs.** Those of a regressor are in the unit of y (`target_mean_`, `target_scale_` are folded into the linear
    map). With ``loss="poisson"`` the answer is ``exp`` of them; of several quantiles they are to be sorted, and the
    corrections of `conformal` are not in them. Those of a classifier are logits: ``softmax``, of two classes
    ``sigmoid`` of the one that is there (the probability of ``classes_[1]``), of a matrix of labels ``sigmoid``.

    **What the linear map reads.** The output of the top layer at the last step, ``output[:, -1]``, with
    ``pooling="mean"`` ``output.mean(1)``, with ``targets="sequence"`` and ``training="stateful"`` every step. With
    `bidirectional` ``output[:, -1]`` is not the last of ``h_n``, whose backward part belongs to the first step. The
    states start at zero.

    **Biases.** PyTorch has two for each layer. The second one is zero, but that of the GRU's n, which stands behind the
    reset gate.

    What is refused: cells other than LSTM, GRU (``reset_after=True``) and Elman (tanh, relu), layers of different
    sizes, several networks (`n_seeds`), and every option of layers, windows and cells but `bidirectional` and
    ``projection_size`` of the LSTM. A model of ``dtype="bfloat16"`` becomes one of float32, whose answers differ by the
    rounding of its products.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepLSTMRegressor, to_torch
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepLSTMRegressor(hidden_size=8, max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> state = to_torch(model)
    >>> {name: array.shape for name, array in state.items()}
    {'layers.weight_ih_l0': (32, 3), 'layers.weight_hh_l0': (32, 8), 'layers.bias_ih_l0': (32,), \
'layers.bias_hh_l0': (32,), 'head.weight': (1, 8), 'head.bias': (1,)}
    """
    if not layers or not head or layers == head:
        raise ValueError(f"to_torch: layers={layers!r} and head={head!r} must be different names.")
    return state_dict_of(model, layers, head)


@checks_arguments({"multilabel": ["boolean"]})
def from_torch(
    layers: Any,
    head: Any = None,
    *,
    estimator: Model,
    classes: ArrayLike | None = None,
    multilabel: bool = False,
    input_mean: ArrayLike | None = None,
    input_scale: ArrayLike | None = None,
    target_mean: ArrayLike | None = None,
    target_scale: ArrayLike | None = None,
) -> Model:
    """Return a fitted estimator with the parameters of a network of PyTorch.

    Parameters
    ----------
    layers : torch.nn.Module or mapping of str to tensor
        A `torch.nn.LSTM`, `GRU` or `RNN`, a module that contains one (and the `Linear`, where `head` is None), or the
        state dict of either, of tensors or arrays.
    head : torch.nn.Module, mapping or None, default=None
        The `torch.nn.Linear` behind the last step, or its state dict; None for the only one in `layers`.
    estimator : DeepRNNRegressor, DeepRNNClassifier, DeepLSTMRegressor or DeepLSTMClassifier
        Says what the network is for: its class, `sequence_length`, `loss`, `pooling`, `targets`, `dtype`, and how a
        later training goes. It is not changed. Its `cell`, `hidden_size`, `n_layers` and `bidirectional` are replaced
        by those of the network.
    classes : array-like of shape (n_classes,), default=None
        Labels in the order of the outputs; None for 0, 1, ...
    multilabel : bool, default=False
        Whether each output of a classifier is the logit of a label of its own (`torch.nn.BCEWithLogitsLoss`).
    input_mean, input_scale : float or array-like of shape (n_features,), default=None
        The network was trained on ``(x - input_mean) / input_scale``, and the estimator shall take x; None for 0 and 1.
    target_mean, target_scale : float or array-like of shape (n_targets,), default=None
        The network was trained on ``(y - target_mean) / target_scale``, and the estimator shall answer y; None for 0
        and 1.

    Returns
    -------
    estimator
        A fitted clone of `estimator`, with an `n_iter_` of 0, an infinite `loss_` and an empty `loss_curve_`.
        `partial_fit`, and `fit` with ``warm_start=True``, go on from the parameters.

    Raises
    ------
    TypeError
        If an argument is of another type, such as a class in place of an object.
    ValueError
        If the network has what the estimator does not, or the other way round; what it is, is named.

    See Also
    --------
    to_torch : The way there.
    from_keras : The same for Keras.

    Notes
    -----
    **What the head reads.** The output of the top layer at the last row of a sample, ``output[:, -1]``, with
    ``pooling="mean"`` of `estimator` ``output.mean(1)``, with ``targets="sequence"`` every step. A bidirectional module
    whose head reads ``h_n`` is another network: there the backward direction is read at the first row. What is between
    or behind the layers (activations, further linear maps, normalisations) has no place here; where `layers` holds
    parameters of such, it is refused, where it has none, nothing tells.

    **Cells.** The numbers of rows tell LSTM (with projection), GRU and RNN apart. Whether an RNN has tanh or relu, the
    module knows; of a state dict the `cell` of `estimator` tells, ``Elman(activation="relu")``, else tanh. Two biases
    become one, but for the n of the GRU. Where biases are missing, they are zero.

    **Classes.** Of two outputs for two classes the difference is taken, as an estimator has one. Where `classes` are
    not sorted, the outputs are, as `classes_` is.

    **Windows.** With a table, `predict` runs the network from zero states over the last `sequence_length` rows of each
    row; a 3-D array or a list are sequences. Parameters are rounded to the `dtype` of `estimator`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepLSTMRegressor, from_torch, to_torch
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepLSTMRegressor(hidden_size=8, max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> state = to_torch(model)  # or that of a module of PyTorch
    >>> again = from_torch(state, estimator=DeepLSTMRegressor(sequence_length=32))
    >>> again.hidden_size, bool(np.allclose(again.predict(X), model.predict(X), atol=1e-5))
    (8, True)
    """
    check_model(estimator, "from_torch", "estimator")
    own = estimator.cell.activation if isinstance(estimator.cell, Elman) else "tanh"
    given = Given(classes, multilabel, input_mean, input_scale, target_mean, target_scale)
    return fitted_estimator(estimator, read_state(layers, head, own), given, "from_torch")


@checks_arguments({"multilabel": ["boolean"]})
def from_keras(
    layers: Any,
    head: Any = None,
    *,
    estimator: Model,
    classes: ArrayLike | None = None,
    multilabel: bool = False,
    input_mean: ArrayLike | None = None,
    input_scale: ArrayLike | None = None,
    target_mean: ArrayLike | None = None,
    target_scale: ArrayLike | None = None,
) -> Model:
    """Return a fitted estimator with the weights of layers of Keras.

    Parameters
    ----------
    layers : keras.Model, keras.layers.Layer or sequence of Layer
        Built: one or more of `LSTM`, `GRU`, `SimpleRNN`, or each of them in `Bidirectional`; before them perhaps
        `Normalization`, behind them perhaps `GlobalAveragePooling1D`, then `Dense` (where `head` is None), also in
        `TimeDistributed`. Of a model with other connections than one layer after the other only the order is looked at.
    head : keras.layers.Dense or None, default=None
        None for the last of the layers.
    estimator : DeepRNNRegressor, DeepRNNClassifier, DeepLSTMRegressor or DeepLSTMClassifier
        Says what the network is for: its class, `sequence_length`, `loss`, `dtype`, and how a later training goes. It
        is not changed. Its `cell`, `hidden_size`, `n_layers`, `bidirectional`, `pooling` and `targets` are replaced by
        those of the network.
    classes : array-like of shape (n_classes,), default=None
        Labels in the order of the outputs; None for 0, 1, ...
    multilabel : bool, default=False
        Whether each output of a classifier is the logit of a label of its own; several with ``activation="sigmoid"``
        always are.
    input_mean, input_scale : float or array-like of shape (n_features,), default=None
        The network was trained on ``(x - input_mean) / input_scale``, and the estimator shall take x; None for 0 and 1,
        or those of `Normalization`.
    target_mean, target_scale : float or array-like of shape (n_targets,), default=None
        The network was trained on ``(y - target_mean) / target_scale``, and the estimator shall answer y; None for 0
        and 1.

    Returns
    -------
    estimator
        A fitted clone of `estimator`, with an `n_iter_` of 0, an infinite `loss_` and an empty `loss_curve_`.
        `partial_fit`, and `fit` with ``warm_start=True``, go on from the weights.

    Raises
    ------
    TypeError
        If an argument is of another type, such as a class in place of an object.
    ValueError
        If the network has what the estimator does not, or the other way round; what it is, is named.

    See Also
    --------
    from_torch : The same for PyTorch.

    Notes
    -----
    **Weights.** Keras has kernels ``(n_features, k units)`` with the blocks i, f, c, o of the LSTM, which are i, f, g,
    o here, and z, r, h of the GRU, which are r, z, n in another order. The GRU's bias (2, 3 units) of
    ``reset_after=True``, the default of Keras, becomes r, z, n_x, n_h; ``reset_after=False`` is
    ``GRU(reset_after=False)`` here. The 1 that ``unit_forget_bias=True`` adds is in the weights since they were made,
    and nothing is added to them. The activation of `Dense` says what becomes of the outputs: "linear" of a regressor or
    of logits, "exponential" with ``loss="poisson"``, "sigmoid" and "softmax" of a classifier.

    **What the head reads.** The last row, with `GlobalAveragePooling1D` (``pooling="mean"``) the mean over rows, with
    ``return_sequences=True`` in all layers every row (``targets="sequence"``). A top layer in `Bidirectional` with
    ``return_sequences=False`` is refused: Keras reads its backward part at the first row, the estimator at the last.

    What is refused: other activations inside the cells, `stateful`, `Masking` (the estimator takes sequences of
    different lengths as they are), layers of different cells, other layers. `Dropout` and the like have no effect on
    predictions and are passed over.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepLSTMRegressor, from_keras
    >>> import keras  # doctest: +SKIP
    >>> layers = [keras.Input((None, 3)), keras.layers.LSTM(8), keras.layers.Dense(1)]  # doctest: +SKIP
    >>> network = keras.Sequential(layers)  # doctest: +SKIP
    >>> model = from_keras(network, estimator=DeepLSTMRegressor(sequence_length=32))  # doctest: +SKIP
    >>> model.predict(np.zeros((100, 3))).shape  # doctest: +SKIP
    (100,)
    """
    check_model(estimator, "from_keras", "estimator")
    given = Given(classes, multilabel, input_mean, input_scale, target_mean, target_scale)
    return fitted_estimator(estimator, read_layers(layers, head), given, "from_keras")


@checks_arguments({"sequence_lens": ["boolean"], "dtype": [StrOptions({"float32", "float64"})]})
def to_onnx(model: BaseRNN, *, sequence_lens: bool = False, dtype: Literal["float32", "float64"] = "float32") -> Any:
    """Return a fitted model as a model of ONNX.

    It takes what the estimator takes and answers what it answers: standardisation of the columns, network, unit of y,
    quantiles and probabilities are in the graph. It needs the package onnx (``pip install 'sklstm[onnx]'``).

    Parameters
    ----------
    model : DeepRNNRegressor, DeepRNNClassifier, DeepLSTMRegressor or DeepLSTMClassifier
        Fitted. It is not changed.
    sequence_lens : bool, default=False
        Whether the graph has a second input ``sequence_lens``, the lengths of the sequences, whose rows come first;
        what is behind them in X does not count.
    dtype : {"float32", "float64"}, default="float32"
        Type of the input and of numbers that come out. The network itself computes in float32.

    Returns
    -------
    onnx.ModelProto
        Checked, of opset 17 and IR version 8; ``onnx.save(...)`` writes it, ``.SerializeToString()`` is what
        onnxruntime takes.

    Raises
    ------
    ImportError
        If onnx is not installed.
    TypeError
        If `model` is no estimator with a network, such as a pipeline or an ensemble.
    ValueError
        If it is not fitted (`NotFittedError`), quantised, or has what the graph cannot: the parameter is named.

    See Also
    --------
    to_torch : Layers and head alone.

    Notes
    -----
    **Input.** ``X`` (batch, steps, n_features). The graph knows no tables: the sample of a row is the window of its
    last `sequence_length` rows, for instance of `numpy.lib.stride_tricks.sliding_window_view`, and shorter ones at the
    beginning go with `sequence_lens` (batch,) int32, at least 1. Of a series with ``training="stateful"`` X is all of
    it.

    **Outputs.** Of regressors ``prediction``, as `predict` answers, in the unit of y, and with ``loss="quantile"``
    ``quantiles``, as `predict_quantiles`; of classifiers ``label`` and ``probabilities``, as `predict` and
    `predict_proba`. With ``targets="sequence"`` and ``training="stateful"`` the axis of the steps is the second
    one; what stands behind the end of a sequence has no meaning.

    **Numbers.** ``(x - input_mean_) / input_scale_`` and what comes after the head are computed in float64, as in the
    estimator, and what is between in float32: also of a model of ``dtype="float64"`` or "bfloat16", which differ by
    that. With ``dtype="float32"`` x and the answers are rounded to it.

    **Operators.** ONNX has the LSTM's blocks in the order i, o, f, c, its peepholes i, o, f, and the GRU's z, r, h. The
    GRU is exported with ``linear_before_reset=1``; 0, the default of ONNX, is ``GRU(reset_after=False)``. Sequences
    have to come in a runtime that reads `sequence_lens`, as onnxruntime does; the ReferenceEvaluator of onnx passes it
    over.

    What is refused: cells other than LSTM (with peepholes, without projection), GRU and Elman (tanh, relu, softsign),
    `layer_norm`, `residual`, `norm`, `output_gate`, `feedforward`, `zoneout`, attention, patches, `window_norm`,
    decoders and units of groups. Not refused are `bidirectional`, layers of different sizes, ``pooling="mean"``,
    `linear_skip`, several networks (`n_seeds`), all losses, conformal bands and matrices of labels.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepLSTMRegressor, to_onnx
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = DeepLSTMRegressor(hidden_size=8, max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> graph = to_onnx(model)  # doctest: +SKIP
    >>> import onnxruntime  # doctest: +SKIP
    >>> session = onnxruntime.InferenceSession(graph.SerializeToString())  # doctest: +SKIP
    >>> windows = np.lib.stride_tricks.sliding_window_view(X, 32, axis=0).transpose(0, 2, 1)
    >>> session.run(["prediction"], {"X": windows.astype(np.float32)})[0].shape  # doctest: +SKIP
    (69,)
    """
    return onnx_model(model, bool(sequence_lens), dtype)
