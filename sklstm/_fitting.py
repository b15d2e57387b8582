"""How the estimators are fitted: samples, validation part, training. No maths."""

from dataclasses import asdict

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils import check_random_state

from sklstm._kernels.core._pool import resolve_num_threads
from sklstm._network.parameters import ParameterLayout
from sklstm._options import (
    describe_network,
    naming_sizes,
    refuse_exclusions,
    refuse_other_network,
    refuse_reach_beyond,
    warn_of_no_effect,
)
from sklstm._parts import Part, hold_out, refuse_lost_outputs
from sklstm._scaling import Moments, followed_scales, input_scales, moments_of, row_weights
from sklstm._snapshot import replace_fitted, snapshot_of
from sklstm._time_order import look_at_training, look_at_validation
from sklstm._training.loop import Samples, Settings, train
from sklstm._training.sample_weights import in_unit_range
from sklstm._training.schedules import SCHEDULES
from sklstm._validation import (
    check_kind,
    check_lengths_agree,
    check_range,
    check_sequences,
    check_weights,
    is_set_of_sequences,
    labels_of,
    refuse_target_per_row,
    warn_of_other_scale,
)
from sklstm._warn import warn_user


class FittingMixin:
    """The method `fit` of an estimator and what it is made of.

    A fit fills a scratch object, so that a failure leaves the estimator as it was.
    """

    def _scratch(self, *, continued):
        """Return a new estimator with these parameters; `continued`: with what was learnt, too."""
        before = snapshot_of(self)
        work = type(self)(**before.get_params(deep=False))
        if continued:
            work.__dict__.update(before.__dict__)
        return work

    def _adopt(self, work):
        replace_fitted(self, work.__dict__)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X,
        y,
        *,
        sample_weight=None,
        groups=None,
        X_val=None,
        y_val=None,
        sample_weight_val=None,
        groups_val=None,
    ):
        """Fit the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_sequences, n_steps, n_features), or list of 2-D arrays
            A table whose rows are consecutive time steps (the sample of row i is the window of the last
            `sequence_length` rows that end at i), or a set of sequences, each one sample. What draws rows of a table at
            random tears windows apart: `train_test_split` without ``shuffle=False``, `HalvingGridSearchCV` with its
            resource of rows, bagging and boosting by copies of rows, SMOTE. Where a pandas index shows rows out of
            order, or holes, a `TimeOrderWarning` tells.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            One target per row of a table, or per sequence.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Weights of the samples in the loss, or of each of their outputs; None for equal weights. What has weight 0
            is not there: its target may be NaN.
        groups : array-like of shape (n_samples,), default=None
            One label per row of a table; no window crosses from one group into another. The rows of a group follow
            each other.
        X_val, y_val, sample_weight_val, groups_val : array-like, default=None
            A validation part of your own instead of the last `validation_fraction` of the training data; it switches
            early stopping on. Its first windows begin at its first row, or at the first row of each group.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input is not as described, or if training diverges. What was fitted before is then still there.
        KeyboardInterrupt
            After Ctrl-C. If an epoch had been finished, the estimator is then fitted, by the finished epochs alone, and
            a warning names the last; otherwise it is as it was.
        """
        continued = self.warm_start and hasattr(self, "parameters_")
        work = self._scratch(continued=continued)
        part = work._check_part(X, y, sample_weight, groups, continued=continued)
        part = work._start_targets(part, continued=continued)
        if X_val is not None or y_val is not None:
            held_out = work._check_validation_part(X_val, y_val, sample_weight_val, groups, groups_val)
        else:
            for name, given in (("sample_weight_val", sample_weight_val), ("groups_val", groups_val)):
                if given is not None:
                    raise ValueError(f"{name} needs X_val and y_val.")
            part, held_out = work._hold_out(part)
        interrupt = work._fit_part(part, held_out, max_iter=self.max_iter, continued=continued, keep_state=False)
        self._adopt(work)
        if interrupt is not None:
            tell_of_interrupt(self, interrupt)
        return self

    def _partial_fit(self, X, y, sample_weight, groups, **known):
        """Train for one epoch; `known` are fitted attributes that the first call need not learn."""
        if not SCHEDULES[self.learning_rate].spans_calls:
            raise ValueError(
                f"partial_fit does not know how many epochs will come, which learning_rate={self.learning_rate!r} "
                "needs; use learning_rate='constant' or 'reduce_on_plateau'."
            )
        continued = hasattr(self, "parameters_")
        work = self._scratch(continued=continued)
        work.__dict__.update(known)
        memory = self._row_order if continued else None
        part = work._check_part(X, y, sample_weight, groups, continued=continued, memory=memory)
        part = work._start_targets(part, continued=continued)
        interrupt = work._fit_part(part, None, max_iter=1, continued=continued, keep_state=True)
        if interrupt is not None:
            raise interrupt
        return self._adopt(work)

    # What is handed over.

    def _check_part(self, X, y, sample_weight, groups, *, continued, memory=None):
        """Return what was handed over as a `Part`: checked, and without the samples of weight zero."""
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        is_set = is_set_of_sequences(X)
        if self.training == "stateful" and is_set:
            raise ValueError("training='stateful' goes with a 2-D table X, an output for each row; found sequences.")
        parameters = self.get_params(deep=False)
        refuse_exclusions(parameters)
        warn_of_no_effect(parameters)
        sequences = check_sequences(self, X, reset=not continued, groups=groups)
        if continued:
            check_kind(self._fitted_on, X)
        self._fitted_on = "sequences" if is_set else "table"
        refuse_target_per_row(X, y)
        if not is_set:
            refuse_reach_beyond(parameters)
        part = self._present(sequences, y, sample_weight, "y", is_set=is_set)
        if self.carry_context:
            self._carry_rows(X, sequences, groups)
        else:
            self.__dict__.pop("context_", None)
            self.__dict__.pop("context_groups_", None)
        self._row_order = look_at_training(
            X, y, sample_weight, groups, sequences, looks_back=self._looks_back(), memory=memory
        )
        return part

    def _check_validation_part(self, X_val, y_val, sample_weight_val, groups, groups_val):
        """Return the validation part that the user brought."""
        if X_val is None or y_val is None:
            raise ValueError("X_val and y_val go together, but only one of them was given.")
        if groups is not None and groups_val is None and not is_set_of_sequences(X_val):
            raise ValueError(
                "groups without groups_val: windows of X_val would cross from one series into another. Give "
                "groups_val, one label for each row of X_val."
            )
        sequences = check_sequences(self, X_val, groups=groups_val, name="X_val")
        is_set = is_set_of_sequences(X_val)
        check_kind(self._fitted_on, X_val, "X_val")
        refuse_target_per_row(X_val, y_val, "y_val")
        part = self._present(sequences, y_val, sample_weight_val, "y_val", is_set=is_set)
        look_at_validation(
            self._row_order, X_val, y_val, sample_weight_val, groups_val, sequences, looks_back=self._looks_back()
        )
        return self._counting_samples(part)

    def _present(self, sequences, y, sample_weight, name, *, is_set):
        """Return the samples of positive weight as a `Part`."""
        check_lengths_agree(len(sequences), y, name)
        weights = check_weights(sample_weight, len(sequences), f"sample_weight{name[1:]}")
        y = self._check_y(y, name, weights > 0)
        # Only ratios of weights count. In units of a power of two, which costs no bit, their sums do not overflow.
        weights, exponent = in_unit_range(weights)
        part = Part(sequences, y, weights, exponent, np.arange(len(sequences)), name, is_set)
        present = part.sample_weights > 0
        return part if present.all() else part.keep(present)

    def _looks_back(self):
        """Tell whether the sample of a row depends on the rows before it."""
        return self.training == "stateful" or self.sequence_length > 1

    def _carry_rows(self, X, sequences, groups):
        """Keep the last rows, of each group."""
        if is_set_of_sequences(X):
            raise ValueError("carry_context=True goes with a 2-D table X; a set of sequences has no rows to carry.")
        begins, ends = sequences.blocks[:-1], sequences.blocks[1:]
        counts = np.minimum(self.sequence_length - 1, ends - begins)
        rows = np.concatenate([np.arange(end - n, end) for end, n in zip(ends, counts, strict=True)])
        self.context_ = sequences.table[rows]
        self.context_.flags.writeable = False
        self.__dict__.pop("context_groups_", None)
        if groups is not None:
            self.context_groups_ = np.repeat(labels_of(groups)[begins], counts)

    def _hold_out(self, part):
        """Return the training part and the validation part, None without early stopping."""
        codes, classes = self._class_codes(part), getattr(self, "classes_", None)
        return hold_out(part, self.early_stopping, self.validation_fraction, codes, classes)

    # What is learnt from the training part, before training.

    def _fit_part(self, part, held_out, *, max_iter, continued, keep_state):
        """Learn scales and factors from the training part alone, encode both parts by them, and train.

        Returns what interrupted it, or None.
        """
        weights = self._learn_weights(part)
        weights = weights if weights.ndim == 1 else weights.mean(axis=1)
        self._learn_inputs(part, weights, continued=continued, running=keep_state)
        if held_out is not None and held_out.name == "y_val":
            warn_of_other_scale(self, held_out.sequences.table, "X_val")
        self._learn_targets(part, continued=continued, running=keep_state)
        samples, validation = self._encode(part), None if held_out is None else self._encode(held_out)
        if not keep_state:
            refuse_lost_outputs(samples.weights)
        with naming_sizes(self.get_params(deep=False)):
            return self._train(samples, validation, max_iter=max_iter, continued=continued, keep_state=keep_state)

    def _learn_inputs(self, part, weights, *, continued, running):
        """Learn what the columns of X are standardised by; `running`: in `partial_fit`."""
        needs_scale = self.window_norm is not None
        before = Moments(**self._input_moments) if continued else None
        if continued and not (running and (self.input_scaling or needs_scale)):
            return
        table, weights = part.sequences.table, row_weights(part.sequences, weights)
        moments = moments_of(table, weights, part.exponent, resolve_num_threads(self.n_jobs))
        if continued:
            moments = before.joined(moments)
            # What a whole fit has learnt by its scales stays.
            few, scales = self._training_state.get("loop") is not None, (self.input_mean_, self.input_scale_)
            mean, self.input_scale_ = followed_scales(*scales, before, moments, may_grow=few)
            self.input_mean_ = self.input_mean_ if self.input_scaling is None else mean
        else:
            self.input_mean_, self.input_scale_ = input_scales(
                table, weights, moments, self.input_scaling, needs_scale=needs_scale
            )
        self._input_moments = asdict(moments)
        self._freeze()

    def _encode(self, part):
        targets, weights = self._encode_targets(part)
        targets, names = np.ascontiguousarray(targets, self.dtype), (part.name.replace("y", "X"), part.name)
        return Samples(part.sequences, targets, weights, part.exponent, names)

    def _train(self, samples, held_out, *, max_iter, continued, keep_state):
        """Train from the current or from new parameters and set the fitted attributes; return what interrupted it."""
        loss, n_outputs = self._loss()
        loss_parameter = self._loss_parameter()
        parameters = self.get_params(deep=False)
        layout = ParameterLayout(**describe_network(parameters, samples.sequences.table.shape[1], n_outputs))
        if continued:
            flat = self._continue_from(layout)
            seed, state = self._training_state["seed"], self._training_state.get("loop")
        else:
            seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
            generator = np.random.Generator(np.random.Philox(key=seed))
            n_threads = resolve_num_threads(self.n_jobs)
            flat, state = layout.initial(generator, self.dtype, self.weight_init, n_threads), None
        n = self._n_read(samples)
        settings = Settings(
            loss=loss,
            batch_size=self._batch_size(n),
            max_iter=max_iter,
            shuffle=self.shuffle,
            learning_rate=self.learning_rate_init,
            weight_decay=self.weight_decay,
            max_grad_norm=self.max_grad_norm,
            dropout=float(self.dropout) if layout.architecture.n_layers > 1 else 0.0,
            tol=self.tol,
            n_iter_no_change=self.n_iter_no_change,
            seed=seed,
            verbose=bool(self.verbose),
            schedule=self.learning_rate,
            optimizer=self.solver,
            loss_parameter=loss_parameter,
            accumulation_steps=int(self.accumulation_steps),
            recurrent_dropout=float(self.recurrent_dropout),
            weight_dropout=float(self.weight_dropout),
            training=self.training,
            bptt_steps=min(int(self.bptt_steps), n),
        )
        network = self._empty_network(layout, self.dtype)
        columns = getattr(self, "feature_names_in_", None)
        check_range(network, samples.sequences.table, columns=columns)
        if held_out is not None and held_out.sequences.table is not samples.sequences.table:
            check_range(network, held_out.sequences.table, "X_val", columns)
        first_epoch = self.n_iter_ if continued else 0
        history = train(network, flat, samples, settings, held_out, first_epoch, state if keep_state else None)
        try:
            fitted = self._fitted_attributes(history, layout, flat, first_epoch)
        except KeyboardInterrupt as interrupt:
            # The training was over: what it has learnt is not thrown away.
            history.interrupt = interrupt
            fitted = self._fitted_attributes(history, layout, flat, first_epoch)
        self._training_state = {"seed": seed, "loop": history.state} if keep_state else {"seed": seed}
        self._architecture = asdict(layout.architecture)
        self.__dict__.update(fitted)
        return history.interrupt

    def _fitted_attributes(self, history, layout, flat, first_epoch):
        """Return what a training adds to the attributes of the first `first_epoch` epochs, which stay as they are."""
        parameters = {name: view.copy() for name, view in layout.views(flat).items()}
        for array in parameters.values():
            array.flags.writeable = False
        curve, norms = (getattr(self, name) if first_epoch else [] for name in ("loss_curve_", "gradient_norms_"))
        curve, scores = curve + history.loss_curve, history.validation_scores or None
        return {
            "parameters_": parameters,
            "n_iter_": first_epoch + history.n_epochs,
            "loss_curve_": curve,
            "loss_": curve[-1],
            "gradient_norms_": norms + history.gradient_norms,
            "validation_scores_": scores,
            "validation_loss_curve_": history.validation_losses or None,
            "best_validation_score_": None if scores is None else max(scores),
            "best_iteration_": first_epoch + history.best_epoch,
            "best_loss_": min(curve) if scores is None else None,
        }

    def _n_read(self, samples):
        """Return the number of samples, or of the rows of all series with ``training="stateful"``."""
        sequences = samples.sequences
        return int(sequences.series()[1].sum()) if self.training == "stateful" else len(sequences)

    def _batch_size(self, n_samples):
        if self.batch_size != "auto":
            return min(int(self.batch_size), n_samples)
        if self.training == "stateful":
            return automatic_stateful_batch_size(n_samples, self.bptt_steps)
        return automatic_batch_size(n_samples)

    def _continue_from(self, layout):
        """Return the fitted parameters as a new flat vector, if they are those of the network wanted now."""
        refuse_other_network(self._architecture, asdict(layout.architecture))
        return layout.flatten(self.parameters_, self.dtype).copy()


def tell_of_interrupt(model, interrupt):
    """Warn that a fit has ended early, with what the estimator now is, and let the interrupt go on."""
    which = f"{model.best_iteration_}, the best so far" if model.validation_scores_ else model.best_iteration_
    try:
        warn_user(
            f"fit was interrupted in epoch {model.n_iter_ + 1}; the estimator is fitted, with the parameters of epoch "
            f"{which}."
        )
    finally:
        # Where warnings are errors, too.
        raise interrupt


def automatic_batch_size(n_samples):
    """Return the size behind ``batch_size="auto"``: small data get small batches, so that an epoch has enough steps."""
    return int(np.clip(n_samples // 32, 8, 128))


def automatic_stateful_batch_size(n_samples, bptt_steps):
    """Return the same for ``training="stateful"``: few enough stretches that an epoch has some 32 steps."""
    return int(np.clip(n_samples // (32 * bptt_steps), 1, 32))
