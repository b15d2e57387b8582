"""Sequences: windows over a table, their split in time, groups."""

import numpy as np
import pytest
from reference.lstm import table_windows

from sklstm._sequences import Sequences, blocks_of_groups
from sklstm._shares import share_of

SEEDS = range(25)


def rows_of(sequences, selection=slice(None)):
    """Row numbers of each sequence."""
    pairs = zip(sequences.starts[selection], sequences.lengths[selection], strict=True)
    return [set(range(start, start + length)) for start, length in pairs]


def contents(sequences):
    return [sequences.table[start : start + n] for start, n in zip(sequences.starts, sequences.lengths, strict=True)]


def random_windows(seed):
    """A table of several groups, some shorter than a window."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 40, size=rng.integers(1, 6))
    groups = np.repeat(rng.permutation(len(sizes)), sizes)
    table = np.arange(2 * len(groups), dtype=float).reshape(-1, 2)
    length = int(rng.integers(1, 12))
    return Sequences.from_windows(table, length, blocks_of_groups(groups)), length, groups


@pytest.mark.parametrize("seed", SEEDS)
def test_windows_are_those_of_the_definition(seed):
    sequences, length, groups = random_windows(seed)
    expected = table_windows(sequences.table, length, groups)
    assert len(sequences) == len(groups)
    assert sequences.gap == length - 1
    for found, window in zip(contents(sequences), expected, strict=True):
        np.testing.assert_array_equal(found, window)


def test_one_block_without_groups():
    table = np.arange(7.0)[:, np.newaxis]
    sequences = Sequences.from_windows(table, 3)
    assert sequences.starts.tolist() == [0, 0, 0, 1, 2, 3, 4]
    assert sequences.lengths.tolist() == [1, 2, 3, 3, 3, 3, 3]
    assert sequences.blocks.tolist() == [0, 7]


def test_nothing_is_copied():
    table = np.zeros((50, 2))
    windows = Sequences.from_windows(table, 8)
    assert windows.table is table
    assert windows.take(np.array([3, 1])).table is table
    array = np.zeros((5, 4, 2))
    assert np.shares_memory(Sequences.from_array(array).table, array)


def test_arrays_and_lists_keep_each_sequence():
    rng = np.random.default_rng(0)
    array = rng.normal(size=(4, 3, 2))
    ragged = [rng.normal(size=(length, 2)) for length in (3, 1, 4)]
    for sequences, expected in ((Sequences.from_array(array), array), (Sequences.from_list(ragged), ragged)):
        assert len(sequences) == len(expected)
        assert sequences.gap == 0
        assert sequences.blocks.tolist() == [0, len(expected)]
        for found, one in zip(contents(sequences), expected, strict=True):
            np.testing.assert_array_equal(found, one)


def test_take_keeps_the_order_asked_for():
    sequences = Sequences.from_windows(np.arange(20.0).reshape(-1, 1), 4)
    taken = sequences.take(np.array([9, 2, 5]))
    assert len(taken) == 3
    assert taken.gap == 3
    assert rows_of(taken) == [{6, 7, 8, 9}, {0, 1, 2}, {2, 3, 4, 5}]


# The split in time


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.3, 0.7])
def test_no_row_is_in_both_parts(seed, fraction):
    sequences, _, _ = random_windows(seed)
    first, last = sequences.split_last(fraction)
    rows_first = set().union(*rows_of(sequences, first))
    rows_last = set().union(*rows_of(sequences, last))
    assert rows_first & rows_last == set()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.3, 0.7])
def test_each_block_gives_its_last_part_and_leaves_out_the_gap_alone(seed, fraction):
    sequences, length, _ = random_windows(seed)
    first, last = (set(part.tolist()) for part in sequences.split_last(fraction))
    for begin, end in zip(sequences.blocks[:-1], sequences.blocks[1:], strict=True):
        block = set(range(begin, end))
        n_last = share_of(fraction, len(block))
        if len(block) - n_last - (length - 1) < 1:
            assert block <= first  # too short to be split
            continue
        assert block & last == set(range(end - n_last, end))
        assert block & first == set(range(begin, end - n_last - (length - 1)))


def test_sets_of_sequences_have_no_gap():
    first, last = Sequences.from_array(np.zeros((10, 4, 2))).split_last(0.25)
    assert first.tolist() == list(range(7))
    assert last.tolist() == [7, 8, 9]


def test_the_shortest_table_that_can_be_split():
    """11 rows: 3 for the last part, a gap of 8, none left to train on."""
    first, last = Sequences.from_windows(np.zeros((11, 1)), 9).split_last(0.2)
    assert (first.tolist(), last.tolist()) == (list(range(11)), [])
    first, last = Sequences.from_windows(np.zeros((12, 1)), 9).split_last(0.2)
    assert (first.tolist(), last.tolist()) == ([0], [9, 10, 11])


# Groups

LABELS = {
    "int": np.array([3, 3, 1, 2, 2, 2]),
    "str": np.array(["z", "z", "a", "m", "m", "m"]),
    "bool and int": np.array([True, True, 7, False, False, False], object),
    "mixed": np.array(["z", "z", 1, None, None, None], object),
    "dates": np.array(["2020", "2020", "1999", "2021", "2021", "2021"], "datetime64[Y]"),
    "float": np.array([0.5, 0.5, -0.0, np.inf, np.inf, np.inf]),
}


@pytest.mark.parametrize("kind", LABELS)
def test_blocks_of_labels_of_any_kind(kind):
    blocks = blocks_of_groups(LABELS[kind])
    assert blocks.dtype == np.intp
    assert blocks.tolist() == [0, 2, 3, 6]


@pytest.mark.parametrize("kind", LABELS)
def test_a_label_in_two_blocks(kind):
    labels = np.concatenate([LABELS[kind], LABELS[kind][:1]])
    with pytest.raises(ValueError, match="comes in 2 separate blocks, which begin at rows 0, 6; the rows of a group"):
        blocks_of_groups(labels)


@pytest.mark.parametrize("label", ["north", 12])
def test_the_message_names_the_label_and_its_rows(label):
    labels = np.array([label, "x" if label == "north" else 0] * 5)
    message = f"groups: label {label!r} comes in 5 separate blocks, which begin at rows 0, 2, 4, ...; "
    with pytest.raises(ValueError, match=message):
        blocks_of_groups(labels)


def test_one_group_and_many_groups():
    assert blocks_of_groups(np.array(["a"] * 4)).tolist() == [0, 4]
    assert blocks_of_groups(np.arange(5)).tolist() == [0, 1, 2, 3, 4, 5]
