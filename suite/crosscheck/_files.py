"""Files that are whole or not there, locks that die with their process, and checksums."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from crosscheck.errors import UsageError

REMEDIES = {
    errno.EACCES: "no permission to write there; choose another folder or change its permissions",
    errno.EPERM: "no permission to write there; choose another folder or change its permissions",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.ENOSPC: "the disk is full; free some space and run again, nothing is lost",
    errno.EDQUOT: "the disk quota is used up; free some space and run again, nothing is lost",
    errno.EFBIG: "no file may be that large here; raise the limit (`ulimit -f`) or choose another folder",
    errno.ENOTDIR: "a part of the path is a file, not a folder; move it away or choose another folder",
    errno.EEXIST: "a part of the path is a file, not a folder; move it away or choose another folder",
    errno.EISDIR: "there is a folder of that name; move it away",
}
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)  # said by a file system without locks


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file so that a reader, or a run killed at any moment, sees the old or the new one.

    Text is written as UTF-8 with its line ends as they are.

    Raises:
        UsageError: where the file cannot be written; the old one is then untouched.
    """
    data = content.encode() if isinstance(content, str) else content
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        flush(aside, data)
        aside.replace(path)
    except OSError as error:
        raise UsageError(f"Cannot write {path}: {remedy(error)}.") from error
    finally:
        discard(aside)


def flush(path: Path, data: bytes) -> None:
    """Write and wait until the bytes are on the disk: a rename alone may survive a crash without them."""
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def discard(path: Path) -> None:
    """Remove a file that may not be there, or cannot be: a folder that refused it also refuses this."""
    try:
        path.unlink()
    except OSError:
        return


def checksum(source: bytes | Path) -> str:
    """The sha256 of bytes or of a file, in hexadecimal digits."""
    content = source if isinstance(source, bytes) else source.read_bytes()
    return hashlib.sha256(content).hexdigest()


@contextlib.contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[None]:
    """Hold the lock on a path, waiting for it; the system takes it from a process that dies.

    A file system that knows no locks goes without.

    Raises:
        OSError: there is no place for the lock; a TimeoutError: it is held, and `wait` is false.
    """
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except NotImplementedError:  # how older versions of filelock say it
        pass
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    try:
        yield
    finally:
        lock.release()


def remedy(error: OSError) -> str:
    """What to do about it, in words."""
    return REMEDIES.get(error.errno or 0, error.strerror or str(error))
