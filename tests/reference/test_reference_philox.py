"""The reference's random bits against the known answers of its authors."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from reference.philox import philox4x32

# Counter, key, words out: the file kat_vectors of the Random123 distribution. The last row of
# each is the digits of pi.
ZEROS = "00000000 00000000 00000000 00000000", "00000000 00000000"
ONES = "ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff"
DIGITS = "243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0"
KNOWN_ANSWERS = [
    (7, *ZEROS, "5f6fb709 0d893f64 4f121f81 4f730a48"),
    (7, *ONES, "5207ddc2 45165e59 4d8ee751 8c52f662"),
    (7, *DIGITS, "4dfccaba 190a87f0 c47362ba b6b5242a"),
    (10, *ZEROS, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    (10, *ONES, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (10, *DIGITS, "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text):
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("n_rounds", "counter", "key", "expected"), KNOWN_ANSWERS)
def test_philox_known_answers(n_rounds, counter, key, expected):
    assert philox4x32(words(counter), words(key), n_rounds).tolist() == words(expected)


def test_philox_of_many_counters():
    counters = np.random.default_rng(10).integers(0, 2**32, (2, 5, 4), dtype=np.uint32)
    found = philox4x32(counters, [1, 2])
    assert found.shape == (2, 5, 4)
    assert found.dtype == np.uint32
    for index in np.ndindex(2, 5):
        assert_array_equal(found[index], philox4x32(counters[index], [1, 2]))
