"""Model files: one file for a fitted model, that is read without running code from it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from sklearn.utils.validation import check_is_fitted

from sklstm._model_files.classes import KINDS, name_of
from sklstm._model_files.container import read_file, write_file
from sklstm._model_files.json_text import read_json, write_json
from sklstm._model_files.objects import ObjectReader, ObjectWriter
from sklstm._typing import Array
from sklstm._version import __version__
from sklstm.exceptions import ModelFormatError

__all__ = ["load_model", "save_model"]

# Raised when a file can no longer be read by the versions before.
FORMAT_VERSION = 1


def save_model(model: Any, path: str | os.PathLike[str]) -> None:
    """Write a fitted model to a file, for `load_model`.

    The file holds parameters and fitted attributes as data, in the safetensors format; there is nothing in it that
    would be run.

    Parameters
    ----------
    model : estimator
        A fitted `DeepRNNRegressor`, `DeepRNNClassifier`, `DeepLSTMRegressor` or `DeepLSTMClassifier` (quantised,
        compressed, with carried rows or in the middle of calls of `partial_fit` as well), `LSTMFeatureSelector`,
        `WeightedEnsembleRegressor`, `WeightedEnsembleClassifier` or `CollectionTransformer`; or a pipeline. The members
        of ensembles, the steps of pipelines and the transformer of a `CollectionTransformer` may be these, and of
        scikit-learn `StandardScaler`, `MinMaxScaler`, `MaxAbsScaler`, `RobustScaler`, `SimpleImputer`, `PCA`,
        `LinearRegression`, `Ridge`, `Lasso`, `ElasticNet` and `LogisticRegression`.
    path : str or path-like
        The file. One that is there is replaced as a whole: an error, or a crash, leaves the old file or the new one.

    Raises
    ------
    TypeError
        If the model, or what it holds, has no place in a file, such as a function in `scoring`. The message names it;
        nothing is written.
    ValueError
        If the model is damaged.
    NotFittedError
        If the model is not fitted.
    OSError
        If the file cannot be written.

    See Also
    --------
    load_model : Read the file.

    Notes
    -----
    **What comes back** is equal, bit for bit: answers, streams, further training. Parameters have their types: an
    object of `sklstm.cells` is one again, and a `RandomState` goes on where it was.

    **The file** begins with the length of a header in 8 bytes, little-endian, and the header in JSON [1]_. This maps
    names to dtype, shape and place of arrays, which follow one after the other in C order. Its ``__metadata__`` has the
    entries "format" ("sklstm"), "format_version", "sklstm_version", "model" (class, parameters and attributes, in JSON)
    and "sha256", over the whole file with zeros in place of this number.

    **Writing.** A new file in the same folder is filled, brought to the disk and given the name of the old one.

    References
    ----------
    .. [1] Safetensors, https://github.com/huggingface/safetensors, "Format".

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from sklstm import DeepLSTMRegressor, load_model, save_model
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> model = DeepLSTMRegressor(hidden_size=16, max_iter=2, random_state=0).fit(X, X[:, 0])
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "model.safetensors")
    ...     save_model(model, path)
    ...     again = load_model(path)
    >>> bool((again.predict(X) == model.predict(X)).all())
    True
    """
    if name_of(model) is None or (not hasattr(model, "predict") and not hasattr(model, "transform")):
        raise TypeError(f"save_model: model is a {type(model).__module__}.{type(model).__name__}.{_advice(model)}")
    check_is_fitted(model)
    writer = ObjectWriter()
    description = write_json(writer.encode(model))
    try:
        _read_model(description, writer.arrays)  # what would not be read again is not written
    except ModelFormatError as error:
        raise ValueError(f"save_model: the model is damaged, or too large for a model file: {error}") from error
    metadata = {
        "format": "sklstm",
        "format_version": str(FORMAT_VERSION),
        "sklstm_version": __version__,
        "model": description,
    }
    write_file(path, metadata, writer.arrays)


def _advice(model: object) -> str:
    """Return what to do with a model that has no place in a file, as a sentence."""
    if hasattr(model, "best_estimator_"):
        return " Save what the search found, model.best_estimator_."
    if isinstance(model, type):
        return " Save an object of it that is fitted."
    names = ", ".join(name.rpartition(".")[2] for name in KINDS if name.startswith("sklstm.") and name.count(".") == 1)
    return f" A model file holds {names}, and pipelines of them; for anything else use joblib."


def load_model(path: str | os.PathLike[str]) -> Any:
    """Read a model from a file that `save_model` has written.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    estimator
        Fitted, of the class that was saved; it answers with the same bits.

    Raises
    ------
    ModelFormatError
        If it is no such file, or was cut off, damaged or changed, or is of a later version of the format: the message
        says what is wrong, and where.
    OSError
        If the file cannot be read.

    See Also
    --------
    save_model : Write the file.

    Notes
    -----
    No code comes from the file, as it would from a pickle: it names classes of a fixed table, and all else are numbers
    and texts, which are checked. The shape of each array is computed anew from the architecture, and another one is
    refused. What is read takes as much memory as the file; the header (8 MB at most), and lists (no more than the file
    or 64 MiB) come on top. The checksum (SHA-256) finds bytes that were changed by accident. It is no signature: who
    can write the file can make another model of it, which answers otherwise.

    A file of scikit-learn estimators, of another version of scikit-learn, gives its `InconsistentVersionWarning`.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from sklstm import DeepLSTMClassifier, load_model, save_model
    >>> X = np.random.default_rng(0).normal(size=(300, 3))
    >>> model = DeepLSTMClassifier(hidden_size=16, max_iter=2, random_state=0).fit(X, X[:, 0] > 0)
    >>> with TemporaryDirectory() as folder:
    ...     save_model(model, Path(folder, "model.safetensors"))
    ...     again = load_model(Path(folder, "model.safetensors"))
    >>> again.classes_
    array([False,  True])
    """
    try:
        metadata, arrays = read_file(path)
        _check_version(metadata)
        return _read_model(metadata["model"], arrays)
    except ModelFormatError as error:
        raise ModelFormatError(f"{os.fspath(path)!s}: {error}") from error.__cause__


def _check_version(metadata: Mapping[str, str]) -> None:
    """Raise unless the file is of a version of the format that is known."""
    found, version = metadata.get("format_version", ""), metadata.get("sklstm_version", "")[:40]
    if not found.isascii() or not found.isdigit() or len(found) > 9 or "model" not in metadata:
        raise ModelFormatError("__metadata__ has no format_version, or no model.")
    if int(found) > FORMAT_VERSION:
        raise ModelFormatError(
            f"the file has format version {found}, written by sklstm {version}; this is sklstm {__version__}, which "
            f"reads versions up to {FORMAT_VERSION}. Install a later sklstm."
        )
    if int(found) < 1:
        raise ModelFormatError(f"there is no format version {found}.")


def _read_model(description: str, arrays: Mapping[str, Array]) -> Any:
    """Return the model that a description and its arrays stand for."""
    reader = ObjectReader(arrays)
    try:
        model = reader.decode(read_json(description, "the description of the model"), "the model")
        reader.refuse_left()
        if name_of(model) is None:
            raise ModelFormatError("the file holds no model.")
        check_is_fitted(model)
    except ModelFormatError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
        raise ModelFormatError(f"the model cannot be put together: {error}") from error
    return model
