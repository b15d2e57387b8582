"""Regression with stacked LSTM layers."""

from numbers import Integral, Real

from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if

from sklstm._base import BaseLSTM
from sklstm._fit_inputs import Given
from sklstm._fitting import partial_fit
from sklstm._scores import weighted_score
from sklstm._snapshot import snapshot_of
from sklstm._targets import LOSS_NAMES, NumberTargets
from sklstm._time_order import look_at_score


def _has_quantiles(model):
    """Tell whether a model predicts quantiles, as `available_if` asks it; the error says what is missing."""
    loss = model._coding["loss"] if hasattr(model, "_coding") else model.loss
    if loss != "quantile":
        raise AttributeError(
            f"predict_quantiles needs loss='quantile' and the parameter quantile; found loss={loss!r}."
        )
    return True


class DeepLSTMRegressor(RegressorMixin, BaseLSTM):
    """Regression on time-ordered tables and on sequences with stacked LSTM layers.

    Rows of a table X are consecutive time steps. The sample of row i is the window of the last `sequence_length` rows
    that end at i, inside its group; the first rows of a group have shorter windows. There is one prediction per row,
    and no window looks ahead. Rows out of time order, where a pandas index shows it, are told by a
    `sklstm.TimeOrderWarning`.

    Parameters
    ----------
    hidden_size : int or sequence of int, default=64
        Units of each layer, any number (multiples of 16 waste nothing), or of the first, the second, ... layer.
    n_layers : int, default=1
        Number of stacked layers; each reads the output of the one below. Left at 1 where `hidden_size` is a sequence.
    bidirectional : bool, default=False
        Each layer also reads its input from the sequence's own last row to the first; both directions stand side by
        side, ``[h_forward; h_backward]`` [20]_. A window still ends at its row. There, where ``pooling="last"`` reads,
        the backward direction of the top layer has just begun; the other poolings read all of it.
    projection_size : int or None, default=None
        Each h is projected to so many numbers, ``h_t = W_hr (o * tanh(c_t))``, fewer than `hidden_size` [21]_.
    peephole : bool, default=False
        The gates see the cell: ``p_i * c_(t-1)`` is added inside i, ``p_f * c_(t-1)`` inside f, ``p_o * c_t`` inside o
        [22]_.
    residual : int, default=0
        Every so many layers, the output of the layer so far below is added: with 2, that of the first layer to that of
        the third, ``(h_3 + y_1) / sqrt(2)`` (eq. 1 of [7]_, which does not divide). Where their sizes differ, y_1 goes
        through a linear map (eq. 2 there). 0 for never; without effect unless there are more layers than that.
    layer_norm : "output", "gates" or None, default=None
        "output": normalise the output of each layer, ``gain (y - mean(y)) / sqrt(var(y) + 1e-5) + bias`` over its units
        [8]_, after the sum of `residual`: ``LN((h + y) / sqrt(2))``. The recurrent path is left alone.
        "gates": inside the cell, ``LN(W_ih x_t) + LN(W_hh h_(t-1)) + b`` over all four gates and ``o * tanh(LN(c_t))``
        (eqs. 20 to 22 there).
    attention_heads : int, default=0
        Heads of a block of self-attention on the top layer: ``y + W_o [softmax(q k' / sqrt(d)) v]`` for heads of size
        d, with q, k, v from ``LN(y) + PE``, sines and cosines of the position [23]_: base 10000, counted from 0 at the
        sequence's own first step. A step sees itself and what came before; all steps with `bidirectional`. The number
        divides that of the top layer's outputs. 0 for no block.
    pooling : {"last", "mean", "attention"}, default="last"
        What the head reads of a sequence's steps: the last one, their mean, or ``sum_t a_t y_t`` with
        ``a = softmax(w . tanh(y_t))`` [24]_.
    patch_length : int, default=1
        Rows that the first layer reads at a time: the recurrence has so many times fewer steps [25]_. Patches end at
        the last row; where the first is not full, zeros stand for the rows that its window does not have.
    input_scaling : {"standard", "robust"} or None, default="standard"
        How each column of X is standardised inside, as y is: the network reads ``(x - input_mean_) / input_scale_``, in
        float64 and without a copy of X. "standard": mean and deviation over the rows of the training part, each row
        counted once. "robust": median, and distance of the quartiles over 1.349 (that of a normal distribution), which
        outliers do not move; where the quartiles are equal, the deviation. None: columns are read as they are.
    window_norm : {"last", "standard"} or None, default=None
        What each sequence is freed of before it is read. "last": its last row, as in NLinear [32]_ and SegRNN
        [25]_, and the deviation s of each column in the training data. "standard": its own mean and deviation, as in
        RevIN [26]_, here ``sqrt(var + (s / 10)**2)``: a window that is nearly constant does not blow up. Not with
        ``sequence_length=1``: nothing would be left. Predictions are put back by the same numbers of `target_column`,
        and the loss is measured before that. y holds future levels of that column (or means of them), not changes, in
        the unit in which X arrives here: a scaler for X alone, in a pipeline, would break that. A UserWarning tells if
        the deviation of y is more than 1.5 times, or less than a third of, the column's.
    target_column : int, str, array-like of shape (n_outputs,) or None, default=None
        The column of X whose future y is, with `window_norm` only: one for all targets, or one for each. Integer
        positions, or names if X is a DataFrame whose columns are strings. None for the only column that X has.
    linear_skip : int, default=0
        The output also reads so many last rows directly, ``z + W_skip [x_(T-q+1), ..., x_T]`` after `window_norm`: an
        autoregression beside the network [27]_. Zeros stand for rows that do not exist. 0 for none.
    loss : {"squared_error", "absolute_error", "huber", "quantile", "poisson"}, default="squared_error"
        What is made small: half the squared error, whose best prediction is the mean; the absolute error (median); the
        Huber loss, squared up to `huber_delta` and linear beyond [14]_; the loss whose best prediction is the
        `quantile`, ``max(quantile (y - p), (quantile - 1) (y - p))`` [15]_; for counts and other targets >= 0 the
        Poisson loss ``exp(z) - y z`` of the network's output z, with the mean ``exp(z)`` as prediction [17]_.
    quantile : float or sequence of float, default=0.5
        Which quantile is predicted; used with ``loss="quantile"`` only. An increasing sequence, 0.5 among them, gives
        each target an output for each quantile: `predict` answers with the median, `predict_quantiles` with all of
        them. They never cross: the outputs of a target are sorted (rearrangement [16]_).
    huber_delta : float, default=1.0
        Where the Huber loss turns linear, in standard deviations of the target.
    training : {"windows", "stateful"}, default="windows"
        "windows": the sample of each row is its window, read from zero states. "stateful": series are read from their
        first row to their last, each row once an epoch, and the states are carried, in `predict` too: no window, far
        less work. Gradients go back at most `bptt_steps` rows [28]_. Needs a table and ``shuffle=False``; `batch_size`
        is how many stretches run side by side ("auto": at most 32, of at least ``32 * bptt_steps`` rows), of more
        series than that so many after each other; each starts from zero states in every epoch.
    sequence_length : int, default=32
        Rows in the window of a table's sample, the sample's own row included. A set of sequences (3-D or list) is
        used as it is; ``training="stateful"`` has no windows.
    bptt_steps : int, default=32
        Rows of each stretch in a step of ``training="stateful"``.
    dropout : float, default=0.0
        Share of the hidden states that are set to zero between two layers during training, the others scaled up
        (inverted dropout [4]_). Never applied to the recurrent path; without effect for a single layer.
    recurrent_dropout : float, default=0.0
        The same on the way from h to the gates of the next step, one mask for all steps of a sequence [29]_.
        Without effect where sequences have one step.
    weight_dropout : float, default=0.0
        Share of the recurrent weights `weight_hh` that are zero for a batch, the others scaled up [30]_.
    zoneout : float, default=0.0
        Share of the units whose h and c stay what they were, step by step; predictions take the mean,
        ``zoneout * c_(t-1) + (1 - zoneout) * c_t`` [31]_.
    weight_init : {"glorot", "he"}, default="glorot"
        Initial weights of inputs and head, uniform within ``sqrt(6 / (fan_in + fan_out))``, each gate a matrix of its
        own [18]_, or ``sqrt(6 / fan_in)`` [19]_. Recurrent weights start orthogonal.
    solver : {"adamw", "adam", "sgd", "schedule_free"}, default="adamw"
        How the weights step: AdamW [5]_; Adam, whose decay is an L2 penalty [12]_; gradient descent with momentum 0.9;
        schedule-free AdamW, which predicts with a running mean of its weights and wants a larger step size [13]_.
    learning_rate_init : float, default=1e-3
        Step size, with a schedule the largest: the start of the cosines, the peak of "one_cycle".
    learning_rate : str, default="constant"
        What becomes of the step size over the `max_iter` epochs: "constant"; "linear_warm_up", from 0 over the first
        twentieth of the steps [9]_; "cosine", down to 0 by half a cosine; "cosine_restarts", the same over 10 epochs,
        then anew over 20, 40, ... [10]_ (cycles end at epochs 10, 30, 70, 150; epoch 100 ends at .69 of it);
        "one_cycle", up from 1/25 over three tenths of the steps and down to 1/250,000 by half cosines [11]_, to the
        step as PyTorch's `OneCycleLR`; "reduce_on_plateau", halved after ``n_iter_no_change // 2`` epochs without
        improvement. `partial_fit` goes on with "constant" and "reduce_on_plateau", the others need to know `max_iter`.
    weight_decay : float, default=0.01
        Decay of all matrices, of peepholes and of the vector of pooling; biases, gains and shifts do not decay. It is
        decoupled from the gradient [5]_, but for ``solver="adam"``: there it is an L2 penalty.
    max_grad_norm : float, "adaptive" or None, default=1.0
        The gradient is scaled down where its global norm is larger [6]_; "adaptive" for the mean plus three standard
        deviations of the norms so far (the first ten steps are not clipped), None for never.
    batch_size : int or "auto", default="auto"
        Samples in a batch; "auto" is ``n_samples // 32`` within 8 and 128, so that small data get enough steps.
    accumulation_steps : int, default=1
        Batches whose gradients are added up to one step of the solver: as one batch so many times as large, in the
        memory of one. `learning_rate` counts steps.
    max_iter : int, default=100
        Largest number of epochs.
    shuffle : bool or "blocks", default=True
        Draw the samples of a batch from the whole table. Windows overlap, the validation part stays the last in time.
        "blocks": shuffle blocks of 32 samples that follow each other, so that a batch is made of neighbours.
    early_stopping : bool or "auto", default="auto"
        Set the last part in time aside (of a list of sequences, the last ones), stop when its score has not improved by
        `tol` for `n_iter_no_change` epochs, and restore the best epoch's parameters. "auto" does so from 200 samples
        on, unless the rows left out (below) would be more than a quarter. Otherwise training stops when the training
        loss no longer improves.
    validation_fraction : float, default=0.1
        Share of the samples (of each group) that are set aside. Between training and validation part
        ``sequence_length - 1`` rows are left out, so that no validation window holds a training row; none with
        ``training="stateful"``, whose states go on.
    n_iter_no_change : int, default=10
        Epochs in a row without improvement before training stops; a "cosine" or "one_cycle" of the step size is run to
        its end.
    tol : float, default=1e-4
        What counts as an improvement, in absolute terms: of the validation score or, without early stopping, of the
        training loss (`loss_curve_`). Each epoch is compared with the best before it, as in scikit-learn's MLP: gains
        below `tol` do not add up, however many follow each other.
    warm_start : bool, default=False
        Go on from the parameters of the last `fit`.
    carry_context : bool, default=False
        Keep the last ``sequence_length - 1`` rows of the training table (of each group), as this estimator saw them (in
        a pipeline: scaled and selected), and take the X of `predict` as what follows them, row after row; with groups,
        each group of X follows the rows of its label, and a new one begins with X. Makes `TimeSeriesSplit`
        folds exact through a pipeline, if its `gap` is 0. Predicting rows of the training table, or rows behind a gap,
        gets wrong windows. Off by default: the pickle then holds no training row. Not with ``training="stateful"``.
    dtype : "float32" or "float64", default="float32"
        Precision of the network. float64 is for reference results; it is several times slower.
    n_jobs : int or None, default=None
        Number of threads; None for the environment variable ``SKLSTM_NUM_THREADS`` or the cores of the process;
        negative numbers count back from the cores (-1 for all, -2 for all but one). The results are the same bits for
        any number.
    random_state : int, RandomState instance or None, default=None
        Initial parameters, order of the samples and dropout. The same seed gives the same bits on the same
        instruction set.
    verbose : bool or int, default=False
        Print a line for each epoch: losses, validation score, seconds, and the time that is left at the pace so far.

    Attributes
    ----------
    parameters_ : dict of str to ndarray
        The network. Of each layer ``weight_ih_l0`` (4 hidden_size, n_features), ``weight_hh_l0`` (4 hidden_size,
        hidden_size) and ``bias_l0`` (4 hidden_size,), then ``_l1``, ...; at the end ``weight_out`` (n_outputs,
        features) and ``bias_out`` (n_outputs,), for the features that `transform` gives. Of several quantiles, those of
        the first target come first, then those of the second, ... Rows of the gates in the order i, f, g, o. Read-only.
        Some options add arrays or change shapes:

        - bidirectional: the same with ``_backward`` behind the names; the next layer and the head read twice as much.
        - projection_size P: ``weight_hr_l0`` (P, hidden_size), and P columns where h is read.
        - peephole: ``weight_peephole_l0`` (3, hidden_size), rows i, f, o.
        - residual: ``weight_residual_l2``, only where the sizes of the two layers differ.
        - layer_norm "output": ``norm_weight_l0``, ``norm_bias_l0`` (outputs of the layer,). "gates":
          ``norm_weight_ih_l0``, ``norm_weight_hh_l0`` (4 hidden_size,), ``norm_weight_c_l0``, ``norm_bias_c_l0``
          (hidden_size,).
        - attention_heads: ``norm_weight_attention``, ``norm_bias_attention`` (features,), ``weight_attention_in``
          (3 features, features), rows of q, k, v, ``bias_attention_in``, ``weight_attention_out`` (features,
          features), ``bias_attention_out``.
        - pooling "attention": ``weight_pool`` (features,).
        - patch_length: ``weight_ih_l0`` has so many times the columns, first row first.
        - linear_skip: ``weight_skip`` (n_outputs, linear_skip * n_features), first row first.
    target_mean_, target_scale_ : float or ndarray of shape (n_outputs,)
        The target is standardised inside: ``predict`` is ``target_mean_ + target_scale_ * (h @ weight_out.T +
        bias_out)``, of several quantiles the middle one after sorting. With ``loss="poisson"`` the target is divided by
        its mean (`target_mean_` is 0, `target_scale_` the mean), and ``exp`` goes over the network's output. With
        `window_norm` they are those of the targets after it, and `predict` puts back what the window was freed of. Both
        are those of the training part. A target that is constant there has scale 0, and the constant is the answer.
    input_mean_, input_scale_ : ndarray of shape (n_features,)
        What the network subtracts from each column of X, and then divides it by, float64: see `input_scaling`. 1 is the
        scale of a constant column. With `window_norm` only the scale is used: windows bring their own mean. A layer
        for columns as they come has ``weight_ih_l0 / input_scale_`` and ``bias_l0 - (weight_ih_l0 / input_scale_) @
        input_mean_``.
    n_iter_ : int
        Epochs trained, those of earlier fits with `warm_start` or `partial_fit` included.
    loss_ : float
        Training loss of the last epoch.
    loss_curve_ : list of float
        Training loss of each epoch.
    gradient_norms_ : list of float
        Mean norm of the gradient in each epoch, before clipping.
    validation_scores_ : list of float or None
        With early stopping, the score of the validation part after each epoch of the last `fit`: 1 - loss / loss of the
        training mean, an R^2 (with ``loss="poisson"`` of deviances, a D^2), of the targets after `window_norm`.
    validation_loss_curve_ : list of float or None
        With early stopping, the loss of the validation part after each epoch of the last `fit`, in the unit of
        `loss_curve_`; dropout and the like are off.
    best_validation_score_ : float or None
        Largest of the scores: that of the parameters that were kept. None without early stopping.
    best_iteration_ : int
        The epoch whose parameters were kept, counted from 1 as `n_iter_` counts; without early stopping the last.
    best_loss_ : float or None
        Smallest training loss; None with early stopping.
    context_ : ndarray of shape (sequence_length - 1, n_features)
        The carried rows; only with ``carry_context=True``. Those of all groups, one after the other.
    context_groups_ : ndarray of shape (n_rows,)
        The group of each carried row; only with ``carry_context=True`` and groups.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features; only when X had string column names.

    See Also
    --------
    DeepLSTMClassifier : The same for labels.
    LSTMFeatureSelector : Chooses columns with temporal structure.
    WeightedEnsembleRegressor : Weighted mean with other models.
    sklstm.streaming.Stream : Rows that arrive one at a time, from the method `stream`.

    Notes
    -----
    A layer computes, from its input x_t and its states h, c of the step before [1]_ [2]_ [3]_::

        i, f, o = sigmoid(W_ih x_t + W_hh h_(t-1) + b)        g = tanh(W_ih x_t + W_hh h_(t-1) + b)
        c_t = f * c_(t-1) + i * g                             h_t = o * tanh(c_t)

    with one block of rows of W_ih, W_hh and b for each gate. The states start at zero at the first row of a sample's
    window. Without options, the head reads h of the top layer after the window's last row: a linear map, trained on
    half the squared error, averaged over outputs. Initial weights are uniform (W_ih, head and other maps) and
    orthogonal (W_hh), the bias of the forget gate and the gains of normalisations are 1, all else is 0: other biases,
    peepholes, the vector of pooling, the linear skip.

    Windows are never copied out of the table: memory during `fit` is the table plus a workspace that depends on the
    batch.

    References
    ----------
    .. [1] S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9(8), 1997.
    .. [2] F. A. Gers, J. Schmidhuber and F. Cummins, "Learning to forget: continual prediction with LSTM", Neural
       Computation 12(10), 2000.
    .. [3] R. Jozefowicz, W. Zaremba and I. Sutskever, "An empirical exploration of recurrent network architectures",
       ICML 2015. (On the bias of the forget gate.)
    .. [4] W. Zaremba, I. Sutskever and O. Vinyals, "Recurrent neural network regularization", arXiv:1409.2329, 2014.
    .. [5] I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", ICLR 2019, algorithm 2.
    .. [6] R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural networks", ICML 2013,
       algorithm 1.
    .. [7] K. He, X. Zhang, S. Ren and J. Sun, "Deep residual learning for image recognition", CVPR 2016.
    .. [8] J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization", arXiv:1607.06450, 2016, eq. 4.
    .. [9] P. Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", arXiv:1706.02677, 2017.
    .. [10] I. Loshchilov and F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017, eq. 5.
    .. [11] L. N. Smith and N. Topin, "Super-convergence: very fast training of neural networks using large learning
       rates", arXiv:1708.07120, 2019.
    .. [12] D. P. Kingma and J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1.
    .. [13] A. Defazio et al., "The road less scheduled", NeurIPS 2024, algorithm 1.
    .. [14] P. J. Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35(1), 1964.
    .. [15] R. Koenker and G. Bassett, "Regression quantiles", Econometrica 46(1), 1978.
    .. [16] V. Chernozhukov, I. Fernández-Val and A. Galichon, "Quantile and probability curves without crossing",
       Econometrica 78(3), 2010.
    .. [17] P. McCullagh and J. A. Nelder, "Generalized linear models", 2nd edition, Chapman and Hall, 1989, chapter 6.
    .. [18] X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks",
       AISTATS 2010, eq. 16.
    .. [19] K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into rectifiers", ICCV 2015, eq. 10.
    .. [20] M. Schuster and K. K. Paliwal, "Bidirectional recurrent neural networks", IEEE Transactions on Signal
       Processing 45(11), 1997.
    .. [21] H. Sak, A. Senior and F. Beaufays, "Long short-term memory based recurrent neural network architectures for
       large vocabulary speech recognition", arXiv:1402.1128, 2014, eqs. 7 to 12.
    .. [22] F. A. Gers and J. Schmidhuber, "Recurrent nets that time and count", IJCNN 2000.
    .. [23] A. Vaswani et al., "Attention is all you need", NeurIPS 2017, eq. 1 and section 3.5.
    .. [24] P. Zhou et al., "Attention-based bidirectional long short-term memory networks for relation
       classification", ACL 2016, eqs. 9 to 11.
    .. [25] S. Lin et al., "SegRNN: segment recurrent neural network for long-term time series forecasting",
       arXiv:2308.11200, 2023.
    .. [26] T. Kim et al., "Reversible instance normalization for accurate time-series forecasting against distribution
       shift", ICLR 2022.
    .. [27] G. Lai, W.-C. Chang, Y. Yang and H. Liu, "Modeling long- and short-term temporal patterns with deep neural
       networks", SIGIR 2018, section 3.6.
    .. [28] R. J. Williams and J. Peng, "An efficient gradient-based algorithm for on-line training of recurrent network
       trajectories", Neural Computation 2(4), 1990.
    .. [29] Y. Gal and Z. Ghahramani, "A theoretically grounded application of dropout in recurrent neural networks",
       NeurIPS 2016.
    .. [30] S. Merity, N. S. Keskar and R. Socher, "Regularizing and optimizing LSTM language models", ICLR 2018.
    .. [31] D. Krueger et al., "Zoneout: regularizing RNNs by randomly preserving hidden activations", ICLR 2017, eqs.
       3 and 4.
    .. [32] A. Zeng, M. Chen, L. Zhang and Q. Xu, "Are transformers effective for time series forecasting?", AAAI 2023.
    .. [33] H. van Hasselt et al., "Learning values across many orders of magnitude", NeurIPS 2016, proposition 1.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepLSTMRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(400, 3))
    >>> y = np.convolve(X[:, 0], [0.5, 0.3, 0.2])[:400]  # what happened in the last three rows
    >>> model = DeepLSTMRegressor(hidden_size=16, sequence_length=8, random_state=0)
    >>> model.fit(X[:300], y[:300]).predict(X[300:], context=X[:300]).shape
    (100,)
    >>> bool(model.score(X[300:], y[300:], context=X[:300]) > 0.9)
    True
    """

    _parameter_constraints: dict = {
        **BaseLSTM._parameter_constraints,
        "loss": [StrOptions(set(LOSS_NAMES))],
        "target_column": [Interval(Integral, 0, None, closed="left"), str, "array-like", None],
        "quantile": [Interval(Real, 0, 1, closed="neither"), "array-like"],
        "huber_delta": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        hidden_size=64,
        n_layers=1,
        *,
        bidirectional=False,
        projection_size=None,
        peephole=False,
        residual=0,
        layer_norm=None,
        attention_heads=0,
        pooling="last",
        patch_length=1,
        input_scaling="standard",
        window_norm=None,
        target_column=None,
        linear_skip=0,
        loss="squared_error",
        quantile=0.5,
        huber_delta=1.0,
        training="windows",
        sequence_length=32,
        bptt_steps=32,
        dropout=0.0,
        recurrent_dropout=0.0,
        weight_dropout=0.0,
        zoneout=0.0,
        weight_init="glorot",
        solver="adamw",
        learning_rate_init=1e-3,
        learning_rate="constant",
        weight_decay=0.01,
        max_grad_norm=1.0,
        batch_size="auto",
        accumulation_steps=1,
        max_iter=100,
        shuffle=True,
        early_stopping="auto",
        validation_fraction=0.1,
        n_iter_no_change=10,
        tol=1e-4,
        warm_start=False,
        carry_context=False,
        dtype="float32",
        n_jobs=None,
        random_state=None,
        verbose=False,
    ):
        self._keep(locals())

    def _targets(self):
        return NumberTargets(self)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, *, sample_weight=None, groups=None):
        """Go on training for one epoch over these data.

        The first call decides the network's shapes and what the columns of X are standardised by, but for columns that
        it saw one value of: their scale follows. What targets are measured by follows all rows so far: where it was
        unknown (a constant), or their deviation has grown to over three times `target_scale_`, both become those of all
        rows, the head is rescaled so that the answers stay [33]_, and the solver starts anew. Otherwise solver,
        ``max_grad_norm="adaptive"`` and ``learning_rate="reduce_on_plateau"`` keep what they know of the steps so far,
        and weights count against the mean weight of all samples so far. n calls with the same data are n epochs
        of a `fit` without early stopping, bit for bit.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            As in `fit`. Windows begin at the first row of this X: hand over blocks that are long against
            `sequence_length`. So do the states with ``training="stateful"``: they are zero before each block.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Weights of the samples in the loss, or of each of their outputs; None for equal weights. What has weight 0
            is not there: its target may be NaN.
        groups : array-like of shape (n_samples,), default=None
            One label per row of a table.

        Returns
        -------
        self : object
            The estimator.
        """
        return partial_fit(self, Given(X, y, sample_weight, groups))

    def predict(self, X, *, groups=None, context=None, context_groups=None):
        """Predict one value (or one row of outputs) per row of a table, or per sequence.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            As in `fit`.
        groups : array-like of shape (n_samples,), default=None
            One label per row of a table.
        context : array-like of shape (n_rows, n_features), default=None
            The rows that came right before a table X, so that its first windows are full. The result equals, bit for
            bit, the prediction of the joined table without its first rows.
        context_groups : array-like of shape (n_rows,), default=None
            With groups, the label of each row of `context`: each group of X follows the rows of its label.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In the unit of y, float64; of several quantiles the median.
        """
        model = snapshot_of(self)
        return model._targets().decode(model._forward(X, groups, context, context_groups), "predict")

    @available_if(_has_quantiles)
    def predict_quantiles(self, X, *, groups=None, context=None, context_groups=None):
        """Predict all quantiles that were asked for, with ``loss="quantile"``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            As in `fit`.
        groups : array-like of shape (n_samples,), default=None
            One label per row of a table.
        context : array-like of shape (n_rows, n_features), default=None
            The rows that came right before a table X.
        context_groups : array-like of shape (n_rows,), default=None
            With groups, the label of each row of `context`: each group of X follows the rows of its label.

        Returns
        -------
        ndarray of shape (n_samples, n_quantiles) or (n_samples, n_outputs, n_quantiles)
            In the order of `quantile`, never decreasing along the last axis.
        """
        model = snapshot_of(self)
        return model._targets().decode(model._forward(X, groups, context, context_groups), "predict_quantiles")

    def score(self, X, y, sample_weight=None, *, groups=None, context=None, context_groups=None):
        """Return the coefficient of determination R^2 of the prediction.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            As in `fit`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True values.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Weights of the samples, or of each of their outputs. As in `fit`, what has weight 0 is not there.
        groups : array-like of shape (n_samples,), default=None
            One label per row of a table.
        context : array-like of shape (n_rows, n_features), default=None
            The rows that came right before X.
        context_groups : array-like of shape (n_rows,), default=None
            With groups, the label of each row of `context`: each group of X follows the rows of its label.

        Returns
        -------
        float
            R^2, averaged over outputs.
        """
        from sklearn.metrics import r2_score

        predicted = self.predict(X, groups=groups, context=context, context_groups=context_groups)
        look_at_score(X, y, sample_weight, groups)
        return weighted_score(r2_score, y, predicted, sample_weight, of_outputs=True)

    def __sklearn_tags__(self):
        """Say that several outputs are welcome."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
