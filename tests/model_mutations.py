"""Changes of model files, random but repeatable, and what the reader makes of them."""

import copy
import hashlib
import json
import random
import signal
import struct
import tracemalloc
import warnings
from contextlib import suppress

import numpy as np

from sklstm import ModelFormatError, load_model

UNSIGNED = "0" * 64
# Lists and the header may take so much beside the arrays.
ALLOWANCE = 8_000_000
VALUES = [
    *(None, True, False, -1, 0, 1, 2, 3, 7, 2**31, 2**62, 2**63, -(2**63), 10**19, 0.5, -1.5, 1e-320, 1e308),
    *("", "x", "lstm", "float64", "sequence", "\ud800", "a" * 5000, [], [1], [[]], {}, {"array": "bias_out"}),
    *({"tuple": [2, 3]}, {"bits": "000000000000f87f"}, {"bits": "000000000000f07f"}, {"scalar": "00", "dtype": "<f8"}),
    *({"object": "sklstm.cells.LSTM", "parameters": {}, "state": {}}, {"object": "os.system", "parameters": {}}),
    *({"packed": {"array": "bias_out"}}, {"entries": {}}, {"pairs": [[1, 2]]}, {"dtype": "|O"}),
]


def parts_of(content):
    """Return header, as JSON says, and data of a file."""
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def signed(header, data):
    """Return a file with a right checksum, given its header as an object or as text in which 64 zeros stand for it."""
    if not isinstance(header, str):
        header["__metadata__"]["sha256"] = UNSIGNED
        header = json.dumps(header, separators=(",", ":"))
    text = header.encode()
    text += b" " * (-len(text) % 8)
    start = struct.pack("<Q", len(text))
    checksum = hashlib.sha256(start + text + data).hexdigest().encode()
    return start + text.replace(UNSIGNED.encode(), checksum, 1) + data


def leaves(value, path=()):
    """Return the paths to everything inside a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [path]
    for key, one in inside:
        found += leaves(one, (*path, key))
    return found


def inside(value, path):
    """Return what holds the end of a path."""
    for key in path[:-1]:
        value = value[key]
    return value


class Mutations:
    """Changes of one file; each method is one kind and returns the changed bytes.

    Parameters
    ----------
    content : bytes
    seed : int
    """

    def __init__(self, content, seed):
        self.content, self.random = content, random.Random(seed)
        self.header, self.data = parts_of(content)

    # Of the bytes: the checksum stays as it was.

    def truncate(self):
        return self.content[: self.random.randrange(len(self.content))]

    def flip_bits(self):
        changed = bytearray(self.content)
        for _ in range(self.random.choice([1, 1, 2, 8])):
            changed[self.random.randrange(len(changed))] ^= 1 << self.random.randrange(8)
        return bytes(changed)

    def overwrite(self):
        begin, n = self.random.randrange(len(self.content)), self.random.choice([1, 8, 64, 1000])
        filling = self.random.choice([bytes(n), b"\xff" * n, self.random.randbytes(n), b'{"[' * n])
        return self.content[:begin] + filling[:n] + self.content[begin + n :]

    def insert(self):
        begin = self.random.randrange(len(self.content) + 1)
        return self.content[:begin] + self.random.randbytes(self.random.choice([1, 8, 100])) + self.content[begin:]

    def delete(self):
        begin = self.random.randrange(len(self.content))
        return self.content[:begin] + self.content[begin + self.random.choice([1, 8, 100]) :]

    def swap_blocks(self):
        n = self.random.choice([8, 64, 256])
        first, second = sorted(self.random.randrange(len(self.content) - n) for _ in range(2))
        second = max(second, min(first + n, len(self.content) - n))
        c = self.content
        return c[:first] + c[second : second + n] + c[first + n : second] + c[first : first + n] + c[second + n :]

    def header_length(self):
        n = self.random.choice([0, 1, 7, 2**16, 2**22, 2**23, 2**32, 2**63, 2**64 - 1, len(self.content) - 8])
        return struct.pack("<Q", n) + self.content[8:]

    # Of the header and the data, with a right checksum: what somebody may have made on purpose.

    def _names(self):
        return [name for name in self.header if name != "__metadata__"]

    def swap_entries(self):
        header, (first, second) = copy.deepcopy(self.header), self.random.sample(self._names(), 2)
        what = self.random.choice(["dtype", "shape", "data_offsets", None])
        if what is None:
            header[first], header[second] = header[second], header[first]
        else:
            header[first][what], header[second][what] = header[second][what], header[first][what]
        return signed(header, self.data)

    def lie(self):
        header = copy.deepcopy(self.header)
        entry, choice = header[self.random.choice(self._names())], self.random.choice
        what = choice(["dtype", "shape", "data_offsets"])
        if what == "dtype":
            entry[what] = choice(["F64", "F32", "F16", "BF16", "I8", "U8", "BOOL", "I64", "U32", "f4", "O", 3, None])
        elif what == "shape":
            shape = list(entry["shape"])
            others = [shape[::-1], [*shape, 1], [1, *shape], [*shape, 0], [2**62, 4], [2**31] * 9, [-1], [0, 2**61]]
            entry[what] = choice([*others, [int(np.prod(shape))], shape[:-1], "12", [1.5], [True], None, [2**64]])
        else:
            begin, end = entry[what]
            others = [
                [end, begin],
                [begin, 2**62],
                [-8, end],
                [begin + 4, end + 4],
                [begin, end - 4],
                [0, len(self.data)],
            ]
            entry[what] = choice([*others, [begin], [], [begin, end, end], None, [0.0, 8.0], ["0", "8"]])
        return signed(header, self.data)

    def text(self):
        """Change the JSON as text: keys twice, depth, numbers that are none."""
        header = json.loads(json.dumps(self.header))
        header["__metadata__"]["sha256"] = UNSIGNED
        written, n = json.dumps(header, separators=(",", ":")), self.random.choice([50, 2000, 100_000])
        name = self.random.choice(self._names())
        entry = json.dumps(self.header[name], separators=(",", ":"))
        more = [
            f'"{name}":{entry},',
            '"deep":' + "[" * n + "]" * n + ",",
            '"deep":' + '{"a":' * n + "1" + "}" * n + ",",
            '"open":' + "[" * n,
            f'"many":[{"0," * n}0],',
            f'"number":{"9" * n},',
            '"nan":NaN,',
            '"infinite":-Infinity,',
            '"large":1e999,',
            '"text":"' + '\\"' * n,
            '"text":"' + "\\u0000" * 50 + '",',
            '"__metadata__":{},',
        ]
        return signed("{" + self.random.choice(more) + written[1:], self.data)

    def model_text(self):
        """Change the description of the model as text."""
        header = copy.deepcopy(self.header)
        description, n = header["__metadata__"]["model"], self.random.choice([50, 2000, 100_000])
        more = [
            '"a":' + "[" * n + "]" * n + ",",
            '"n_iter_":NaN,',
            f'"n_iter_":{"9" * n},',
            '"object":"x",',
            '"state":{},',
        ]
        place = self.random.choice([k for k, mark in enumerate(description) if mark == "{"])
        description = description[: place + 1] + self.random.choice(more) + description[place + 1 :]
        header["__metadata__"]["model"] = description
        return signed(header, self.data)

    def _described(self, change):
        header = copy.deepcopy(self.header)
        description = json.loads(header["__metadata__"]["model"])
        paths = [path for path in leaves(description) if path]
        change(description, paths)
        header["__metadata__"]["model"] = json.dumps(description, separators=(",", ":"))
        return signed(header, self.data)

    def value(self):
        def change(description, paths):
            path = self.random.choice(paths)
            inside(description, path)[path[-1]] = self.random.choice(VALUES)

        return self._described(change)

    def swap_values(self):
        def change(description, paths):
            first, second = self.random.sample(paths, 2)
            one, other = (copy.deepcopy(inside(description, path)[path[-1]]) for path in (first, second))
            inside(description, first)[first[-1]] = other
            with suppress(KeyError, IndexError, TypeError):  # it may have been inside the first
                inside(description, second)[second[-1]] = one

        return self._described(change)

    def drop_value(self):
        def change(description, paths):
            path = self.random.choice(paths)
            del inside(description, path)[path[-1]]

        return self._described(change)

    def add_value(self):
        def change(description, paths):
            place = self.random.choice([path for path in paths if isinstance(path[-1], str)])
            inside(description, place)[self.random.choice(["x", "array", "object", "n_iter_", "__class__"])] = 1

        return self._described(change)

    def metadata(self):
        header = copy.deepcopy(self.header)
        name = self.random.choice(["format", "format_version", "sklstm_version", "model"])
        others = ["", "0", "2", "1.0", "-1", "9" * 400, "\u0661", "pt", "[]", "null", "1", "{}", 1, None, ["1"]]
        header["__metadata__"][name] = self.random.choice(others)
        return signed(header, self.data)

    def numbers(self):
        """Other numbers in an array: NaN, infinity, large and small ones, bits at random."""
        header, data = copy.deepcopy(self.header), bytearray(self.data)
        begin, end = header[self.random.choice(self._names())]["data_offsets"]
        n = min(end - begin, self.random.choice([4, 8, 64, 4096]))
        place = begin + 4 * self.random.randrange(max(1, (end - begin - n) // 4 + 1))
        fillings = [
            np.full(512, special, dtype).tobytes() for special in (np.nan, np.inf, -1e30) for dtype in ("f4", "f8")
        ]
        fillings += [b"\xff" * 4096, bytes(4096), self.random.randbytes(4096)]
        data[place : place + n] = self.random.choice(fillings)[:n]
        return signed(header, bytes(data[: len(self.data)]))


CHANGED_BYTES = ("truncate", "flip_bits", "overwrite", "insert", "delete", "swap_blocks", "header_length")
KINDS = [name for name in vars(Mutations) if not name.startswith("_")]


def read(path, kind, content, original, ask):
    """Write a mutation and read it; return what came of it, and the peak of the memory.

    What comes of it is "refused", "same" (no byte was changed), "read", with the answers of a model that was made on
    purpose or an error of its methods, or, where the promise is broken, "WRONG: " and what happened.
    """
    path.write_bytes(content)
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    if hasattr(signal, "alarm"):
        signal.alarm(120)  # a hang ends the process
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                model = load_model(path)
            except ModelFormatError as error:
                return ("refused" if len(str(error)) > len(str(path)) + 10 else "WRONG: no message"), _peak(before)
            except BaseException as error:
                return f"WRONG: {type(error).__name__}: {error}", _peak(before)
            peak = _peak(before)
            if content == original:
                return "same", peak
            if kind in CHANGED_BYTES:
                return "WRONG: changed bytes were read", peak
            try:
                ask(model)
            except (ValueError, TypeError, MemoryError) as error:
                return f"read, {type(error).__name__}", peak
            return "read", peak
    finally:
        if hasattr(signal, "alarm"):
            signal.alarm(0)


def _peak(before):
    return tracemalloc.get_traced_memory()[1] - before
