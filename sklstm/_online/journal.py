"""The journal of a learner: what it was told since a checkpoint, written before it acts on it.

A file begins with a magic number, the fingerprint of the run (16 bytes) and the number of calls before its first
record. Each record is its length, its CRC-32 and its bytes. A process that is killed leaves at most the last record
incomplete; `read_journal` returns those before.
"""

import os
import struct
import zlib
from time import perf_counter

MAGIC = b"sklstmJ1"
_HEADER = struct.Struct("<8s16sQ")
_RECORD = struct.Struct("<II")


class Journal:
    """A journal that records are appended to.

    Parameters
    ----------
    path : Path
    fingerprint : bytes
        16 bytes.
    n_calls : int
        Calls before the first record.
    sync_every : int or None
        Records between two calls of `fsync`; None for none.
    """

    def __init__(self, path, fingerprint, n_calls, sync_every):
        self.path, self._sync_every, self._unsynced = path, sync_every, 0
        header = _HEADER.pack(MAGIC, fingerprint, n_calls)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        try:
            size = os.fstat(self._file).st_size
            if size < len(header):
                os.ftruncate(self._file, 0)
                _write(self._file, header)
                size = len(header)
            self._end = size
            os.lseek(self._file, size, os.SEEK_SET)
        except BaseException:
            os.close(self._file)
            raise
        self.sync_seconds = 0.0

    def append(self, record):
        """Write a record; an error leaves the journal as it was."""
        content = _RECORD.pack(len(record), zlib.crc32(record)) + record
        try:
            n = os.write(self._file, content)
            if n != len(content):  # a disk that is full takes a part
                _write(self._file, content[n:])
        except BaseException:
            self._cut(self._end)
            raise
        self._end += len(content)
        if self._sync_every is not None:
            self._unsynced += 1
            if self._unsynced >= self._sync_every:
                self.sync()

    @property
    def end(self):
        """Number of bytes that are whole records."""
        return self._end

    def _cut(self, end):
        os.ftruncate(self._file, end)
        os.lseek(self._file, end, os.SEEK_SET)

    def sync(self):
        """Bring the records to the disk."""
        begin = perf_counter()
        os.fsync(self._file)
        self._unsynced = 0
        self.sync_seconds += perf_counter() - begin

    def cut_to(self, end):
        """Drop what follows a whole record, as `read_journal` or `end` said where it ends."""
        self._end = max(end, _HEADER.size)
        self._cut(self._end)

    def close(self):
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _write(file, content):
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]


def read_journal(path, fingerprint):
    """Return the whole records of a journal, and where each ends, after the end of its header.

    Raises
    ------
    ValueError
        If it is the journal of another run, or none.
    """
    content = path.read_bytes()
    if len(content) < _HEADER.size:  # killed while it was made
        return [], [0]
    magic, found, _ = _HEADER.unpack_from(content)
    if magic != MAGIC or found != fingerprint:
        raise ValueError(f"{path} is no journal of this learner.")
    records, ends = [], [_HEADER.size]
    while ends[-1] + _RECORD.size <= len(content):
        begin = ends[-1] + _RECORD.size
        length, checksum = _RECORD.unpack_from(content, ends[-1])
        record = content[begin : begin + length]
        if not length or len(record) < length or zlib.crc32(record) != checksum:
            break
        records.append(record)
        ends.append(begin + length)
    return records, ends
