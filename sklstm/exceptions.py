"""Warnings of the package."""

__all__ = ["TimeOrderWarning"]


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
