"""How the estimators are fitted: samples, validation part, training. No maths."""

import warnings
from dataclasses import asdict

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils import check_random_state

from sklstm._kernels._pool import resolve_num_threads
from sklstm._network.parameters import ParameterLayout
from sklstm._options import (
    describe_network,
    refuse_exclusions,
    refuse_other_network,
    refuse_reach_beyond,
    warn_of_no_effect,
)
from sklstm._sequences import column_deviations
from sklstm._snapshot import replace_fitted, snapshot_of
from sklstm._training.loop import Samples, Settings, train
from sklstm._validation import (
    check_lengths_agree,
    check_sequences,
    check_weights,
    is_set_of_sequences,
)

# Below this many samples a validation part costs more accuracy than early stopping saves (doc/defaults.md).
AUTO_EARLY_STOPPING = 200
# The share of the rows that may lie between training and validation part before "auto" trains on all.
LARGEST_GAP = 0.25
WAYS_OUT = "set early_stopping=False, or bring your own validation part (X_val, y_val)"


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
            `sequence_length` rows that end at i), or a set of sequences, each one sample.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            One target per row of a table, or per sequence.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the loss; None for equal weights.
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
        """
        continued = self.warm_start and hasattr(self, "parameters_")
        work = self._scratch(continued=continued)
        samples = work._check_samples(X, y, sample_weight, groups, continued=continued)
        if X_val is not None or y_val is not None:
            held_out = work._check_validation_part(X_val, y_val, sample_weight_val, groups, groups_val)
        else:
            for name, given in (("sample_weight_val", sample_weight_val), ("groups_val", groups_val)):
                if given is not None:
                    raise ValueError(f"{name} needs X_val and y_val.")
            samples, held_out = work._hold_out(samples, is_set=is_set_of_sequences(X))
        work._train(samples, held_out, max_iter=self.max_iter, continued=continued, keep_moments=False)
        return self._adopt(work)

    def _partial_fit(self, X, y, sample_weight, groups, **known):
        """Train for one epoch; `known` are fitted attributes that the first call need not learn."""
        if self.learning_rate != "constant":
            raise ValueError(
                f"partial_fit does not know how many epochs will come, which learning_rate={self.learning_rate!r} "
                "needs; use learning_rate='constant'."
            )
        continued = hasattr(self, "parameters_")
        work = self._scratch(continued=continued)
        work.__dict__.update(known)
        samples = work._check_samples(X, y, sample_weight, groups, continued=continued)
        work._train(samples, None, max_iter=1, continued=continued, keep_moments=True)
        return self._adopt(work)

    def _check_samples(self, X, y, sample_weight, groups, *, continued):
        if self.carry_context and groups is not None:
            raise ValueError("carry_context=True cannot be combined with groups: whose rows to carry would be unclear.")
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        if self.training == "stream" and is_set_of_sequences(X):
            raise ValueError("training='stream' goes with a 2-D table X, an output for each row; found sequences.")
        parameters = self.get_params(deep=False)
        refuse_exclusions(parameters)
        warn_of_no_effect(parameters)
        sequences = check_sequences(self, X, reset=not continued, groups=groups)
        self._fitted_on = "sequences" if is_set_of_sequences(X) else "table"
        check_lengths_agree(len(sequences), y)
        weights = check_weights(sample_weight, len(sequences))
        self._window_scale = ()
        if self.window_norm is not None:
            learnt = self._architecture["window_scale"] if continued else ()
            self._window_scale = learnt or column_deviations(sequences.table)
        if not is_set_of_sequences(X):
            refuse_reach_beyond(parameters)
        y = self._check_y(y)
        self._learn_targets(y, weights, sequences, continued=continued)
        if self.carry_context:
            self.context_ = self._rows_to_carry(X, sequences)
        else:
            self.__dict__.pop("context_", None)
        return self._samples(sequences, y, weights)

    def _samples(self, sequences, y, weights, name="y"):
        targets, weights = self._encode_targets(y, weights, sequences, name)
        # Only ratios of weights count. A power of two, which costs no bit, brings them into the range of float32.
        weights = np.ldexp(weights, -np.frexp(weights.max())[1])
        return Samples(sequences, np.ascontiguousarray(targets, self.dtype), weights.astype(self.dtype))

    def _rows_to_carry(self, X, sequences):
        if is_set_of_sequences(X):
            raise ValueError("carry_context=True goes with a 2-D table X; a set of sequences has no rows to carry.")
        reach = self.sequence_length - 1
        rows = sequences.table[len(sequences.table) - min(reach, len(sequences.table)) :].copy()
        rows.flags.writeable = False
        return rows

    def _check_validation_part(self, X_val, y_val, sample_weight_val, groups, groups_val):
        """Return the validation samples that the user brought."""
        if X_val is None or y_val is None:
            raise ValueError("X_val and y_val go together, but only one of them was given.")
        if groups is not None and groups_val is None and not is_set_of_sequences(X_val):
            raise ValueError(
                "groups without groups_val: windows of X_val would cross from one series into another. Give "
                "groups_val, one label for each row of X_val."
            )
        sequences = check_sequences(self, X_val, groups=groups_val, name="X_val")
        check_lengths_agree(len(sequences), y_val, "y_val")
        weights = check_weights(sample_weight_val, len(sequences), "sample_weight_val")
        return self._samples(sequences, y_val, weights, "y_val")

    def _hold_out(self, samples, *, is_set):
        """Return the training samples and the validation samples, None without early stopping."""
        n, automatic = len(samples.sequences), self.early_stopping == "auto"
        if not self.early_stopping or (automatic and n < AUTO_EARLY_STOPPING):
            return samples, None
        codes = self._class_codes(samples.targets)
        if is_set and codes is not None:
            first, last = samples.sequences.split_last_of_classes(self.validation_fraction, codes)
        else:
            first, last = samples.sequences.split_last(self.validation_fraction)
        n_left_out = n - len(first) - len(last)
        if automatic and (len(last) == 0 or n_left_out > LARGEST_GAP * n):
            return samples, None
        if len(last) == 0:
            raise ValueError(
                f"early_stopping=True with validation_fraction={self.validation_fraction} leaves no training or no "
                f"validation sample of {n}{self._between_the_parts(samples)}."
            )
        if n_left_out > LARGEST_GAP * n:
            warnings.warn(
                f"early_stopping=True trains on {len(first)} of {n} rows{self._between_the_parts(samples)}.",
                UserWarning,
                stacklevel=4,
            )
        if not samples.weights[last].any() or not samples.weights[first].any():
            raise ValueError("early stopping: all weights of the training or of the validation part are zero.")
        if codes is not None:
            self._warn_of_lost_classes(codes, samples.weights > 0, first)
        return samples.take(first), samples.take(last)

    def _between_the_parts(self, samples):
        """Say which rows are neither trained on nor validated on, and what to do about it."""
        gap, n_blocks = samples.sequences.gap, len(samples.sequences.blocks) - 1
        if gap == 0:
            return ""
        groups = f" in each of {n_blocks} groups" if n_blocks > 1 else ""
        return (
            f": sequence_length - 1 = {gap} rows lie between the two{groups}. Take a shorter sequence_length, or "
            f"{WAYS_OUT}"
        )

    def _warn_of_lost_classes(self, codes, is_weighted, first):
        """Warn of classes all samples of which lie in the last part in time."""
        lost = np.setdiff1d(codes[is_weighted], codes[first][is_weighted[first]])
        if len(lost):
            warnings.warn(
                f"early stopping sets the last rows aside, and with them every sample of class "
                f"{self.classes_[lost].tolist()[0]!r}: it will not be learnt. Is y sorted by class? Then {WAYS_OUT}.",
                UserWarning,
                stacklevel=5,
            )

    def _train(self, samples, held_out, *, max_iter, continued, keep_moments):
        """Train from the current or from new parameters and set the fitted attributes."""
        loss, n_outputs = self._loss()
        loss_parameter = self._loss_parameter()
        parameters = self.get_params(deep=False)
        layout = ParameterLayout(
            **describe_network(parameters, samples.sequences.table.shape[1], n_outputs, self._window_scale)
        )
        if continued:
            flat = self._continue_from(layout)
            seed, moments = self._training_state["seed"], self._training_state.get("moments")
            if self._training_state["solver"] != self.solver:
                moments = None  # those of another solver mean something else
        else:
            seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
            generator = np.random.Generator(np.random.Philox(key=seed))
            n_threads = resolve_num_threads(self.n_jobs)
            flat, moments = layout.initial(generator, self.dtype, self.weight_init, n_threads), None
        n = len(samples.sequences)
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
        first_epoch = self.n_iter_ if continued else 0
        history = train(network, flat, samples, settings, held_out, first_epoch, moments if keep_moments else None)
        self._training_state = {"seed": seed, "solver": self.solver}
        self._architecture = asdict(layout.architecture)
        if keep_moments:
            self._training_state["moments"] = history.optimizer_state
        self._set_parameters(layout, flat)
        self.n_iter_ = first_epoch + history.n_epochs
        self.loss_curve_ = (self.loss_curve_ if continued else []) + history.loss_curve
        self.loss_ = history.loss_curve[-1]
        self.gradient_norms_ = (self.gradient_norms_ if continued else []) + history.gradient_norms
        scores = history.validation_scores or None
        self.validation_scores_ = scores
        self.best_validation_score_ = None if scores is None else max(scores)
        self.best_loss_ = min(self.loss_curve_) if scores is None else None

    def _batch_size(self, n_samples):
        if self.batch_size != "auto":
            return min(int(self.batch_size), n_samples)
        if self.training == "stream":
            return automatic_n_streams(n_samples, self.bptt_steps)
        return automatic_batch_size(n_samples)

    def _continue_from(self, layout):
        """Return the fitted parameters as a new flat vector, if they are those of the network wanted now."""
        refuse_other_network(self._architecture, asdict(layout.architecture))
        return layout.flatten(self.parameters_, self.dtype).copy()


def automatic_batch_size(n_samples):
    """Return the size behind ``batch_size="auto"``: small data get small batches, so that an epoch has enough steps."""
    return int(np.clip(n_samples // 32, 8, 128))


def automatic_n_streams(n_samples, bptt_steps):
    """Return the same for ``training="stream"``: few enough stretches that an epoch has some 32 steps."""
    return int(np.clip(n_samples // (32 * bptt_steps), 1, 32))
