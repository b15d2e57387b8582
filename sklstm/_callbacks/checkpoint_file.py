"""The file of a checkpoint: plain arrays and a header of JSON in one zip file of NumPy (`.npz`), without pickle."""

import json
import os
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np

NAME, VERSION = "sklstm checkpoint", 1
HEADER = "header"


def write(path, content):
    """Write nested dicts and lists of arrays, numbers, strings and None; the file is the old or the new one, complete.

    Parameters
    ----------
    path : Path
    content : dict
        With keys of type str.
    """
    arrays = {}
    header = json.dumps({"format": NAME, "version": VERSION, "content": _without_arrays(content, arrays)})
    arrays[HEADER] = np.frombuffer(header.encode(), np.uint8)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def _without_arrays(content, arrays):
    """Return the content with the name of an array in place of each; the arrays are added to a dict."""
    if isinstance(content, dict):
        return {name: _without_arrays(value, arrays) for name, value in content.items()}
    if isinstance(content, np.ndarray):
        name = f"array_{len(arrays)}"
        arrays[name] = np.ascontiguousarray(content)
        return {"array": name}
    if isinstance(content, np.generic):
        return content.item()
    return content


def read(path):
    """Return what `write` has written; None if there is no file.

    Raises
    ------
    ValueError
        If the file is no checkpoint, is damaged, or has a format of another version.
    """
    path = Path(path)
    if not path.exists():
        return None
    try:
        if not zipfile.is_zipfile(path):  # of which NumPy would say that it may hold pickles
            raise zipfile.BadZipFile("it is no zip archive")
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(arrays.pop(HEADER).tobytes().decode())
        known = header["format"] == NAME
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is no checkpoint, or a damaged one ({error}); delete it to begin anew.") from error
    if not known or header["version"] != VERSION:
        raise ValueError(
            f"{path} has the format {header.get('format')!r}, version {header.get('version')!r}; this version of "
            f"sklstm reads {NAME!r}, version {VERSION}. Delete it to begin anew."
        )
    return _with_arrays(header["content"], arrays)


def _with_arrays(content, arrays):
    if not isinstance(content, dict):
        return content
    if content.keys() == {"array"}:
        return arrays[content["array"]]
    return {name: _with_arrays(value, arrays) for name, value in content.items()}
