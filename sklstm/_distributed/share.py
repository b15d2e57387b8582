"""A share of a batch: the gradient slots that one of several processes computes."""

import numpy as np

from sklstm._network.network import Network
from sklstm._network.workspace import aligned_empty

# Bytes of a gradient that are on their way at once, from one process to the next.
BLOCK_BYTES = 1 << 17


def slots_of(rank, n_shares, n_slots):
    """Return the first gradient slot of a share, and the end; the first share has one always."""
    return -(-n_slots * rank // n_shares), -(-n_slots * (rank + 1) // n_shares)


class NetworkShare(Network):
    """A network that computes some of the gradient slots of each batch, not added up.

    Slots are sums over fixed chunks of a batch. Their sum in the order of the slots, over all shares, has the bits of
    the gradient that a `Network` computes.

    Parameters
    ----------
    layout : ParameterLayout
    dtype : "float32", "float64" or "bfloat16"
    n_threads : int
    rank, n_shares : int
        Which share this is, of how many.
    **options
        Of `Network`.

    Attributes
    ----------
    losses : ndarray of shape (n_chunks,)
        Of the last batch the loss of each chunk, 0 for those of other shares.
    """

    def __init__(self, layout, dtype, n_threads, rank, n_shares, **options):
        super().__init__(layout, dtype, n_threads, **options)
        self.rank, self.n_shares = rank, n_shares
        self.losses = self._chunk_of = None
        self._own, self._slots = (0, 0), aligned_empty(0)

    def train_share(self, table, starts, lengths, ids, noise, neighbours, **more):
        """Compute the slots of this share; the arguments are those of `Network.steps_loss_and_gradient`.

        Initial and final states are `initial_state` and `final_state` here.
        """
        self._train(table, starts, lengths, ids, noise, neighbours, **more)

    def answer(self, sequences):
        """Return the outputs of sequences, with weights that have just been received."""
        self._stack.weights_changed()
        return self.forward(sequences)

    def _forward_backward(self, *batch, **more):
        n_samples = len(batch[2])
        n_chunks, chunk_size, n_slots = self._stack.training_chunks(n_samples)
        self._own = first, end = slots_of(self.rank, self.n_shares, n_slots)
        self.losses = np.zeros(n_chunks)
        self._chunk_of = np.arange(n_samples) // chunk_size, n_slots
        if len(self._slots) < (1 + end - first) * self.weights.nbytes:
            self._slots = aligned_empty((1 + end - first) * self.weights.nbytes)
        if first == end:
            return 0.0
        # Before them is room for the sum over the shares before.
        slots = self._slots[self.weights.nbytes :]
        options = {"slots": slots, "slot_range": self._own, "chunk_losses": self.losses}
        return self._stack.forward_backward(*batch, **options, **more)

    def _mask_gradient(self, mask):
        # Of the whole gradient, by who receives it.
        pass

    def add_to(self, losses, states, own_states):
        """Put what this share computed beside that of the shares before it, in place."""
        losses += self.losses
        if states is not None:
            chunks, n_slots = self._chunk_of
            own = (chunks % n_slots >= self._own[0]) & (chunks % n_slots < self._own[1])
            states[own] = own_states[own]

    def blocks_of_sum(self, receive):
        """Yield the gradient, summed up to this share, block by block.

        Parameters
        ----------
        receive : callable or None
            ``receive(block)`` fills it with the sum of the shares before; None for the first share.
        """
        n_own, n = self._own[1] - self._own[0], len(self.weights)
        rows = self._slots[: (1 + n_own) * self.weights.nbytes].view(self.dtype).reshape(1 + n_own, n)
        size = BLOCK_BYTES // self.dtype.itemsize
        for begin in range(0, n, size):
            block = rows[:, begin : begin + size]
            total, own = (block[1], block[2:]) if receive is None else (block[0], block[1:])
            if receive is not None:
                receive(total)
            for row in own:
                total += row
            yield total
