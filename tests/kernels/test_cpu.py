"""Which variants a CPU can run, by the registers of CPUID: machines that are not at hand, one missing bit each."""

import pytest

from sklstm._kernels import ALL_ISAS
from sklstm._kernels.core._cpu import isas_of, supported_isas

# Intel's manual, volume 2A, CPUID: the bit of each feature. Leaf 1 ECX, leaf 7 EBX, leaf 0x80000001 ECX.
LEAF1 = {
    "SSE3": 0, "SSSE3": 9, "FMA": 12, "SSE4.1": 19, "SSE4.2": 20, "MOVBE": 22, "POPCNT": 23, "OSXSAVE": 27, "AVX": 28,
    "F16C": 29,
}  # fmt: skip
LEAF7 = {"BMI1": 3, "AVX2": 5, "BMI2": 8}
LEAF7_512 = {"AVX512F": 16, "AVX512DQ": 17, "AVX512CD": 28, "AVX512BW": 30, "AVX512VL": 31}
# Leaf 7 ECX, and EAX of its subleaf 1.
VNNI, BF16 = {"AVX512_VNNI": 11}, {"AVX512_BF16": 5}
EXTENDED = {"LZCNT": 5}
# Volume 1, XCR0: SSE and AVX states, then opmask, the upper halves of 16 registers, and 16 more.
YMM, ZMM = {"SSE": 1, "AVX": 2}, {"opmask": 5, "ZMM_Hi256": 6, "Hi16_ZMM": 7}


def bits(*tables, without=None):
    return sum(1 << bit for table in tables for name, bit in table.items() if name != without)


def machine(**missing):
    tables = {
        "leaf1": (LEAF1,),
        "leaf7": (LEAF7, LEAF7_512),
        "leaf7_ecx": (VNNI,),
        "leaf7_1": (BF16,),
        "extended": (EXTENDED,),
        "saved": (YMM, ZMM),
    }
    return isas_of(*(bits(*one, without=missing.get(name)) for name, one in tables.items()))


def test_a_machine_with_everything_and_one_with_nothing():
    assert machine() == list(ALL_ISAS)
    assert isas_of(*[2**32 - 1] * 5, 2**64 - 1) == list(ALL_ISAS)
    assert isas_of(0, 0, 0, 0, 0, 0) == ["baseline"]
    assert supported_isas() in [list(ALL_ISAS[:n]) for n in range(1, 6)]


@pytest.mark.parametrize(
    ("register", "feature"),
    [("leaf1", f) for f in LEAF1]
    + [("leaf7", f) for f in LEAF7]
    + [("extended", "LZCNT")]
    + [("saved", f) for f in YMM],
)
def test_without_one_of_these_nothing_but_the_baseline_runs(register, feature):
    assert machine(**{register: feature}) == ["baseline"]


@pytest.mark.parametrize(("register", "feature"), [("leaf7", f) for f in LEAF7_512] + [("saved", f) for f in ZMM])
def test_without_one_of_these_there_is_no_avx512(register, feature):
    assert machine(**{register: feature}) == ["baseline", "x86_v3"]


@pytest.mark.parametrize(
    ("register", "feature", "expected"),
    [("leaf7_ecx", "AVX512_VNNI", ALL_ISAS[:3]), ("leaf7_1", "AVX512_BF16", ALL_ISAS[:4])],
)
def test_without_one_of_these_reduced_numbers_have_no_instruction(register, feature, expected):
    assert machine(**{register: feature}) == list(expected)
