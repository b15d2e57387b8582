"""The command `predict`: answers of a model for each row of a table, as a table."""

import numpy as np

from sklstm._version import __version__
from sklstm.cli.errors import InputError, ModelError, Stopped, UsageError, refuse_output, say
from sklstm.cli.models import METHODS, digest_of, names_of
from sklstm.cli.output import PartialOutput
from sklstm.cli.progress import Progress
from sklstm.cli.runs import answers_of, open_run, threads
from sklstm.cli.tables import format_of, require_arrow


def add_to(commands):
    """Add the command to a parser's commands."""
    parser = commands.add_parser(
        "predict",
        help="answers of a model for each row of a table",
        description="""Write the answers of a model for each row of a table to another table. The table is read in
        batches: it may be larger than memory. The answers are those of the model's own method for the whole table, bit
        for bit.""",
    )
    parser.add_argument("model", help="model file (sklstm.save_model), or a joblib file with --trust")
    parser.add_argument("table", help="table with the rows: .parquet, .pq or .csv")
    parser.add_argument("output", help="table that is written: .parquet, .pq or .csv; one that is there is replaced")
    add_reading(parser)
    parser.add_argument(
        "--method",
        action="append",
        choices=list(METHODS),
        help="method of the model whose answers are written; may be given several times (default: predict)",
    )
    parser.add_argument(
        "--keep", metavar="A,B,...", type=names, default=[], help="further columns of the table that are passed on"
    )
    parser.add_argument("--prefix", default="", help="what the names of the columns with answers begin with")
    parser.add_argument(
        "--resume", action="store_true", help="go on after the last row group of a run that was interrupted"
    )
    parser.set_defaults(run=predict)


def add_reading(parser):
    """Add the options that say how a table is read."""
    parser.add_argument("--group", metavar="COL", help="column of series: no window crosses from one into another")
    parser.add_argument("--time", metavar="COL", help="column of times, which must not go back inside a group")
    parser.add_argument(
        "--features",
        metavar="A,B,...",
        type=names,
        help="columns that the model reads, in the order of the fit (default: those it was fitted on by name; "
        "without names all others)",
    )
    parser.add_argument(
        "--context-rows",
        metavar="N",
        type=int,
        help="rows before a row that its answer depends on, where steps of a pipeline look back (default: found out)",
    )
    parser.add_argument(
        "--batch-rows", metavar="N", type=int, help="rows in memory at a time, and of a row group (default: by columns)"
    )
    parser.add_argument("--jobs", metavar="N", type=int, help="threads (default: all cores)")
    parser.add_argument(
        "--trust", action="store_true", help="read a joblib file, which runs code: only from where you know"
    )
    parser.add_argument("--quiet", action="store_true", help="tell nothing but errors and warnings")


def names(text):
    """Return the names in a list with commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def predict(options):
    """Run the command; the options are those of `add_to`."""
    require_arrow()
    format_of(options.output, "output")
    refuse_output(options.output, options.table, options.model)
    methods = list(dict.fromkeys(options.method or ["predict"]))
    with threads(options.jobs):
        run = open_run(options, methods, options.keep)
        output = PartialOutput(options.output, _job(run, options), options.resume)
        try:
            _write(run, output, options)
        except (InputError, ModelError):
            output.discard()  # these rows are of a table, or a model, that will not do
            raise
        except (Stopped, KeyboardInterrupt) as stop:
            _tell_of_stop(output, stop)
            raise
        finally:
            output.close()


def _write(run, output, options):
    if output.n_dropped:
        say(f"sklstm predict: dropped {output.n_dropped:,} rows of an interrupted run; --resume would have gone on")
    if output.n_rows and not options.quiet:
        say(f"sklstm predict: goes on after {output.n_rows:,} rows")
    with Progress("predict", run.table.n_rows, output.n_rows, options.quiet) as progress:
        if output.n_rows == 0 or output.n_rows != run.table.n_rows:
            for keys, answers, state in answers_of(run, output.n_rows, output.state):
                output.append(_batch(run, keys, answers, options.prefix), state)
                progress.advance(keys.num_rows)
        output.finish()
    progress.end(f"wrote {options.output}")


def _tell_of_stop(output, stop):
    kept = (
        f"{output.n_rows:,} rows are kept: run the same command with --resume" if output.n_rows else "nothing is kept"
    )
    word = "terminated" if isinstance(stop, Stopped) else "interrupted"
    say(f"sklstm predict: {word}; {kept}")


def _job(run, options):
    """Return what the rows of the output depend on, as texts and numbers."""
    import pyarrow as pa
    import sklearn

    from sklstm._kernels import ISA

    status = run.table.status
    return {
        "model": digest_of(options.model),
        "table": f"{status.st_size} bytes, changed at {status.st_mtime_ns} ns",
        "options": repr(
            (run.methods, run.columns, run.keys, run.group, run.time, run.reading, run.batch_rows, options.prefix)
        ),
        "versions": f"sklstm {__version__} ({ISA}), numpy {np.__version__}, sklearn {sklearn.__version__}, "
        f"pyarrow {pa.__version__}",
    }


def _batch(run, keys, answers, prefix):
    """Return keys and answers as one record batch."""
    import pyarrow as pa

    columns = {name: _one_array(keys.column(name)) for name in run.keys}
    for method, answer in answers.items():
        names = [prefix + name for name in names_of(method, run.model, answer.shape)]
        for name, values in zip(names, np.reshape(answer, (len(answer), -1)).T, strict=True):
            if name in columns:
                raise UsageError(f"two columns of the output would be named {name!r}; set --prefix.")
            columns[name] = pa.array(np.ascontiguousarray(values))
    return pa.record_batch(columns)


def _one_array(column):
    """Return a column as one array without a dictionary, which is another one in each batch."""
    import pyarrow as pa

    column = column.combine_chunks()
    column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
