"""Warnings and errors of the package."""

__all__ = [
    "InconsistentVersionWarning",
    "ModelFormatError",
    "PerformanceWarning",
    "QuantizationWarning",
    "TimeOrderWarning",
    "WorkerError",
]


class InconsistentVersionWarning(UserWarning):
    """A pickle was made by another version of sklstm than the one that reads it.

    It may fail, or answer otherwise than before: load it with the version that is named, or fit the model again. The
    files of `sklstm.save_model` are made to be read by later versions.

    Parameters
    ----------
    estimator_name : str
        Class of the estimator.
    current_sklstm_version : str
        The version that reads it.
    original_sklstm_version : str
        The version that it was pickled with.

    Examples
    --------
    Turn it into an error, as in an unattended job:

    >>> import warnings
    >>> from sklstm.exceptions import InconsistentVersionWarning
    >>> warnings.simplefilter("error", InconsistentVersionWarning)
    >>> warnings.resetwarnings()
    """

    def __init__(self, *, estimator_name: str, current_sklstm_version: str, original_sklstm_version: str) -> None:
        self.estimator_name = estimator_name
        self.current_sklstm_version = current_sklstm_version
        self.original_sklstm_version = original_sklstm_version

    def __str__(self) -> str:
        """Return the message."""
        return (
            f"this {self.estimator_name} was pickled with sklstm {self.original_sklstm_version} and is read by "
            f"{self.current_sklstm_version}: it may fail, or answer otherwise. Load it with the version it was made "
            "with, or fit it again; model files (sklstm.save_model) are read by later versions."
        )


class ModelFormatError(ValueError):
    """A file is no model file, or was cut off, damaged or changed, or was written by a later version of the format.

    `sklstm.load_model` raises it and says what is wrong, and where.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklstm import ModelFormatError, load_model
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "notes.txt")
    ...     _ = path.write_text("hello")
    ...     try:
    ...         load_model(path)
    ...     except ModelFormatError as error:
    ...         print(str(error).partition(": ")[2])
    the file has 5 bytes, too few for a model file.
    """


class PerformanceWarning(UserWarning):
    """An option that is there for speed makes this machine slower.

    `fit` issues it for ``dtype="bfloat16"`` on a CPU without the instructions for it (AVX512_BF16): the model has the
    same numbers as everywhere, and ``dtype="float32"`` would be fitted in less time.

    Examples
    --------
    Silence it where models are trained in bfloat16 all the same, for instance to compare them:

    >>> import warnings
    >>> from sklstm.exceptions import PerformanceWarning
    >>> warnings.simplefilter("ignore", PerformanceWarning)
    >>> warnings.resetwarnings()
    """


class QuantizationWarning(UserWarning):
    """A quantised model answers otherwise than the model it was made from, by more than `max_error` of `quantize`.

    The relative error of its raw outputs is in ``quantization_error_``. Later, `predict` and the like warn of inputs so
    far beyond the X of `quantize` that the integers do not reach them.

    Examples
    --------
    Turn it into an error, as in an unattended job:

    >>> import warnings
    >>> from sklstm.exceptions import QuantizationWarning
    >>> warnings.simplefilter("error", QuantizationWarning)
    >>> warnings.resetwarnings()
    """


class TimeOrderWarning(UserWarning):
    """The order of rows contradicts their time index, or that of the rows they are joined to.

    Windows run over the rows of a table as they come. Where an index of dates, times or numbers shows that rows are
    out of order, come twice, leave holes, or do not follow the rows before them, this warning names the first place
    and says what to do.

    Examples
    --------
    Turn it into an error, as in an unattended job:

    >>> import warnings
    >>> from sklstm.exceptions import TimeOrderWarning
    >>> warnings.simplefilter("error", TimeOrderWarning)
    >>> warnings.resetwarnings()
    """


class WorkerError(RuntimeError):
    """A worker of `sklstm.distributed` has gone, failed or never come; the message says which and when.

    The estimator that was being fitted is as it was before the fit.

    Examples
    --------
    >>> from sklstm.distributed import LocalWorkers
    >>> from sklstm.exceptions import WorkerError
    >>> try:
    ...     with LocalWorkers(1, timeout=0.0):
    ...         pass
    ... except WorkerError as error:
    ...     print(error)
    0 of 1 workers have connected to 127.0.0.1 within 0 seconds.
    """
