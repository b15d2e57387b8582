"""Loss and gradient of one sequence, or of one row with the states before it, for models that learn online."""

import numpy as np

from sklstm._kernels.optim._updates import FactoredGradient


class OneRow:
    """Training calls of a network for a single target, whose arguments are made once.

    Parameters
    ----------
    network : Network
        Without dropout.
    loss, loss_parameter : str, float or ndarray of shape (n_outputs,)
        As in `Network.loss_and_gradient`, and so is `neighbours`.
    neighbours : bool, default=False

    Notes
    -----
    The gradient of a weight matrix by one row is the outer product of two rows. Where the layers allow it, it is left
    as these: a pass over all weights that writes it, and two that read it, are saved.
    """

    def __init__(self, network, loss, loss_parameter, neighbours=False):
        self._network, self._stack = network, network._stack
        self._options = {"loss": loss, "loss_parameter": loss_parameter, "neighbours": neighbours}
        self._first, self._ids = np.zeros(1, np.intp), np.zeros(1, np.uint32)
        self._n_factors, self._length, self._slots = network._stack.outer_products, None, None
        self._lengths = self._gradient = None

    def loss_and_gradient(self, table, states, target, weight, scale):
        """Compute the weighted loss and its gradient.

        Parameters
        ----------
        table : ndarray of shape (n_rows, n_features)
            The sequence, in C order.
        states : ndarray of shape (1, n_states) or None
            Before a single row; None for a sequence, which begins with zeros.
        target : ndarray of shape (1, n_outputs)
        weight : ndarray of shape (1,)
        scale : float
            Factor on the weight.

        Returns
        -------
        value : float
        gradient : ndarray or FactoredGradient
            For the optimizer; the next call of the network overwrites it.
        states : ndarray of shape (1, n_states) or None
            Behind the row, a new array.
        """
        network, final = self._network, None if states is None else np.empty_like(states)
        workspace = network._workspace
        if self._slots is not workspace.slots or self._length != len(table):
            self._reserve(table, states)
        value = self._stack.forward_backward(
            table,
            table.shape[1],
            self._first,
            self._lengths,
            workspace.chunks,
            network.n_threads,
            max_steps=self._length,
            slots=workspace.slots,
            targets=target,
            weights=weight,
            scale=scale,
            sample_ids=self._ids,
            initial_state=states,
            final_state=final,
            first_rows=None if states is None else self._first,
            factored=self._gradient,
            **self._options,
        )
        return value, network.gradient if self._gradient is None else self._gradient, final

    def _reserve(self, table, states):
        """Make room, once and where other calls of the network have taken other memory since."""
        network, self._length = self._network, len(table)
        n_bytes, slot_bytes, _ = self._stack.workspace_bytes(
            1, self._length, training=True, neighbours=self._options["neighbours"], table=table
        )
        network._workspace.reserve(n_bytes * network.n_threads, slot_bytes)
        network.reserve_transposed()
        self._slots, self._lengths = network._workspace.slots, np.full(1, self._length, np.intp)
        n_parts, n_numbers = self._n_factors
        is_factored = n_parts and self._length == 1 and states is not None
        self._gradient = FactoredGradient(network.gradient, n_parts, n_numbers) if is_factored else None
