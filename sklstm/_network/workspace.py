"""The working memory of a network: aligned blocks, allocated once and reused. Never pickled."""

import numpy as np

ALIGNMENT = 64


def aligned_empty(n_bytes):
    """Return `n_bytes` of uninitialised memory on a 64-byte boundary, as uint8."""
    block = np.empty(n_bytes + ALIGNMENT, np.uint8)
    offset = -block.ctypes.data % ALIGNMENT
    return block[offset : offset + n_bytes]


class Workspace:
    """Blocks that grow to the largest call and then stay.

    ``chunks`` holds what forward writes and backward reads, one part for each thread; ``slots`` holds the partial
    gradients.
    """

    def __init__(self):
        self.chunks = aligned_empty(0)
        self.slots = aligned_empty(0)

    def reserve(self, chunk_bytes, slot_bytes):
        """Make the blocks at least this large."""
        if len(self.chunks) < chunk_bytes:
            self.chunks = aligned_empty(chunk_bytes)
        if len(self.slots) < slot_bytes:
            self.slots = aligned_empty(slot_bytes)
