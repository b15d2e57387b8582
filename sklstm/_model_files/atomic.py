"""Files that are replaced as a whole: readers find the old one or the new one, never a part."""

import errno
import os
import secrets
import stat
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path, temporary=None):
    """Give a file to write to, in the same folder, that takes the place of `path` at the end.

    An error leaves what was at `path` as it was, and no other file. The data are on the disk before the name is
    changed, and the change of the name before this ends.

    Parameters
    ----------
    path : str or path-like
        A symbolic link stays one: what it points at is replaced.
    temporary : str or path-like, default=None
        Name of the file that is written, in the same folder; what was there is lost. None for a new name.
    """
    target = Path(os.path.realpath(os.fspath(path)))
    if target.exists() and not target.is_file():
        # The name of a folder, or of a device, would be lost.
        raise (IsADirectoryError if target.is_dir() else OSError)(f"{target} is no regular file.")
    if not target.parent.exists():  # opening it would name the temporary file
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(target.parent))
    mode = "xb" if temporary is None else "wb"
    temporary = temporary or target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}.tmp")
    file = open(temporary, mode)  # noqa: SIM115  # closed below, before its name is changed
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            os.chmod(temporary, stat.S_IMODE(os.stat(target).st_mode))
        os.replace(temporary, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    flush_folder(target.parent)


def flush_folder(folder):
    """Bring a changed name to the disk, where the system can."""
    if os.name != "posix":
        return
    with suppress(OSError):  # some file systems of networks refuse it
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
