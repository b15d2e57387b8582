"""Warnings of the package."""

__all__ = ["TimeOrderWarning"]


class TimeOrderWarning(UserWarning):
    """Rows do not follow each other in time as their index says, or as what they are joined to says.

    Windows run over the rows of a table as they come. Where an index of dates, times or numbers shows that rows are
    out of order, come twice, leave holes, or do not follow the rows before them, this warning names the first place
    and says what to do.

    Examples
    --------
    Make an error of it, as in a job that nobody watches:

    >>> import warnings
    >>> from sklstm.exceptions import TimeOrderWarning
    >>> warnings.simplefilter("error", TimeOrderWarning)
    >>> warnings.resetwarnings()
    """
