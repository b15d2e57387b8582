"""Classification with stacked LSTM layers."""

from numbers import Real

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils import assert_all_finite
from sklearn.utils._param_validation import Interval, StrOptions

from sklstm._base import BaseLSTM
from sklstm._fit_inputs import Given
from sklstm._fitting import partial_fit
from sklstm._scores import weighted_score
from sklstm._snapshot import snapshot_of
from sklstm._targets import LabelTargets
from sklstm._time_order import look_at_score
from sklstm._validation import naming


class DeepLSTMClassifier(ClassifierMixin, BaseLSTM):
    """Classification of the rows of time-ordered tables and of sequences with stacked LSTM layers.

    Rows of a table X are consecutive time steps. The sample of row i is the window of the last `sequence_length` rows
    that end at i, inside its group; the first rows of a group have shorter windows. There is one prediction per row,
    and no window looks ahead. A sample has one of several classes or, where y is a matrix of 0 and 1 with a column for
    each label, any number of labels (multilabel). Rows out of time order, where a pandas index shows it, are told by a
    `sklstm.TimeOrderWarning`.

    Parameters
    ----------
    hidden_size : int or sequence of int, default=64
        Units of each layer, any number (multiples of 16 waste nothing), or of the first, the second, ... layer.
    n_layers : int, default=1
        Number of stacked layers; each reads the output of the one below. Left at 1 where `hidden_size` is a sequence.
    bidirectional : bool, default=False
        Each layer also reads its input from the sequence's own last row to the first; both directions stand side by
        side, ``[h_forward; h_backward]`` [17]_. A window still ends at its row. There, where ``pooling="last"`` reads,
        the backward direction of the top layer has just begun; the other poolings read all of it.
    projection_size : int or None, default=None
        Each h is projected to so many numbers, ``h_t = W_hr (o * tanh(c_t))``, fewer than `hidden_size` [18]_.
    peephole : bool, default=False
        The gates see the cell: ``p_i * c_(t-1)`` is added inside i, ``p_f * c_(t-1)`` inside f, ``p_o * c_t`` inside o
        [19]_.
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
        d, with q, k, v from ``LN(y) + PE``, sines and cosines of the position [20]_: base 10000, counted from 0 at the
        sequence's own first step. A step sees itself and what came before; all steps with `bidirectional`. The number
        divides that of the top layer's outputs. 0 for no block.
    pooling : {"last", "mean", "attention"}, default="last"
        What the head reads of a sequence's steps: the last one, their mean, or ``sum_t a_t y_t`` with
        ``a = softmax(w . tanh(y_t))`` [21]_.
    patch_length : int, default=1
        Rows that the first layer reads at a time: the recurrence has so many times fewer steps [22]_. Patches end at
        the last row; where the first is not full, zeros stand for the rows that its window does not have.
    input_scaling : {"standard", "robust"} or None, default="standard"
        How each column of X is standardised inside, as y is: the network reads ``(x - input_mean_) / input_scale_``, in
        float64 and without a copy of X. "standard": mean and deviation over the rows of the training part, each row
        counted once. "robust": median, and distance of the quartiles over 1.349 (that of a normal distribution), which
        outliers do not move; where the quartiles are equal, the deviation. None: columns are read as they are.
    window_norm : {"last", "standard"} or None, default=None
        What each sequence is freed of before it is read. "last": its last row, as in NLinear [29]_ and SegRNN
        [22]_, and the deviation s of each column in the training data. "standard": its own mean and deviation, as in
        RevIN [23]_, here ``sqrt(var + (s / 10)**2)``: a window that is nearly constant does not blow up. Not with
        ``sequence_length=1``: nothing would be left.
    linear_skip : int, default=0
        The output also reads so many last rows directly, ``z + W_skip [x_(T-q+1), ..., x_T]`` after `window_norm`: an
        autoregression beside the network [24]_. Zeros stand for rows that do not exist. 0 for none.
    training : {"windows", "stateful"}, default="windows"
        "windows": the sample of each row is its window, read from zero states. "stateful": series are read from their
        first row to their last, each row once an epoch, and the states are carried, in `predict` too: no window, far
        less work. Gradients go back at most `bptt_steps` rows [25]_. Needs a table and ``shuffle=False``; `batch_size`
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
        The same on the way from h to the gates of the next step, one mask for all steps of a sequence [26]_.
        Without effect where sequences have one step.
    weight_dropout : float, default=0.0
        Share of the recurrent weights `weight_hh` that are zero for a batch, the others scaled up [27]_.
    zoneout : float, default=0.0
        Share of the units whose h and c stay what they were, step by step; predictions take the mean,
        ``zoneout * c_(t-1) + (1 - zoneout) * c_t`` [28]_.
    weight_init : {"glorot", "he"}, default="glorot"
        Initial weights of inputs and head, uniform within ``sqrt(6 / (fan_in + fan_out))``, each gate a matrix of its
        own [15]_, or ``sqrt(6 / fan_in)`` [16]_. Recurrent weights start orthogonal.
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
        Set the last part in time aside (of a list of sequences, the last ones of every class), stop when its score has
        not improved by `tol` for `n_iter_no_change` epochs, and restore the best epoch's parameters. "auto" does so
        from 200 samples on, unless the rows left out (below) would be more than a quarter. Otherwise training stops
        when the training loss no longer improves.
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
    class_weight : dict, list of dict, "balanced" or None, default=None
        Factor on the loss of each class; "balanced" is ``sum(weights) / (n_classes * sum(weights of the class))``: for
        two classes their ratio is the neg/pos weight of a weighted binary cross-entropy. Counted in the training part,
        also for the validation part. Of a matrix of labels, "balanced" for each label by itself, or a list with the
        dict of each label, ``{0: 1.0, 1: 5.0}``.
    label_smoothing : float, default=0.0
        The network is trained on ``(1 - e)`` times the label's own class (one-hot) plus ``e / K`` for each of the K
        classes, e being this number: no class is ever certain [14]_. Each label of a matrix counts as K = 2.
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
    classes_ : ndarray of shape (n_classes,) or (n_labels, 2)
        The labels, sorted. Of a matrix of labels the classes of each column, 0 and 1.
    parameters_ : dict of str to ndarray
        The network. Of each layer ``weight_ih_l0`` (4 hidden_size, n_features), ``weight_hh_l0`` (4 hidden_size,
        hidden_size) and ``bias_l0`` (4 hidden_size,), then ``_l1``, ...; at the end ``weight_out`` (n_outputs,
        features) and ``bias_out`` (n_outputs,), for the features that `transform` gives. Rows of the gates in the order
        i, f, g, o. Read-only. Some options add arrays or change shapes:

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
        With early stopping, the score of the validation part after each epoch of the last `fit`: 1 - log loss / log
        loss of the class shares in the training part, with `label_smoothing` both less the loss of a perfect network.
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
    DeepLSTMRegressor : The same for numbers.
    LSTMFeatureSelector : Chooses columns with temporal structure.
    WeightedEnsembleClassifier : Weighted mean with other models.
    sklstm.streaming.Stream : Rows that arrive one at a time, from the method `stream`.

    Notes
    -----
    A layer computes, from its input x_t and its states h, c of the step before [1]_ [2]_ [3]_::

        i, f, o = sigmoid(W_ih x_t + W_hh h_(t-1) + b)        g = tanh(W_ih x_t + W_hh h_(t-1) + b)
        c_t = f * c_(t-1) + i * g                             h_t = o * tanh(c_t)

    with one block of rows of W_ih, W_hh and b for each gate. The states start at zero at the first row of a sample's
    window. Without options, the head reads h of the top layer after the window's last row: one logit for two classes,
    one per class for more, trained on the log loss; one per label of a matrix, trained on the mean of their binary log
    losses. Initial weights are uniform (W_ih, head and other maps) and orthogonal (W_hh), the bias of the forget gate
    and the gains of normalisations are 1, all else is 0: other biases, peepholes, the vector of pooling, the linear
    skip.

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
    .. [14] C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens and Z. Wojna, "Rethinking the inception architecture for
       computer vision", CVPR 2016, section 7.
    .. [15] X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks",
       AISTATS 2010, eq. 16.
    .. [16] K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into rectifiers", ICCV 2015, eq. 10.
    .. [17] M. Schuster and K. K. Paliwal, "Bidirectional recurrent neural networks", IEEE Transactions on Signal
       Processing 45(11), 1997.
    .. [18] H. Sak, A. Senior and F. Beaufays, "Long short-term memory based recurrent neural network architectures for
       large vocabulary speech recognition", arXiv:1402.1128, 2014, eqs. 7 to 12.
    .. [19] F. A. Gers and J. Schmidhuber, "Recurrent nets that time and count", IJCNN 2000.
    .. [20] A. Vaswani et al., "Attention is all you need", NeurIPS 2017, eq. 1 and section 3.5.
    .. [21] P. Zhou et al., "Attention-based bidirectional long short-term memory networks for relation
       classification", ACL 2016, eqs. 9 to 11.
    .. [22] S. Lin et al., "SegRNN: segment recurrent neural network for long-term time series forecasting",
       arXiv:2308.11200, 2023.
    .. [23] T. Kim et al., "Reversible instance normalization for accurate time-series forecasting against distribution
       shift", ICLR 2022.
    .. [24] G. Lai, W.-C. Chang, Y. Yang and H. Liu, "Modeling long- and short-term temporal patterns with deep neural
       networks", SIGIR 2018, section 3.6.
    .. [25] R. J. Williams and J. Peng, "An efficient gradient-based algorithm for on-line training of recurrent network
       trajectories", Neural Computation 2(4), 1990.
    .. [26] Y. Gal and Z. Ghahramani, "A theoretically grounded application of dropout in recurrent neural networks",
       NeurIPS 2016.
    .. [27] S. Merity, N. S. Keskar and R. Socher, "Regularizing and optimizing LSTM language models", ICLR 2018.
    .. [28] D. Krueger et al., "Zoneout: regularizing RNNs by randomly preserving hidden activations", ICLR 2017, eqs.
       3 and 4.
    .. [29] A. Zeng, M. Chen, L. Zhang and Q. Xu, "Are transformers effective for time series forecasting?", AAAI 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import DeepLSTMClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(400, 2))
    >>> y = np.where(X[:, 0] + np.roll(X[:, 0], 1) > 0, "up", "down")  # this row and the row before
    >>> model = DeepLSTMClassifier(hidden_size=16, sequence_length=4, random_state=0).fit(X[:300], y[:300])
    >>> model.predict_proba(X[300:], context=X[:300]).shape
    (100, 2)
    >>> bool(model.score(X[300:], y[300:], context=X[:300]) > 0.8)
    True
    """

    _parameter_constraints = {
        **BaseLSTM._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
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
        linear_skip=0,
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
        class_weight=None,
        label_smoothing=0.0,
        warm_start=False,
        carry_context=False,
        dtype="float32",
        n_jobs=None,
        random_state=None,
        verbose=False,
    ):
        self._keep(locals())

    def _targets(self):
        return LabelTargets(self)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, *, classes=None, sample_weight=None, groups=None):
        """Go on training for one epoch over these data.

        Later calls go on with what solver, ``max_grad_norm="adaptive"`` and ``learning_rate="reduce_on_plateau"`` know
        of the steps so far, and weights, of samples and of classes, count against the mean weight of all samples so
        far. n calls with the same data are n epochs of a `fit` without early stopping, bit for bit.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            As in `fit`. Windows begin at the first row of this X: hand over blocks that are long against
            `sequence_length`. So do the states with ``training="stateful"``: they are zero before each block.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come. Needed in the first call if its y does not hold them all. Of a matrix of
            labels the numbers of its columns.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_labels), default=None
            Weights of the samples in the loss, or of each of their labels; None for equal weights. What has weight 0
            is not there: its target may be NaN.
        groups : array-like of shape (n_samples,), default=None
            One label per row of a table.

        Returns
        -------
        self : object
            The estimator.
        """
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' is not supported by partial_fit, which sees only a part of y. Compute the "
                "weights over all of y with sklearn.utils.compute_class_weight and hand them over as a dict."
            )
        if classes is None:
            return partial_fit(self, Given(X, y, sample_weight, groups))
        if np.ndim(classes) != 1:
            raise ValueError(f"classes must be 1-D, the labels that will ever come; its shape is {np.shape(classes)}.")
        with naming("classes"):
            assert_all_finite(np.asarray(classes), input_name="classes")
            classes = np.unique(classes)
        if hasattr(self, "classes_"):
            known = self.classes_ if self.classes_.ndim == 1 else np.arange(len(self.classes_))
            if not np.array_equal(classes, known):
                raise ValueError(f"classes={classes.tolist()} differs from the earlier calls' {known.tolist()}.")
            return partial_fit(self, Given(X, y, sample_weight, groups))
        if len(classes) < 2:
            raise ValueError(f"classes needs at least 2 labels, found {classes.tolist()}.")
        return partial_fit(self, Given(X, y, sample_weight, groups), classes_=classes)

    def predict_proba(self, X, *, groups=None, context=None, context_groups=None):
        """Predict class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            As in `fit`.
        groups : array-like of shape (n_samples,), default=None
            One label per row of a table.
        context : array-like of shape (n_rows, n_features), default=None
            The rows that came right before a table X, so that its first windows are full.
        context_groups : array-like of shape (n_rows,), default=None
            With groups, the label of each row of `context`: each group of X follows the rows of its label.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`, float64. Where y is a matrix of labels, the probability of each.
        """
        model = snapshot_of(self)
        return model._targets().decode(model._forward(X, groups, context, context_groups), "predict_proba")

    def predict_log_proba(self, X, *, groups=None, context=None, context_groups=None):
        """Predict the logarithms of class probabilities.

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
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        model = snapshot_of(self)
        return model._targets().decode(model._forward(X, groups, context, context_groups), "predict_log_proba")

    def predict(self, X, *, groups=None, context=None, context_groups=None):
        """Predict the most probable class per row of a table, or per sequence.

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
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            Labels from `classes_`, or the matrix that holds 1 where a label is more probable than not.
        """
        model = snapshot_of(self)
        return model._targets().decode(model._forward(X, groups, context, context_groups), "predict")

    def score(self, X, y, sample_weight=None, *, groups=None, context=None, context_groups=None):
        """Return the accuracy of the prediction.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            As in `fit`.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            True labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples. As in `fit`, what has weight 0 is not there.
        groups : array-like of shape (n_samples,), default=None
            One label per row of a table.
        context : array-like of shape (n_rows, n_features), default=None
            The rows that came right before X.
        context_groups : array-like of shape (n_rows,), default=None
            With groups, the label of each row of `context`: each group of X follows the rows of its label.

        Returns
        -------
        float
            Share of right labels; of samples with all labels right, where y is a matrix of labels.
        """
        from sklearn.metrics import accuracy_score

        predicted = self.predict(X, groups=groups, context=context, context_groups=context_groups)
        look_at_score(X, y, sample_weight, groups)
        return weighted_score(accuracy_score, y, predicted, sample_weight)

    def __sklearn_tags__(self):
        """Say that a sample may have several labels."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
