"""The bytes of a model file: arrays in the safetensors format, with a checksum over all of them.

A file is 8 bytes with the length of the header (little-endian), the header in JSON, and the arrays one after the other,
little-endian and in C order. The header maps the name of each array to dtype, shape and place, and `__metadata__` to
texts: our description of the model, and the SHA-256 of the whole file with 64 zeros in place of this number.
"""

import hashlib
import os
import stat
from math import prod

import numpy as np

from sklstm._model_files.atomic import replacing
from sklstm._model_files.json_text import LARGEST_HEADER, read_json, refuse_large, write_json
from sklstm.exceptions import ModelFormatError

DTYPES = {
    "BOOL": "|b1",
    "U8": "|u1",
    "I8": "|i1",
    "U16": "<u2",
    "I16": "<i2",
    "U32": "<u4",
    "I32": "<i4",
    "U64": "<u8",
    "I64": "<i8",
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
}
NAMES = {np.dtype(name): key for key, name in DTYPES.items()}
UNSIGNED = "0" * 64
ALIGNMENT = 8
MOST_AXES = 8


def write_file(path, metadata, arrays):
    """Write a file, replacing the one that is there as a whole.

    Parameters
    ----------
    path : str or path-like
    metadata : dict of str to str
    arrays : dict of str to ndarray
        Of any memory layout, of the dtypes of `DTYPES`.
    """
    entries, end = {"__metadata__": {**metadata, "sha256": UNSIGNED}}, 0
    # The widest first: with the header of a multiple of 8 bytes, every array is aligned.
    names = sorted(arrays, key=lambda name: -arrays[name].dtype.itemsize)
    for name in names:
        array = arrays[name]
        begin, end = end, end + array.nbytes
        entries[name] = {"dtype": NAMES[array.dtype], "shape": list(array.shape), "data_offsets": [begin, end]}
    header = write_json(entries).encode("ascii")
    header += b" " * (-len(header) % ALIGNMENT)
    _refuse_large_header(header)
    start = len(header).to_bytes(8, "little")
    digest = hashlib.sha256(start + header)
    for name in names:
        digest.update(_bytes_of(arrays[name]))
    header = header.replace(f'"sha256":"{UNSIGNED}"'.encode(), f'"sha256":"{digest.hexdigest()}"'.encode(), 1)
    with replacing(path) as file:
        file.write(start + header)
        for name in names:
            file.write(_bytes_of(arrays[name]))


def _refuse_large_header(header):
    """Raise for a header that would not be read again."""
    found = f"takes {len(header)} bytes, a model file has room for {LARGEST_HEADER}"
    if len(header) <= LARGEST_HEADER:
        try:
            return refuse_large(header.decode("ascii"), "the header")
        except ModelFormatError as error:
            found = f"is too large: {str(error).rstrip('.')}"
    raise ValueError(
        f"save_model: the description of the model {found}. It holds too many models: save its parts, or use joblib."
    )


def _bytes_of(array):
    """Return the bytes of an array in C order: a copy only where it has another layout."""
    array = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return memoryview(array.reshape(-1).view(np.uint8)) if array.size else b""


def read_file(path):
    """Return metadata and arrays of a file.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    metadata : dict of str to str
    arrays : dict of str to ndarray
        Each owns its memory: all together take as much as their part of the file.

    Raises
    ------
    ModelFormatError
        If the file is no such file, or any of its bytes was changed.
    OSError
        If it cannot be read.
    """
    if not stat.S_ISREG(os.stat(path).st_mode) and not os.path.isdir(path):
        raise ModelFormatError(f"{os.fspath(path)} is no regular file.")
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        header = _read_header(file, size)
        entries = read_json(_text_of(header), "the header")
        metadata, places = _checked_header(entries, size - 8 - len(header))
        digest = hashlib.sha256(len(header).to_bytes(8, "little") + _unsigned(header, metadata["sha256"]))
        arrays = {}
        for name, dtype, shape in places:
            arrays[name] = _read_array(file, name, dtype, shape, digest)
    if digest.hexdigest() != metadata.pop("sha256"):
        raise ModelFormatError("the checksum (sha256) does not match: bytes were changed after the file was written.")
    return metadata, arrays


def _read_header(file, size):
    start = file.read(8)
    if len(start) < 8:
        raise ModelFormatError(f"the file has {size} bytes, too few for a model file.")
    length = int.from_bytes(start, "little")
    if length > size - 8:
        raise ModelFormatError(
            f"the header should have {length} bytes, but only {size - 8} follow: the file was cut off, or is no model "
            "file."
        )
    if length > LARGEST_HEADER:
        raise ModelFormatError(f"the header has {length} bytes, at most {LARGEST_HEADER} are read.")
    header = file.read(length)
    if len(header) < length:
        raise ModelFormatError("the file ended while its header was read.")
    return header


def _text_of(header):
    try:
        return header.decode("ascii")
    except UnicodeDecodeError as error:
        raise ModelFormatError(f"the header holds a byte that is no ASCII at position {8 + error.start}.") from None


def _unsigned(header, checksum):
    """Return the header with zeros in place of its checksum."""
    written = f'"sha256":"{checksum}"'.encode()
    if header.count(written) != 1:
        raise ModelFormatError("the checksum (sha256) does not stand once in the header.")
    return header.replace(written, f'"sha256":"{UNSIGNED}"'.encode())


def _checked_header(entries, n_bytes):
    """Return the metadata and name, dtype and shape of each array in the order of their bytes."""
    metadata = entries.pop("__metadata__", None) if isinstance(entries, dict) else None
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise ModelFormatError("the header has no __metadata__ with texts: this is no model file.")
    if metadata.get("format") != "sklstm":
        raise ModelFormatError(
            "this safetensors file was not written by sklstm.save_model (its __metadata__ has no format 'sklstm')."
        )
    checksum = metadata.get("sha256", "")
    if len(checksum) != len(UNSIGNED) or set(checksum) - set("0123456789abcdef"):
        raise ModelFormatError("__metadata__ has no checksum (sha256) of 64 hexadecimal digits.")
    places = [_checked_entry(name, entry) for name, entry in entries.items()]
    end = 0
    for name, _, _, begin, last in sorted(places, key=lambda place: place[3:]):
        if begin != end:
            raise ModelFormatError(f"array {name[:80]!r} begins at byte {begin} of the data, expected {end}.")
        end = last
    if end != n_bytes:
        raise ModelFormatError(f"the arrays take {end} bytes, but {n_bytes} follow the header.")
    return metadata, [place[:3] for place in sorted(places, key=lambda place: place[3:])]


def _checked_entry(name, entry):
    """Return name, dtype, shape, and the first and last byte of an array, from its entry in the header."""
    title = f"array {name[:80]!r}"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ModelFormatError(f"{title} needs dtype, shape and data_offsets, and nothing else.")
    if not isinstance(entry["dtype"], str) or entry["dtype"] not in DTYPES:
        raise ModelFormatError(f"{title} has dtype {str(entry['dtype'])[:40]!r}, expected one of {list(DTYPES)}.")
    shape, offsets = entry["shape"], entry["data_offsets"]
    for what, numbers in (("shape", shape), ("data_offsets", offsets)):
        if not isinstance(numbers, list) or not all(type(n) is int and 0 <= n < 1 << 62 for n in numbers):
            raise ModelFormatError(f"{title}: {what} must be a list of numbers that are not negative.")
    if len(offsets) != 2 or len(shape) > MOST_AXES:
        raise ModelFormatError(f"{title} needs two data_offsets and at most {MOST_AXES} axes.")
    dtype = np.dtype(DTYPES[entry["dtype"]])
    n_bytes = prod(shape) * dtype.itemsize
    if offsets[1] - offsets[0] != n_bytes:
        raise ModelFormatError(
            f"{title} of shape {tuple(shape)} and dtype {entry['dtype']} takes {n_bytes} bytes, but data_offsets give "
            f"it {offsets[1] - offsets[0]}."
        )
    return name, dtype, tuple(shape), *offsets


def _read_array(file, name, dtype, shape, digest):
    try:
        array = np.empty(shape, dtype)
    except ValueError as error:  # an empty array with axes beyond the range of sizes
        raise ModelFormatError(f"array {name[:80]!r} cannot have shape {shape}: {error}.") from error
    if array.size:
        view = memoryview(array.reshape(-1).view(np.uint8))
        if file.readinto(view) != array.nbytes:
            raise ModelFormatError(f"the file ended while array {name[:80]!r} was read.")
        digest.update(view)
        if dtype.kind == "b" and (array.view(np.uint8) > 1).any():
            raise ModelFormatError(f"array {name[:80]!r} of BOOL holds bytes that are neither 0 nor 1.")
    return array.astype(dtype.newbyteorder("="), copy=False)
