"""Training of one model in many small updates: its network, optimizer and targets are kept from one to the next."""

from dataclasses import replace

import numpy as np

from sklstm._batch_size import n_in_batches
from sklstm._callbacks.support import has_callbacks
from sklstm._dtypes import array_dtype
from sklstm._fitted import empty_network
from sklstm._fitting import encode, learn_inputs
from sklstm._kernels.core._pool import resolve_num_threads
from sklstm._network.parameters import ParameterLayout
from sklstm._network.workspace import aligned_empty
from sklstm._network_training import Plan, settings_of
from sklstm._online.row_updates import RowUpdates
from sklstm._parts import Part
from sklstm._seeds import n_networks
from sklstm._sequences import Sequences
from sklstm._snapshot import snapshot_of
from sklstm._training.divergence import check_last_step
from sklstm._training.loop import TrainingSchedule, run_epoch
from sklstm._training.optimizers import OPTIMIZERS, AdamW
from sklstm._training.passes import PASSES
from sklstm._training.sample_weights import MeanWeight, in_unit_range

# Cells whose h is a product of numbers within -1 and 1, or a mean of such.
BOUNDED = ("lstm", "gru", "gru_reset_before", "mgu", "elman")
_OPTIONS_OF_OTHERS = {"window_norm": None, "group_scaling": None, "decoder": "direct", "recurrent_constraint": None}


def is_plain(model):
    """Return whether the updates of a model, which has been updated before, can be made by a `Session`.

    Others are made by `update`: of several networks, with callbacks, or with options that look at more than one
    network and its samples.
    """
    options = all(getattr(model, name, plain) == plain for name, plain in _OPTIONS_OF_OTHERS.items())
    state = getattr(model, "_training_state", {})
    loop = state.get("loop") or {}
    return (
        options
        and not has_callbacks(model)
        and n_networks(model) == model.n_seeds == 1
        and not (model.carry_context or model.verbose or model._architecture["linear_skip"])
        and set(state) == {"seed", "loop"}
        and loop.get("solver") == model.solver
        and {"moments", "loss", "schedule", "clipping", "mean_weight"} <= set(loop)
        and OPTIMIZERS[model.solver].use_average is AdamW.use_average
    )


class NeedsUpdate(Exception):  # no error: the caller goes another way
    """An update changes more than the parameters: `update` has to make it, on the model."""


class Session:
    """Updates of a model, each with the bits of `update`.

    Parameters
    ----------
    model : estimator
        Such that `is_plain`; it is not changed.
    """

    def __init__(self, model):
        self._model = snapshot_of(model)
        self._layout = ParameterLayout(**model._architecture)
        n_threads = resolve_num_threads(model.n_jobs)
        self.network = empty_network(model, self._layout, model.dtype, n_threads)
        self.network.load(self._layout.flatten(model.parameters_, array_dtype(model.dtype)).copy())
        self._targets, self.loop = self._new_targets(), model._training_state["loop"]
        self.mean_weight = MeanWeight(self.loop["mean_weight"])
        self.optimizer, self._settings = None, None
        self._row_updates = None  # once one row has been learnt alone
        self._losses, self._norms = [], []
        # What an update that has not ended began with; and what the last one gives, which is taken over in parts.
        self._before, self._rooms, self._result = None, [], None

    def _new_targets(self):
        targets = self._model._targets()
        targets.n_networks = 1
        return targets

    def update(self, table, rows, y, states=None, number=None):
        """Train for one epoch on some rows of a table, see `update`.

        In stateful training `states` (1, n_states) are those before the first row, None for zeros. Returns those behind
        the last row, None for windows. An update of the same `number` as the last one, which was interrupted when it
        had been made, is not made again.

        Raises
        ------
        NeedsUpdate
            If scales change; nothing has changed then.
        ValueError
            If training diverges; nothing has changed then.
        """
        self._settle()
        if not self._has_made(number):
            try:
                self._keep_result(number, self._result_of(table, rows, y, states))
            except BaseException:
                self._targets = None
                raise
        self._settle()
        return self.last_states

    def has_made_row(self, table, y, states, number=None):
        """Do what `update` does for the last row of a table, faster; return whether it was done.

        In stateful training the row stands alone. False, with nothing changed, where `update` has to do it.
        """
        self._settle()
        if not self._has_made(number):
            result = self._result_of_row(table, y, states)
            if result is None:
                return False
            self._keep_result(number, result)
        self._settle()
        return True

    @property
    def last_states(self):
        """Those behind the last row of the last update, None for windows."""
        return self._result["states"]

    def _has_made(self, number):
        return number is not None and self._result is not None and self._result["number"] == number

    def _keep_result(self, number, result):
        self._result = {"number": number, "is_taken": False, "n_before": len(self._losses), **result}

    def _settle(self):
        """Take over the result of the last update, in steps that can be repeated; undo one that was interrupted."""
        result = self._result
        if result is not None and not result["is_taken"]:
            self._model.__dict__.update(result["fitted"])
            self.mean_weight, self.loop = result["mean_weight"], result["loop"]
            self._losses[result["n_before"] :], self._norms[result["n_before"] :] = [result["loss"]], [result["norm"]]
            self._before = None
            result["is_taken"] = True
        elif self._before is not None:
            self.put_back()
            self._targets = None

    def _result_of_row(self, table, y, states):
        if self._row_updates is None:
            return None
        y = np.asarray(y, np.float64).reshape(-1)
        fitted = self._row_updates.learn_scales(self._model, table, y)
        target = None if fitted is None else self._row_updates.encoded(y)
        result = None if target is None else self._row_updates.train(self, table, target, states)
        if result is None:
            return None
        self._targets = None
        return {**result, "fitted": fitted}

    def _result_of(self, table, rows, y, states):
        """Train, and return what then is to be taken over."""
        model = self._model
        ends = np.flatnonzero(rows)
        part = Part(self._sequences(table, ends), y[rows], np.full(len(ends), 0.5), 1, ends)
        targets = self._targets = self._new_targets() if self._targets is None else self._targets
        part = targets.start(part, getattr(model, "feature_names_in_", None))
        targets.learn_groups(part)
        weights = targets.learn_weights(part)
        weights = weights if weights.ndim == 1 else weights.mean(axis=1)
        inputs = learn_inputs(model, part, weights, continued=True, running=True)
        is_same = (inputs.scale == model.input_scale_).all() and (inputs.mean == model.input_mean_).all()
        if not is_same or targets.learn(part, inputs, running=True) is not None or not self._has_same_unit():
            raise NeedsUpdate
        samples = encode(part, targets, inputs, array_dtype(model.dtype))
        result = self._train(samples, states)
        is_row = len(ends) == 1 and (len(table) == 1 or model.training == "windows")
        if is_row and self._row_updates is None and RowUpdates.suit(self.network, model, targets, self._settings):
            self._row_updates = RowUpdates(self.network, model, targets, self._settings)
        return {**result, "fitted": {**targets.fitted(), "_input_moments": dict(vars(inputs.moments))}}

    def _sequences(self, table, ends):
        """Return the sequences that end at some rows of a table."""
        starts, gap = np.zeros_like(ends), 0
        if self._model.training == "windows":
            gap = self._model.sequence_length - 1
            starts = np.maximum(0, ends - gap)
        return Sequences(table, starts, ends - starts + 1, np.array([0, len(ends)], np.intp), gap)

    def _has_same_unit(self):
        """Return whether targets are measured as before."""
        before, after = self._model.__dict__, self._targets.fitted()
        return all(
            np.array_equal(before[name], after[name]) for name in ("target_mean_", "target_scale_") if name in after
        )

    def _train(self, samples, states):
        """Train for one epoch; return what is to be taken over. An error leaves all as it was."""
        weights, exponent = in_unit_range(samples.weights)
        settings = self._settings_for(samples)
        samples = replace(samples, weights=weights.astype(self.network.dtype))
        mean_weight = MeanWeight(self.mean_weight.state)
        mean = mean_weight.include(samples.weights, exponent + samples.exponent)
        factor = mean / float(samples.weights.mean(dtype=np.float64))
        passes = PASSES[settings.training](self.network, samples, settings, mean)
        if states is not None:
            passes.first_states = states
        if self.optimizer is None:
            decay = self._model.weight_decay_
            self.optimizer = OPTIMIZERS[settings.optimizer](self.network, decay, self.loop["moments"])
        schedule = TrainingSchedule(settings, passes.n_steps, self.loop)
        epoch = self._model.n_iter_ + len(self._losses)
        self.keep(settings.recurrent_bound)
        try:
            loss, norm = run_epoch(passes, self.optimizer, epoch, schedule)
            schedule.schedule.observe(factor * loss)
            if not self.is_surely_finite:
                with np.errstate(over="ignore", invalid="ignore"):
                    check_last_step(passes, self._predict_newest(samples.sequences), epoch)
        except BaseException:
            self.put_back()
            raise
        return {
            "mean_weight": mean_weight,
            "loop": {**self.loop, **schedule.state},
            "loss": factor * loss,
            "norm": norm,
            "states": passes.final_states if settings.training == "stateful" else None,
        }

    def _predict_newest(self, sequences):
        """Return what the network now says of the newest sample, or of its last row alone where that says as much.

        It does where h is within -1 and 1 whatever the states: the output is finite if the weights are.
        """
        model, end = self._model, int(sequences.starts[-1] + sequences.lengths[-1])
        length = min(int(sequences.lengths[-1]), model.bptt_steps if model.training == "stateful" else end)
        length = 1 if model._architecture["cell"] in BOUNDED else length
        newest = Sequences(sequences.table, np.array([end - length]), np.array([length]), np.array([0, 1]))
        states = np.zeros((1, self.network.n_states), self.network.dtype) if model.training == "stateful" else None
        return self.network.forward(newest, states=states)

    @property
    def is_surely_finite(self):
        """Whether what the network now says is finite, whatever it reads.

        It is where h is bounded and the sum of the squares of the weights is finite: numbers that are read are no
        larger than `largest_input`, which leaves room for their products with such weights.
        """
        network, shape = self.network, self.network.architecture
        is_bounded = shape.cell in BOUNDED and network.reads_row_by_row and shape.norm is None
        return is_bounded and self.optimizer.is_finite

    def is_finite_behind(self, table):
        """Return whether what the network now says of the last row of a table is finite."""
        n = len(table)
        with np.errstate(over="ignore", invalid="ignore"):
            z = self._predict_newest(Sequences(table, np.zeros(1, np.intp), np.array([n]), np.array([0, 1])))
        return bool(np.isfinite(z).all())

    def _settings_for(self, samples):
        lengths = n_in_batches(self._model, samples), int(samples.sequences.lengths.max())
        if self._settings is None or lengths != self._lengths:
            fields = dict.fromkeys(Plan._fields)
            fields |= {"layout": self._layout, "targets": self._targets, "samples": samples, "max_iter": 1}
            plan = Plan(**fields | {"continued": True, "keep_state": True})
            self._settings = settings_of(plan, self._model, seed=self._model._training_state["seed"], label="")
            self._lengths = lengths
        return self._settings

    def keep(self, bound=None):
        """Let what an update changes be written to other arrays, which are allocated once."""
        weights, (vectors, n_steps) = self.network.weights, self.optimizer.vectors_and_steps
        self._before = weights, (vectors, n_steps)
        if not self._rooms:
            room = aligned_empty(weights.nbytes).view(weights.dtype)
            more = {name: aligned_empty(vector.nbytes).view(vector.dtype) for name, vector in vectors.items()}
            self._rooms = [(weights, vectors), (room, more)]
        room, vectors_room = self._rooms[self._rooms[0][0] is weights]
        if bound is None:
            self.optimizer.write_next_to(room, vectors_room)
            return
        # The bound depends on the length of the samples: weights are cut before the first step.
        np.copyto(room, weights)
        for name, vector in vectors.items():
            np.copyto(vectors_room[name], vector)
        self.network.use(room)
        self.optimizer.vectors_and_steps = vectors_room, n_steps
        self.optimizer.hold_bound(bound)

    def put_back(self):
        """Undo what an update has changed."""
        weights, of_optimizer = self._before
        self.network.use(weights)
        self.optimizer.vectors_and_steps = of_optimizer
        self._before = None

    def model(self):
        """Return the model as it is now, as `update` would have made it."""
        self._settle()
        if self._losses:
            self._model = self._trained()
            self._losses, self._norms = [], []
        return self._model

    def _trained(self):
        made, model = snapshot_of(self._model), self._model
        flat = self.network.from_panels(self.network.weights)
        parameters = {name: view.copy() for name, view in self._layout.views(flat).items()}
        for array in parameters.values():
            array.flags.writeable = False
        n_iter, curve = model.n_iter_ + len(self._losses), model.loss_curve_ + self._losses
        state = {"moments": self.optimizer.state, "mean_weight": self.mean_weight.state}
        self.loop = {**self.loop, **state}
        made.__dict__.update(
            parameters_=parameters,
            n_iter_=n_iter,
            loss_curve_=curve,
            loss_=curve[-1],
            gradient_norms_=model.gradient_norms_ + self._norms,
            validation_scores_=None,
            validation_loss_curve_=None,
            best_validation_score_=None,
            best_iteration_=n_iter,
            best_loss_=min(curve),
            _training_state={"seed": model._training_state["seed"], "loop": self.loop},
        )
        return made
