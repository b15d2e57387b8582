"""The network of the process that trains: its gradients are computed by workers."""

from dataclasses import asdict

import numpy as np

from sklstm._kernels import ISA, REDUCED_ISA
from sklstm._kernels.network._stack import lanes_of
from sklstm._network.network import Network
from sklstm._network.noise import recurrent_weight_mask
from sklstm._network.workspace import aligned_empty

# With an output at every step, these go by row of the table and are the same in each step.
OF_THE_TABLE = ("targets", "weights")


# Fewer sequences than this for each worker are not worth sending.
FEWEST_SEQUENCES = 32


class DistributedNetwork(Network):
    """A network whose gradients are computed by the workers of a team, as are its outputs for the validation part.

    Parameters
    ----------
    team : Team
    layout : ParameterLayout
    dtype : "float32", "float64" or "bfloat16"
    n_threads : int
        Of what is computed here.
    **options
        Of `Network`.
    """

    def __init__(self, team, layout, dtype, n_threads, **options):
        super().__init__(layout, dtype, n_threads, **options)
        self._team = team
        self._gradient = aligned_empty(self.weights.nbytes).view(self.dtype)
        isa = REDUCED_ISA if dtype == "bfloat16" else ISA
        described = {"architecture": asdict(layout.architecture), "dtype": dtype, "isa": isa}
        scales = {name: np.asarray(value, np.float64) for name, value in options.items() if value is not None}
        team.make_network({**described, "lanes": lanes_of(dtype, isa)}, scales)

    @property
    def gradient(self):
        """The gradient of the last `loss_and_gradient`, packed as `weights` are; the next call overwrites it."""
        return self._gradient

    def forward(self, sequences, *, want_hidden=False, states=None, first_rows=None):
        """Run over all sequences, see `Network.forward`."""
        is_local = self._stack.every_step or want_hidden or states is not None or self.reference_columns is not None
        if is_local or len(sequences) < FEWEST_SEQUENCES * self._team.n_workers:
            return super().forward(sequences, want_hidden=want_hidden, states=states, first_rows=first_rows)
        out = np.empty((len(sequences), self.layout.n_outputs), self.dtype)
        kept = {"table": sequences.table}
        arrays = {"starts": sequences.starts, "lengths": sequences.lengths}
        ahead = self._ahead(sequences)
        if ahead:
            kept["ahead"], arrays["ahead_starts"] = ahead["ahead"], ahead["ahead_starts"]
        self._team.forward(self.weights, arrays, kept, out)
        return out

    def _train(self, table, starts, lengths, ids, noise, neighbours=False, **more):
        kept = {"table": table, "ahead": more.pop("ahead", None)}
        if self._stack.every_step:
            kept |= {name: more.pop(name) for name in OF_THE_TABLE}
        first_rows, states, final = (more.pop(name, None) for name in ("first_rows", "initial_state", "final_state"))
        arrays = {"starts": starts, "lengths": lengths, "ids": ids, "first_rows": first_rows}
        arrays |= {"initial_state": states, "ahead_starts": more.pop("ahead_starts", None)}
        # "weights" are those of the network here, behind what is small.
        arrays |= {"targets": more.pop("targets", None), "sample_weight": more.pop("weights", None)}
        arrays["weights"] = self.weights
        values = {
            "noise": [number.item() if isinstance(number, np.generic) else number for number in noise],
            "neighbours": bool(neighbours),
            "arguments": {name: np.asarray(value).tolist() for name, value in more.items()},
            "skip_is_frozen": bool(self._stack.skip_is_frozen),
        }
        arrays = {name: array for name, array in arrays.items() if array is not None}
        kept = {name: array for name, array in kept.items() if array is not None}
        losses, reached = self._team.step(values, arrays, kept, self._gradient, noise.epoch)
        self._stack.weights_changed()  # an optimizer changes them next
        if final is not None:
            final[:] = reached
        if noise.weight_dropout:
            self._gradient *= self.to_panels(recurrent_weight_mask(self.layout, noise))
        total = 0.0
        for loss in losses.tolist():  # in the order of the chunks, as the kernels add them up; `sum` rounds otherwise
            total += loss
        return total
