"""Warnings of the package."""

__all__ = ["PerformanceWarning", "QuantizationWarning", "TimeOrderWarning"]


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
