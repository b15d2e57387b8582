"""What an engine checks of a row or a truth before it takes it: nothing has changed where one is refused."""

import numpy as np

from sklstm._online.rows import (
    NO_ROW_WAITS,
    check_key,
    hash_of,
    label_of,
    read_time,
    refuse_earlier,
    refuse_unordered,
    same_row,
)


def read_row(engine, x, key, time):
    """Return row, key and time, checked, and how many numbers are held."""
    if key is not None:
        key = check_key(key)
        if key in engine.waiting:
            raise ValueError(f"key={key!r} is that of a row that waits for its truth: each row has a key of its own.")
    if time is None:
        time = label_of(x)
    if time is not None:
        shown, time = time, read_time(time)
        refuse_earlier(time, engine.last_time, shown)
    x, n_held = engine.reader.read(x, engine.last_row)
    return x, key, time, n_held


def row_of(engine, x, key):
    """Return the number of the row that waits for this truth; None for a row that has not come yet."""
    if key is not None:
        key = check_key(key)
        number = engine.waiting.number_of(key)
        if number is None:
            raise _no_such_row(engine, key)
    else:
        number = engine.waiting.oldest()
        if number is None:
            if x is None:
                raise ValueError(NO_ROW_WAITS)
            return None
    _refuse_other(engine, x, number, key)
    return number


def _refuse_other(engine, x, number, key):
    """Raise if x is given and is not the row of this number."""
    if x is not None and not _is_row(engine, x, number):
        named = f"of key={key!r}" if key is not None else "that has waited longest for its truth"
        raise ValueError(
            f"x is not the row {named} (row {number}). Truths without a key come in the order of their rows; name "
            "the rows by keys where they come in another, or some never come."
        )


def _is_row(engine, x, number):
    row = engine.buffer.X[engine.buffer.slot(number)]
    if type(x) is not np.ndarray or x.shape != row.shape:
        x, _ = engine.reader.read(x, row)
    engine.reader.refuse_missing(x)
    return same_row(x, row)


def _no_such_row(engine, key):
    """Return the error for the truth of a row that does not wait."""
    kept = engine.buffer.keys[engine.buffer.rows()]
    if (kept == hash_of(key)).any():
        return ValueError(f"the truth of the row of key={key!r} has come before: each row has one.")
    return ValueError(
        f"no row of key={key!r} waits for its truth: it was never predicted, or is older than the "
        f"{engine.config.buffer_size} rows of the buffer."
    )


def refuse_rows(engine, times, keys):
    """Raise unless some rows can all be taken, one after the other."""
    refuse_unordered(times, engine.last_time)
    known = set()
    for key in keys:
        if key is None:
            continue
        key = check_key(key)
        if key in known or key in engine.waiting:
            where = "comes twice" if key in known else "is that of a row that waits for its truth"
            raise ValueError(f"key={key!r} {where}: each row has a key of its own.")
        known.add(key)


def refuse_truths(engine, table, times, keys):
    """Raise unless some truths can all be taken, one after the other."""
    plain, new, known = iter(engine.waiting.plain()), [], set()
    for x, key, time in zip(table, keys, times, strict=True):
        if key is not None:
            key = check_key(key)
            if key in known:
                raise ValueError(f"key={key!r} comes twice: each row has one truth.")
            known.add(key)
            number = engine.waiting.number_of(key)
            if number is None or number < engine.buffer.n_seen + len(new) - engine.buffer.capacity:
                raise _no_such_row(engine, key)
        else:
            number = next(plain, None)
        if number is not None:
            _refuse_other(engine, x, number, key)
        elif x is None:
            raise ValueError(NO_ROW_WAITS)
        else:
            new.append(time)
    refuse_unordered(new, engine.last_time)
