"""The number format bfloat16 in NumPy, and its products with one rounding a step.

Written from the descriptions of VCVTNEPS2BF16 and VDPBF16PS in Intel's manual (volume 2): to nearest even, denormal
inputs and results zero.
"""

import numpy as np

SMALLEST_NORMAL = 2.0**-126
# A cast of a signalling NaN is told as an invalid operation.
SIGNALLING = np.errstate(all="ignore")


def bits(x):
    return np.ascontiguousarray(x, np.float32).view(np.uint32)


@SIGNALLING
def to_bfloat16(x):
    """Return the upper halves of float32 numbers, rounded, as uint16; a NaN stays one."""
    x = np.asarray(x, np.float32)
    exact = x.astype(np.float64)
    mantissa, exponent = np.frexp(exact)
    # 8 significant bits: an even number of units of the last place where two are equally near.
    rounded = np.ldexp(np.rint(mantissa * 256.0), exponent - 8).astype(np.float32)
    rounded = np.where(np.abs(exact) < SMALLEST_NORMAL, np.copysign(np.float32(0), x), rounded)
    upper = (bits(np.where(np.isfinite(x), rounded, x)) >> 16).astype(np.uint16)
    return np.where(np.isnan(x), upper | np.uint16(0x40), upper)


def from_bfloat16(numbers):
    return (np.asarray(numbers, np.uint16).astype(np.uint32) << 16).view(np.float32)


@SIGNALLING
def flushed(x):
    """Denormal numbers as zeros of their sign."""
    return np.where(np.abs(x) < SMALLEST_NORMAL, np.copysign(np.zeros_like(x), x), x)


def rounded_once(total, error):
    """Round the exact sum of two doubles, of which ``total`` has the leading bits, to float32; denormal ones to zero.

    To odd first: where something is lost, the last bit of the double is set, so that the second rounding sees no tie
    that is none. "Denormal" is decided after rounding to 24 bits.
    """
    pattern = total.copy().view(np.int64)
    is_even = np.isfinite(total) & (error != 0) & (pattern % 2 == 0)
    towards = np.where((error > 0) == (total > 0), 1, -1)
    total = np.where(is_even, (pattern + towards).view(np.float64), total)
    is_small = np.abs(total) < 1.0
    # 2^100: rounding to 24 bits happens among normal numbers.
    single = np.where(is_small, total * 2.0**100, total).astype(np.float32).astype(np.float64)
    single = np.where(is_small, single * 2.0**-100, single)
    return flushed(single).astype(np.float32)


@SIGNALLING
def fused_multiply_add(x, y, z):
    """x * y + z of float32 numbers with few bits in x and y: their product is exact in a double."""
    x, y, z = (flushed(np.asarray(v, np.float32)).astype(np.float64) for v in (x, y, z))
    product = x * y
    total = product + z
    part = total - product
    error = (product - (total - part)) + (z - part)
    return rounded_once(total, np.where(np.isfinite(error), error, 0.0))


def bfloat16_products(x, w, sums):
    """Add the products of pairs, the second one first: x (n, 2) and w (n, 2, m) are bfloat16, sums (n, m) float32."""
    x, w = from_bfloat16(x), from_bfloat16(w)
    inner = fused_multiply_add(x[:, 1, None], w[:, 1], sums)
    return fused_multiply_add(x[:, 0, None], w[:, 0], inner)
