"""Calls of a learner as bytes, for its journal."""

import struct

import numpy as np

from sklstm._online.rows import AWARE, NAIVE, NUMBER

# What a record says: a row came; a row came with its truth; the truth of a row that waits came.
ROW, ROW_WITH_TRUTH, TRUTH = 1, 2, 3
_HEAD = struct.Struct("<BBHI")  # kind, kind of the time, bytes of the key, numbers held
_TRUTH = struct.Struct("<BQ")  # kind, number of the row
_TIMES = {None: 0, (NUMBER, int): 1, (NUMBER, float): 2, (NAIVE, int): 3, (AWARE, int): 4}
_KINDS = {code: kind for kind, code in _TIMES.items()}
_KEY_TYPES = {"i": int, "s": str}


def row_record(x, key, time, n_held, truth=None):
    """Return the record of a row, with its truth if that is given."""
    name = b"" if key is None else f"{'s' if isinstance(key, str) else 'i'}{key}".encode("utf-8", "surrogatepass")
    code, instant = 0, b""
    if time is not None:
        code = _TIMES[time[0], type(time[1])]
        instant = struct.pack("<d" if code == 2 else "<q", time[1])
    kind = ROW if truth is None else ROW_WITH_TRUTH
    end = b"" if truth is None else truth.tobytes()
    return _HEAD.pack(kind, code, len(name), n_held) + name + instant + x.tobytes() + end


def truth_record(number, truth):
    """Return the record of the truth of a row."""
    return _TRUTH.pack(TRUTH, number) + truth.tobytes()


def read_record(record, n_features):
    """Return the kind of a record, and what `row_record` or `truth_record` was given, by name."""
    if record[0] == TRUTH:
        _, number = _TRUTH.unpack_from(record)
        return TRUTH, {"number": number, "truth": np.frombuffer(record, np.float64, offset=_TRUTH.size)}
    kind, code, length, n_held = _HEAD.unpack_from(record)
    begin = _HEAD.size + length
    name = record[_HEAD.size : begin].decode("utf-8", "surrogatepass")
    key = _KEY_TYPES[name[0]](name[1:]) if name else None
    time = None
    if code:
        (value,) = struct.unpack_from("<d" if code == 2 else "<q", record, begin)
        time, begin = (_KINDS[code][0], value), begin + 8
    x = np.frombuffer(record, np.float64, n_features, begin).copy()
    read = {"x": x, "key": key, "time": time, "n_held": n_held}
    if kind == ROW_WITH_TRUTH:
        read["truth"] = np.frombuffer(record, np.float64, offset=begin + 8 * n_features)
    return kind, read
