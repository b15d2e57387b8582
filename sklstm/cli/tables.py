"""Tables in Parquet and CSV files, read in batches of a fixed number of rows, and written row group by row group."""

import os
import sys
from contextlib import contextmanager, suppress
from functools import cached_property
from importlib import import_module
from pathlib import Path

from sklstm.cli.errors import InputError, UsageError, nearest, one_line
from sklstm.cli.texts import as_numbers, first_not_exact, is_exact, without_empty

FORMATS = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv"}
# Of a column of a Parquet file, so that a row group of any size takes no more memory than its pages.
COLUMN_BUFFER = 1 << 16
CSV_BLOCK = 4 << 20
# Rows that the reader decodes at a time: batches are put together of these.
PIECE_ROWS = 1 << 13


def require_arrow():
    """Return the module pyarrow, or raise with what to install."""
    try:
        for name in ("pyarrow.compute", "pyarrow.csv", "pyarrow.parquet"):
            import_module(name)
    except ImportError as error:
        raise UsageError(f"tables are read with pyarrow: pip install 'sklstm[batch]' ({one_line(error)}).") from error
    return sys.modules["pyarrow"]


def format_of(path, what="table"):
    """Return "parquet" or "csv", from the end of a file's name."""
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise UsageError(f"{path}: the {what} must end in {', '.join(FORMATS)}; found {suffix or 'no suffix'!r}.")
    return FORMATS[suffix]


def open_table(path):
    """Return the `ParquetTable` or `CsvTable` of a file.

    Raises
    ------
    InputError
        If it cannot be read as such.
    """
    require_arrow()
    return (ParquetTable if format_of(path) == "parquet" else CsvTable)(path)


class _Table:
    """What both formats share; `schema` is that of pyarrow, `n_rows` None where it is not known."""

    n_rows = None

    def __init__(self, path):
        self.path = path
        with self.reading():
            self.status = os.stat(path)
            self._open()

    @contextmanager
    def reading(self):
        """Turn what is raised while the file is read into an `InputError`."""
        import pyarrow as pa

        try:
            yield
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read: {error.strerror or one_line(error)}") from error
        except (pa.ArrowException, UnicodeDecodeError) as error:
            raise InputError(f"{self.path}: is damaged, or no such file: {one_line(error)}") from error

    def widen(self, columns):
        """Read whole numbers in some columns as floats, where later rows might hold fractions."""

    def read_as_text(self, columns):
        """Read some columns as texts, where the file does not say what they are."""

    def read_exactly(self, columns):
        """Read some columns as texts where numbers would lose what the file says, as 007 or very long ones."""

    def batches(self, columns, n_rows, first=0):
        """Give the table in batches.

        Parameters
        ----------
        columns : list of str
            They are in the schema.
        n_rows : int
            Rows of each batch but the last.
        first : int, default=0
            The row of the file that the first batch begins with.

        Yields
        ------
        pyarrow.Table
        """
        import pyarrow as pa

        held, n_held = [], 0
        with self.reading():
            for piece in self._pieces(columns, first):
                while n_held + piece.num_rows >= n_rows:
                    n_new = n_rows - n_held
                    yield pa.Table.from_batches([*held, piece.slice(0, n_new)])
                    piece = piece.slice(n_new)
                    held, n_held = [], 0
                if piece.num_rows:
                    held.append(piece)
                    n_held += piece.num_rows
        if held:
            yield pa.Table.from_batches(held)

    def rows(self, columns, begin, end):
        """Return the rows of a range."""
        return next(self.batches(columns, end - begin, begin))


class ParquetTable(_Table):
    """A Parquet file.

    Parameters
    ----------
    path : str or path-like
    """

    def _open(self):
        from pyarrow.parquet import ParquetFile

        # Read as a stream: neither a row group nor the file as a whole is held in memory.
        options = {"buffer_size": COLUMN_BUFFER, "pre_buffer": False, "memory_map": False}
        self._file = ParquetFile(self.path, page_checksum_verification=True, **options)
        self.schema = self._file.schema_arrow
        self.n_rows = self._file.metadata.num_rows
        refuse_repeated_names(self.path, self.schema.names)

    def _pieces(self, columns, first):
        """Give record batches of any size, from row `first` on."""
        groups, begin = [], 0
        for group in range(self._file.metadata.num_row_groups):
            end = begin + self._file.metadata.row_group(group).num_rows
            if end > first:
                groups.append((group, begin))
            begin = end
        if not groups:
            return
        skipped = first - groups[0][1]
        numbers = [group for group, _ in groups]
        for piece in self._file.iter_batches(PIECE_ROWS, row_groups=numbers, columns=columns, use_threads=True):
            if skipped < piece.num_rows:
                yield piece.slice(skipped)
            skipped = max(skipped - piece.num_rows, 0)


class CsvTable(_Table):
    """A CSV file with a header; the types of its columns are those of its first megabytes.

    Parameters
    ----------
    path : str or path-like
    """

    _has_empty_rows = False

    def _open(self):
        with self._reader(None) as reader:
            self.schema = reader.schema
        # In a file of one column a line without anything is a row without a value, in others it is no row.
        self._has_empty_rows = len(self.schema) == 1
        self._texts, self._guessed = set(), {}
        refuse_repeated_names(self.path, self.schema.names)

    def _reader(self, columns, types=None):
        from pyarrow import csv

        return csv.open_csv(
            self.path,
            read_options=csv.ReadOptions(block_size=CSV_BLOCK),
            parse_options=csv.ParseOptions(ignore_empty_lines=not self._has_empty_rows),
            convert_options=csv.ConvertOptions(include_columns=columns, column_types=types),
        )

    @cached_property
    def types(self):
        """Types of the columns: whole numbers, and columns that begin without values, may turn out to be any number."""
        import pyarrow as pa

        number = pa.float64()
        return {field.name: number if pa.types.is_null(field.type) else field.type for field in self.schema}

    def widen(self, columns):
        """Read whole numbers in some columns as floats, as later rows may hold fractions."""
        import pyarrow as pa

        for name in columns:
            if pa.types.is_integer(self.types[name]):
                self.types[name] = pa.float64()

    def read_as_text(self, columns):
        """Read some columns as texts, an empty cell as no value: labels such as 01 are no numbers, NA may be one."""
        self._texts |= set(columns)

    def read_exactly(self, columns):
        """Read some columns as texts where the numbers of the first megabytes would lose what the file says."""
        import pyarrow as pa

        columns = [name for name in columns if name not in self._texts]
        if not columns:
            return
        with self.reading(), self._reader(columns, dict.fromkeys(columns, pa.string())) as reader:
            first = next(iter(reader), None)
        for name in columns if first is not None else ():
            kind = self.schema.field(name).type
            if not is_exact(first.column(name), kind):
                self._texts.add(name)
            elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
                self._guessed[name] = kind

    def _pieces(self, columns, first):
        import pyarrow as pa

        as_texts = self._texts | self._guessed.keys()
        types = {name: pa.string() if name in as_texts else self.types[name] for name in columns}
        row = 0
        with self._reader(columns, types) as reader:
            for piece in reader:
                if first < row + piece.num_rows:
                    yield self._converted(piece, row).slice(max(first - row, 0))
                row += piece.num_rows

    def _converted(self, piece, row):
        """Return a piece, which begins at a row of the file, with its texts as what they stand for."""
        for place, name in enumerate(piece.schema.names):
            if name in self._texts or name in self._guessed:
                column = without_empty(piece.column(name))
                if name in self._guessed:
                    column = self._as_numbers(column, name, row)
                piece = piece.set_column(place, name, column)
        return piece

    def _as_numbers(self, column, name, row):
        import pyarrow as pa

        kind = self._guessed[name]
        place = first_not_exact(column, kind)
        if place is not None:
            raise InputError(
                f"{self.path}: row {row + place} holds {column[place].as_py()!r} in column {name!r}, of which a number "
                "would lose digits, while the rows before hold numbers. Write the table in Parquet, and this column as "
                "text."
            )
        try:
            return as_numbers(column, kind)
        except pa.ArrowInvalid as error:
            raise InputError(f"{self.path}: column {name!r} begins with numbers: {one_line(error)}") from error


def refuse_repeated_names(path, names):
    """Raise if two columns have one name."""
    for place, name in enumerate(names):
        if name in names[:place]:
            raise InputError(f"{path}: two columns are named {name!r}.")


def refuse_unknown(table, columns):
    """Raise unless a table has some columns."""
    known = table.schema.names
    missing = [name for name in columns if name not in known]
    if missing:
        shown = ", ".join(map(repr, missing[:5])) + (", ..." if len(missing) > 5 else "")
        verb = "column {} is" if len(missing) == 1 else "columns {} are"
        hint = nearest(missing[0], known) or "."
        if len(known) == 1 and (mark := next((one for one in ";\t|" if one in known[0]), None)):
            hint = f": values are separated by commas, and its first line has {mark!r}."
        raise InputError(f"{table.path}: {verb.format(shown)} not among its {len(known)} columns{hint}")


@contextmanager
def open_writer(file, schema, kind):
    """Give a function that appends a record batch to a table in a file: to Parquet as a row group of its own.

    Parameters
    ----------
    file : file object
        Binary, for writing.
    schema : pyarrow.Schema
    kind : "parquet" or "csv"
    """
    import pyarrow as pa
    from pyarrow import csv, parquet

    writer = (
        parquet.ParquetWriter(file, schema, write_page_checksum=True)
        if kind == "parquet"
        else csv.CSVWriter(file, schema)
    )

    def write(batch):
        """Append a batch."""
        rows = pa.Table.from_batches([batch], schema)
        if kind == "parquet":
            writer.write_table(rows, row_group_size=max(batch.num_rows, 1))
        else:
            writer.write_table(rows)

    try:
        yield write
    except BaseException:
        with suppress(Exception):  # the first error is the one to tell
            writer.close()
        raise
    writer.close()
