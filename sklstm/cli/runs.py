"""Answers for a whole table, batch by batch, read one ahead."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

from sklstm.cli.answers import open_answers
from sklstm.cli.errors import InputError, UsageError, say
from sklstm.cli.features import columns_of, open_features
from sklstm.cli.models import labels_of, load, reading_of
from sklstm.cli.order import RowOrder
from sklstm.cli.tables import open_table, refuse_unknown

# Bytes of the columns that a batch holds. Twice as many are in memory, as one batch is read ahead.
BATCH_BYTES = 16 << 20
LEAST_ROWS, MOST_ROWS = 1 << 10, 1 << 18
# A batch is so many times longer than what the windows reach back, whose answers are computed once more.
TIMES_REACH = 16


class Run(NamedTuple):
    """A model and the table that it is asked about.

    Attributes
    ----------
    model, reading, table, features
        The estimator, its `Reading`, the table, the columns as the model reads them.
    columns : list of str
        Columns of the features.
    keys : list of str
        Columns that are read beside them: of groups and times, and those of `others`.
    group, time : str or None
    methods : list of str
        Methods of the model.
    batch_rows : int
    """

    model: Any
    reading: Any
    table: Any
    features: Any
    columns: list[str]
    keys: list[str]
    group: str | None
    time: str | None
    methods: list[str]
    batch_rows: int


def open_run(options, methods, others, model=None, numbers=()):
    """Return the `Run` that the options of a command stand for.

    Parameters
    ----------
    options : argparse.Namespace
        With `model`, `table`, `trust`, `group`, `time`, `features`, `context_rows` and `batch_rows`.
    methods : list of str
    others : list of str
        Further columns that are read.
    model : estimator or None, default=None
        None to read it.
    numbers : list of str, default=()
        Those of `others` that are numbers, whatever they look like.
    """
    for name, least in (("batch_rows", 1), ("context_rows", 0)):
        value = getattr(options, name)
        if value is not None and value < least:
            raise UsageError(f"--{name.replace('_', '-')} must be at least {least}, found {value}.")
    model = load(options.model, options.trust) if model is None else model
    reading = reading_of(model, options.context_rows)
    table = open_table(options.table)
    keys = list(dict.fromkeys([name for name in (options.group, options.time) if name is not None] + others))
    refuse_unknown(table, keys)
    columns = columns_of(model, table, options.features, keys)
    table.widen([name for name in columns if name not in keys] + list(numbers))
    read_labels(table, [options.group] if options.group else [], columns, labels_of(model))
    table.read_exactly([name for name in keys if name not in columns and name not in numbers])
    features = open_features(model, table, columns, reading.reach)
    batch_rows = options.batch_rows or batch_rows_of(len(columns) + len(keys), reading.reach)
    return Run(model, reading, table, features, columns, keys, options.group, options.time, methods, batch_rows)


def read_labels(table, names, columns=(), known=None):
    """Let a CSV table give some columns as labels: as texts, unless the labels that are known, an array, are numbers.

    Those that a model reads as numbers, `columns`, stay numbers.
    """
    are_numbers = known is not None and known.dtype.kind in "biuf"
    table.read_as_text([name for name in names if not are_numbers and name not in columns])


def batch_rows_of(n_columns, reach):
    """Return the rows of a batch; they depend on the columns alone, so that a row group has as many in every run."""
    rows = max(min(BATCH_BYTES // (8 * n_columns), MOST_ROWS), LEAST_ROWS)
    return max(rows, TIMES_REACH * reach)


def answers_of(run, first=0, state=None):
    """Give the keys and the answers of a table, batch by batch.

    Parameters
    ----------
    run : Run
    first : int, default=0
        The row to begin with; those before it are read again where the answers depend on them.
    state : str or None, default=None
        What was given beside the row before, see `Answers.state`.

    Yields
    ------
    keys : pyarrow.Table
        The columns of `run.keys`.
    answers : dict of str to ndarray
        Of each method, for the same rows.
    state : str or None
        What is needed to go on after these rows.
    """
    order = RowOrder(run.table.path, run.group, run.time)
    asked = open_answers(run.model, run.reading, run.methods, run.features, run.table.path)
    if first:
        _go_back_to(run, order, asked, first, state)
    n_rows, read = first, list(dict.fromkeys(run.columns + run.keys))
    batches = run.table.batches(read, run.batch_rows, first)
    for batch in read_ahead(batches):
        blocks = order.follow(batch)
        answers = asked.ask(batch, blocks, n_rows)
        n_rows += batch.num_rows
        yield batch.select(run.keys), answers, asked.state()
    if n_rows == 0:
        raise InputError(f"{run.table.path}: has no rows.")
    if order.n_ties:
        say(
            f"sklstm: warning: {order.n_ties} rows have the {run.time!r} of the row before them in {run.table.path}, "
            f"the first is row {order.first_tie}."
        )


def _go_back_to(run, order, asked, first, state):
    """Bring `order` and `asked` to where they were before a row: by the keys of all rows, and the last rows."""
    keys = [name for name in (run.group, run.time) if name is not None]
    blocks, n_seen = None, 0
    if keys:
        for batch in run.table.batches(keys, run.batch_rows):
            batch = batch.slice(0, first - n_seen)
            blocks, n_seen = order.follow(batch), n_seen + batch.num_rows
            if n_seen == first:
                break
    label = None if blocks is None else blocks.labels[-1]
    if run.reading.by_states:
        asked.restore(state, label)
    elif run.reading.reach:
        begin = max(first - run.reading.reach, 0)
        rows = run.table.rows(list(dict.fromkeys(run.columns + keys)), begin, first)
        asked.begin_after(rows, RowOrder(run.table.path, run.group).follow(rows))
    if not keys:
        order.pass_over(first)


def read_ahead(batches):
    """Give what an iterator gives, whose next entry is made by another thread meanwhile."""
    with ThreadPoolExecutor(1) as executor:
        coming = executor.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = executor.submit(next, batches, None)
            yield batch


@contextmanager
def threads(n_jobs):
    """Limit the threads of the networks, of other libraries and of the reader; None for no limit."""
    if n_jobs is None:
        yield
        return
    if n_jobs < 1:
        raise UsageError(f"--jobs must be at least 1, found {n_jobs}.")
    from threadpoolctl import threadpool_limits

    import sklstm._kernels.core.threadpool  # noqa: F401  # or the pool of the networks would not be found
    from sklstm.cli.tables import require_arrow

    require_arrow().set_cpu_count(n_jobs)
    with threadpool_limits(n_jobs):
        yield
