"""The ETTh1 transformer data: two years of hourly load and oil temperature."""

from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

_CSV_PATH = Path(__file__).resolve().parent / "data" / "ETTh1.csv"

_DESCR = """\
ETTh1: hourly load and oil temperature of an electricity transformer
--------------------------------------------------------------------

:Rows: 17,420, one per hour from 2016-07-01 00:00 to 2018-06-26 19:00, without gaps
:Columns: 7 numeric, no missing value
:Target: ``OT``, the oil temperature

====  ===================================================
HUFL  high useful load
HULL  high useless load
MUFL  middle useful load
MULL  middle useless load
LUFL  low useful load
LULL  low useless load
OT    oil temperature (unit not stated; degrees Celsius by
      its range, -4.1 to 46.0)
====  ===================================================

The oil temperature tells how hard a transformer works. Knowing it a day ahead lets the
operator use the capacity that is there without shortening the life of the machine.

The usual split, in time order, takes the first 8,640 rows (12 months of 30 days) for
training, the next 2,880 for validation and the next 2,880 for testing.

Source: ETDataset, https://github.com/zhouhaoyi/ETDataset. Licence: Creative Commons
Attribution-NoDerivatives 4.0 International (CC BY-ND 4.0). The file is distributed whole
and unmodified; ``ETTh1-LICENSE.txt`` beside it holds the notice to keep with it.

Reference: H. Zhou, S. Zhang, J. Peng, S. Zhang, J. Li, H. Xiong and W. Zhang. "Informer:
Beyond Efficient Transformer for Long Sequence Time-Series Forecasting". AAAI 2021.
"""


@overload
def load_etth1(*, return_X_y: Literal[False] = False, as_frame: bool = False) -> Any: ...  # numpydoc ignore=GL08


@overload
def load_etth1(  # numpydoc ignore=GL08
    *, return_X_y: Literal[True], as_frame: Literal[False] = False
) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...


@overload
def load_etth1(*, return_X_y: bool, as_frame: bool = False) -> Any: ...  # numpydoc ignore=GL08


def load_etth1(*, return_X_y: bool = False, as_frame: bool = False) -> Any:
    """Load the ETTh1 data set (regression, ordered in time).

    Two years of hourly readings of one electricity transformer: six load columns and the
    oil temperature `OT`, which is what one wants to forecast. The file comes with the
    package, nothing is downloaded.

    ==============  ===============================
    Samples total   17420 consecutive hours, no gap
    Dimensionality  7 (the target's column included)
    Features        real, no missing value
    Targets         real, -4.1 to 46.0
    ==============  ===============================

    Parameters
    ----------
    return_X_y : bool, default=False
        If True, return `(data, target)` instead of a `Bunch`.

    as_frame : bool, default=False
        If True, `data` is a pandas DataFrame and `target` a pandas Series, both indexed
        by the time of the reading. Needs pandas, which sklstm installs only on request.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes:

        data : ndarray of shape (17420, 7), dtype float64
            One row per hour, oldest first; a DataFrame if `as_frame=True`.
        target : ndarray of shape (17420,), dtype float64
            The oil temperature **in the same hour** as the row of `data`: a copy of its
            column `OT`. To forecast `h` hours ahead, shift one against the other:
            `X, y = data[:-h], target[h:]`. A Series if `as_frame=True`.
        feature_names : list of str
            Names of the columns of `data`: the six loads, then `OT`.
        target_names : list of str
            `["OT"]`.
        time : ndarray of shape (17420,), dtype datetime64[h]
            Hour of each row, as written in the file, which names no time zone.
        frame : DataFrame of shape (17420, 7) or None
            With `as_frame=True`, the whole table; it is `data`, as that holds the target's
            column already.
        DESCR : str
            Description, source and licence.
        filename : str
            Path of the file read.

    (data, target) : tuple, if `return_X_y` is True
        The first two attributes above.

    Raises
    ------
    ImportError
        If `as_frame=True` and pandas is not installed.

    Notes
    -----
    The data are part of ETDataset [1]_, by the authors of [2]_, under the licence Creative
    Commons Attribution-NoDerivatives 4.0 International. The file is shipped whole and
    unmodified, with its notice.

    References
    ----------
    .. [1] `ETDataset <https://github.com/zhouhaoyi/ETDataset>`_.

    .. [2] H. Zhou, S. Zhang, J. Peng, S. Zhang, J. Li, H. Xiong and W. Zhang. "Informer:
       Beyond Efficient Transformer for Long Sequence Time-Series Forecasting". AAAI 2021.

    Examples
    --------
    The change of the oil temperature over the next 24 hours:

    >>> from sklstm.datasets import load_etth1
    >>> etth1 = load_etth1()
    >>> etth1.data.shape
    (17420, 7)
    >>> etth1.feature_names[-1], etth1.time[0]
    ('OT', np.datetime64('2016-07-01T00','h'))
    >>> horizon = 24
    >>> X = etth1.data[:-horizon]
    >>> y = etth1.target[horizon:] - etth1.target[:-horizon]
    >>> X.shape, y.shape
    ((17396, 7), (17396,))
    """
    data, time, feature_names = _read_csv()
    target = data[:, -1].copy()
    frame = None
    if as_frame:
        pd = _import_pandas()
        index = pd.DatetimeIndex(time, name="date")
        frame = data = pd.DataFrame(data, index=index, columns=feature_names)
        target = pd.Series(target, index=index, name=feature_names[-1])
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        feature_names=feature_names,
        target_names=feature_names[-1:],
        time=time,
        frame=frame,
        DESCR=_DESCR,
        filename=str(_CSV_PATH),
    )


def _read_csv():
    """Read the table as `(values, hours, names of the value columns)`."""
    row = np.dtype([("date", "U19"), ("values", np.float64, (7,))])
    with open(_CSV_PATH, encoding="ascii") as file:
        names = file.readline().strip().split(",")
        table = np.loadtxt(file, delimiter=",", dtype=row)
    # A field of a structured array is strided over the dates: copy it to a C-ordered table.
    values = np.ascontiguousarray(table["values"])
    return values, table["date"].astype("datetime64[h]"), names[1:]


def _import_pandas():
    """Import pandas, or say which extra installs it."""
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            "load_etth1(as_frame=True) needs pandas: install it with "
            "`pip install 'sklstm[pandas]'`, or leave as_frame=False."
        ) from error
    return pd
