"""Philox4x32 counter-based random bits.

A keyed bijection of 128-bit counters: the same counter and key give the same four words, whoever
asks and in whatever order.

References
----------
Salmon, J. K., Moraes, M. A., Dror, R. O., Shaw, D. E. (2011). Parallel Random Numbers: As Easy as
1, 2, 3. SC '11. (Section 3.3, with the multipliers and Weyl constants of the 4x32 variant.)
"""

import numpy as np

MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
# Golden ratio and sqrt(3) - 1, as fractions of 2**32.
KEY_STEPS = 0x9E3779B9, 0xBB67AE85
LOW_WORD = np.uint64(0xFFFFFFFF)
WORD_BITS = np.uint64(32)


def philox4x32(counter, key, n_rounds=10):
    """Four random 32-bit words for each counter.

    Parameters
    ----------
    counter : (..., 4) integers in [0, 2**32)
        Least significant word first.
    key : (..., 2) integers in [0, 2**32)
        Broadcasts against `counter`.
    n_rounds : int, default 10
        The number the authors recommend; 7 is the least that passes their tests.

    Returns
    -------
    (..., 4) array of uint32
    """
    # Words live in uint64, so that a product of two of them fits.
    x0, x1, x2, x3 = np.moveaxis(np.asarray(counter, dtype=np.uint64), -1, 0)
    k0, k1 = np.moveaxis(np.asarray(key, dtype=np.uint64), -1, 0)
    for _ in range(n_rounds):
        product_0 = MULTIPLIERS[0] * x0
        product_1 = MULTIPLIERS[1] * x2
        x0, x1, x2, x3 = (
            (product_1 >> WORD_BITS) ^ x1 ^ k0,
            product_1 & LOW_WORD,
            (product_0 >> WORD_BITS) ^ x3 ^ k1,
            product_0 & LOW_WORD,
        )
        k0 = (k0 + np.uint64(KEY_STEPS[0])) & LOW_WORD
        k1 = (k1 + np.uint64(KEY_STEPS[1])) & LOW_WORD
    return np.stack(np.broadcast_arrays(x0, x1, x2, x3), axis=-1).astype(np.uint32)
