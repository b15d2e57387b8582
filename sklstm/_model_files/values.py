"""Values in a model file: plain ones as JSON, arrays beside it; what is read has the same types and bits.

JSON holds None, booleans, integers, finite floats, strings and lists as they are. Everything else is an object with
one entry that names its kind, such as ``{"tuple": [1, 2]}`` or ``{"array": "a3"}``. Only data come out of it: no class
is looked up by its name.
"""

from math import isfinite

import numpy as np

from sklstm._model_files.container import NAMES
from sklstm.exceptions import ModelFormatError

# Sequences of so many equal things are stored as arrays.
FEWEST_PACKED = 8
LARGEST_INTEGER = 1 << 63
# Kinds of arrays that are stored as numbers of the same size; of strings their code points.
STORED_AS = {"M": "i8", "m": "i8"}


# What lists may take in memory, if it is more than the arrays do; and what an item takes, beside its text.
LARGEST_LISTS = 1 << 26
BYTES_OF_NUMBER, BYTES_OF_TEXT = 36, 58


class Unsupported(TypeError):
    """A value has no place in a model file; the message completes "... is "."""


class Writer:
    """Turns values into JSON, and collects their arrays.

    Attributes
    ----------
    arrays : dict of str to ndarray
    keeps_order : bool
        Whether matrices that lie in memory by columns come back so: BLAS rounds products with them otherwise than with
        others. All arrays are written in C order, these transposed.
    """

    def __init__(self):
        self.arrays = {}
        self.keeps_order = False

    def encode(self, value, name="value"):
        """Return a value as plain JSON; `name` is the path under which its arrays are stored."""
        if value is None or type(value) in (bool, str):
            return value
        if type(value) is int:
            if abs(value) >= LARGEST_INTEGER:
                raise Unsupported("an integer beyond 64 bits")
            return value
        if type(value) is float:
            return value if isfinite(value) else {"bits": np.float64(value).tobytes().hex()}
        if isinstance(value, np.ndarray):
            return self._array(value, name)
        if isinstance(value, np.generic):
            return self._scalar(value)
        if isinstance(value, np.dtype):
            return {"dtype": _name_of(value)}
        if type(value) in (list, tuple):
            return self._sequence(value, name)
        if type(value) is dict:
            return self._entries(value, name)
        raise Unsupported(f"a {type(value).__module__}.{type(value).__qualname__}")

    def _add(self, array, name):
        """Store an array under a name that is not taken yet; return the name."""
        own, k = name, 1
        while own in self.arrays:
            own, k = f"{name}~{k}", k + 1
        self.arrays[own] = array
        return own

    def _array(self, array, name):
        kind = array.dtype.kind
        if type(array) is not np.ndarray:
            array = _plain(array)
        if kind == "O":
            items = self._sequence(array.ravel().tolist(), name)
            return {"objects": items, "shape": list(array.shape)}
        if kind in "US" or array.dtype.newbyteorder("<") not in NAMES:
            return {"array": self._add(_as_numbers(array), name), "dtype": _name_of(array.dtype)}
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        if self.keeps_order and _is_by_columns(array):
            return {"array": self._add(array.T, name), "order": "F"}
        return {"array": self._add(array, name)}

    @staticmethod
    def _scalar(value):
        kind = value.dtype.kind
        if kind not in "biufUSMm" or (value.dtype.itemsize > 8 and kind not in "US"):
            raise Unsupported(f"a numpy.{type(value).__name__}")
        return {
            "scalar": np.asarray(value).astype(value.dtype.newbyteorder("<")).tobytes().hex(),
            "dtype": _name_of(value.dtype),
        }

    def _sequence(self, values, name):
        kinds = {type(value) for value in values} if len(values) >= FEWEST_PACKED else set()
        packed = None
        if kinds == {float}:
            packed = {"array": self._add(np.array(values, "<f8"), name)}
        elif kinds == {int} and all(abs(value) < LARGEST_INTEGER for value in values):
            packed = {"array": self._add(np.array(values, "<i8"), name)}
        elif kinds == {str}:
            texts = [value.encode("utf-8", "surrogatepass") for value in values]
            lengths = self._add(np.array([len(text) for text in texts], "<i8"), f"{name}/lengths")
            packed = {"texts": self._add(np.frombuffer(b"".join(texts), np.uint8), name), "lengths": lengths}
        if packed is not None:
            return {"tuple" if type(values) is tuple else "packed": packed}
        items = [self.encode(value, f"{name}/{k}") for k, value in enumerate(values)]
        return {"tuple": items} if type(values) is tuple else items

    def _entries(self, entries, name):
        if all(type(key) is str for key in entries):
            return {"entries": {key: self.encode(value, f"{name}/{key}") for key, value in entries.items()}}
        pairs = [
            [self.encode(key), self.encode(value, f"{name}/{k}")] for k, (key, value) in enumerate(entries.items())
        ]
        return {"pairs": pairs}


def _is_by_columns(array):
    return array.ndim == 2 and not array.flags.c_contiguous and abs(array.strides[0]) < abs(array.strides[1])


def _plain(array):
    """Return an array of a subclass as an array, if nothing is lost."""
    if isinstance(array, np.memmap):
        return np.asarray(array)
    raise Unsupported(f"a {type(array).__module__}.{type(array).__qualname__}")


def _name_of(dtype):
    if dtype.kind not in "biufUSMmO" or (dtype.itemsize > 8 and dtype.kind not in "US"):
        raise Unsupported(f"an array of dtype {dtype}")
    return dtype.newbyteorder("<").str


def _as_numbers(array):
    """Return an array of strings, or times, as numbers, with an axis more for the characters of strings."""
    kind, width = array.dtype.kind, array.dtype.itemsize
    _name_of(array.dtype)
    array = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False)).reshape(array.shape)
    if kind in STORED_AS:
        return array.view(STORED_AS[kind])
    size = {"U": 4, "S": 1}[kind]
    flat = np.frombuffer(array.tobytes(), {"U": "<u4", "S": "|u1"}[kind])
    return flat.reshape(*array.shape, width // size)


class Reader:
    """Turns what a `Writer` made into values again.

    Parameters
    ----------
    arrays : dict of str to ndarray
        Each is handed out once.
    """

    # The kinds of values, by the entry that names them, with what else belongs to each.
    KINDS = {
        "array": ("dtype", "order"),
        "objects": ("shape",),
        "scalar": ("dtype",),
        "bits": (),
        "dtype": (),
        "packed": (),
        "tuple": (),
        "entries": (),
        "pairs": (),
    }

    def __init__(self, arrays):
        self._arrays, self._taken = arrays, set()
        self._room = max(sum(array.nbytes for array in arrays.values()), LARGEST_LISTS)

    def decode(self, value, where):
        """Return the value; `where` says in messages what it is."""
        if value is None or type(value) in (bool, int, float, str):
            return value
        if type(value) is list:
            return [self.decode(item, f"{where}[{k}]") for k, item in enumerate(value)]
        kind = next((kind for kind in self.KINDS if kind in value), None)
        if kind is None or set(value) - {kind, *self.KINDS[kind]}:
            raise ModelFormatError(f"{where} is of an unknown kind: {sorted(map(str, value))[:5]}.")
        try:
            return getattr(self, f"_{kind}")(where, **value)
        except (ValueError, TypeError, OverflowError) as error:
            if isinstance(error, ModelFormatError):
                raise
            raise ModelFormatError(f"{where} cannot be read: {error}.") from error

    def refuse_left(self):
        """Raise if there are arrays that no value has taken."""
        left = sorted(set(self._arrays) - self._taken)
        if left:
            raise ModelFormatError(f"the arrays {left[:3]} belong to nothing in the model.")

    def _count(self, n_bytes, where):
        """Raise if lists take more memory than they may in a file of this size."""
        self._room -= n_bytes
        if self._room < 0:
            raise ModelFormatError(f"{where} has too many items: lists may take as much memory as arrays, or 64 MiB.")

    def _take(self, name, where):
        if type(name) is not str or name not in self._arrays:
            raise ModelFormatError(f"{where} is in array {str(name)[:80]!r}, which is not in the file.")
        if name in self._taken:
            raise ModelFormatError(f"{where} is in array {name[:80]!r}, which something else has taken.")
        self._taken.add(name)
        return self._arrays[name]

    def _array(self, where, array, dtype=None, order=None):
        numbers = self._take(array, where)
        if order is not None:
            if order != "F" or dtype is not None:
                raise ModelFormatError(f"{where} has the unknown order {str(order)[:40]!r}.")
            return numbers.T
        if dtype is None:
            return numbers
        dtype = _checked_dtype(dtype, where)
        if dtype.kind in STORED_AS and numbers.dtype == STORED_AS[dtype.kind]:
            return numbers.view(dtype)
        expected = {"U": (np.uint32, 4), "S": (np.uint8, 1)}.get(dtype.kind)
        if expected is None or numbers.dtype != expected[0] or numbers.ndim == 0:
            raise ModelFormatError(f"{where} is stored as {numbers.dtype}, which does not go with dtype {dtype.str}.")
        if numbers.shape[-1] * expected[1] != dtype.itemsize:
            raise ModelFormatError(f"{where} has {numbers.shape[-1]} characters, which is not dtype {dtype.str}.")
        if dtype.kind == "U" and numbers.size and numbers.max() > 0x10FFFF:
            raise ModelFormatError(f"{where} holds a number that is no character.")
        return numbers.view(dtype)[..., 0]

    def _objects(self, where, objects, shape):
        items = self.decode(objects, where)
        if type(items) is not list or not _are_sizes(shape) or np.prod(shape, dtype=object) != len(items):
            raise ModelFormatError(f"{where} needs a list with an item for each place of its shape.")
        array = np.empty(len(items), object)
        array[:] = items
        return array.reshape(shape)

    def _scalar(self, where, scalar, dtype):
        dtype = _checked_dtype(dtype, where)
        content = bytes.fromhex(scalar)
        if len(content) != dtype.itemsize:
            raise ModelFormatError(f"{where} has {len(content)} bytes, which is not dtype {dtype.str}.")
        if dtype.kind == "b" and content[0] > 1:
            raise ModelFormatError(f"{where} is a bool that is neither 0 nor 1.")
        if dtype.kind == "U" and content and np.frombuffer(content, "<u4").max() > 0x10FFFF:
            raise ModelFormatError(f"{where} holds a number that is no character.")
        return np.frombuffer(content, dtype.newbyteorder("<"))[0] if content else np.zeros((), dtype)[()]

    def _bits(self, where, bits):
        (value,) = np.frombuffer(bytes.fromhex(bits), "<f8").tolist()
        return value

    def _dtype(self, where, dtype):
        return _checked_dtype(dtype, where)

    def _packed(self, where, packed):
        return self._unpacked(where, packed)

    def _tuple(self, where, **items):
        return tuple(self._unpacked(where, items["tuple"]))

    def _unpacked(self, where, packed):
        if type(packed) is list:
            return self.decode(packed, where)
        if type(packed) is dict and set(packed) == {"array"}:
            numbers = self._take(packed["array"], where)
            if numbers.ndim == 1 and numbers.dtype in (np.int64, np.float64):
                self._count(BYTES_OF_NUMBER * numbers.size, where)
                return numbers.tolist()
        if type(packed) is dict and set(packed) == {"texts", "lengths"}:
            return self._texts(where, **packed)
        raise ModelFormatError(f"{where} is no list, and no array of the items of one.")

    def _texts(self, where, texts, lengths):
        texts, lengths = self._take(texts, where), self._take(lengths, where)
        right = texts.dtype == np.uint8 and lengths.dtype == np.int64 and texts.ndim == lengths.ndim == 1
        if not right or (lengths < 0).any() or sum(map(int, lengths)) != len(texts):
            raise ModelFormatError(f"{where}: lengths of texts do not go with their bytes.")
        self._count(BYTES_OF_TEXT * lengths.size + 4 * texts.size, where)
        found, end = [], 0
        for length in lengths.tolist():
            found.append(texts[end : end + length].tobytes().decode("utf-8", "surrogatepass"))
            end += length
        return found

    def _entries(self, where, entries):
        if type(entries) is not dict:
            raise ModelFormatError(f"{where} has entries that are no entries.")
        return {key: self.decode(value, f"{where}[{key!r}]") for key, value in entries.items()}

    def _pairs(self, where, pairs):
        if type(pairs) is not list or not all(type(pair) is list and len(pair) == 2 for pair in pairs):
            raise ModelFormatError(f"{where} needs pairs of a key and a value.")
        found = [(self.decode(key, where), self.decode(value, where)) for key, value in pairs]
        entries = dict(found)
        if len(entries) < len(found):
            raise ModelFormatError(f"{where} has a key twice.")
        return entries


def _are_sizes(shape):
    return type(shape) is list and all(type(n) is int and 0 <= n < 1 << 40 for n in shape)


def _checked_dtype(name, where):
    """Return the dtype of a name, which comes from a file: strings of at most 64 KiB, numbers and times."""
    allowed = type(name) is str and len(name) <= 20 and name[:1] in "<|" and name[1:2] in tuple("biufUSMmO")
    dtype = np.dtype(name) if allowed else None
    if dtype is None or dtype.str != name or dtype.itemsize > 1 << 16:
        raise ModelFormatError(f"{where} has the unknown dtype {str(name)[:40]!r}.")
    return dtype.newbyteorder("=")
