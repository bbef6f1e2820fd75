"""The store of raw rows: one Parquet file a unit, whole or not there, and known by its checksum.

A file is named `<key>-<checksum of its bytes>.parquet`, and so carries its own proof. What does not match its
name, or is not what a unit leaves behind, is set aside, and the unit counts as missing.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosscheck._files import checksum, locked, remedy, write_atomically
from crosscheck.claims.claim import Unit
from crosscheck.errors import UsageError
from crosscheck.running.fingerprint import unit_key

if TYPE_CHECKING:
    import pandas as pd

LABEL = b"crosscheck"  # of our entry in the file's metadata
REQUIRED = {"key", "seconds", "nan"}  # keys of that entry
logger = logging.getLogger(__name__)


class UnwritableError(UsageError):
    """The store cannot be written: no further unit could be kept either."""


def listing(store: Path) -> dict[str, list[str]]:
    """The files' names by the key in them: to look for many units, the folder is read once."""
    files: dict[str, list[str]] = {}
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(store):  # noqa: PTH208 - paths of them all would take ten times as long
            if name.endswith(".parquet"):
                files.setdefault(name.partition("-")[0], []).append(name)
    return files


def find(store: Path, key: str, files: Mapping[str, list[str]] | None = None) -> Path | None:
    """The intact file of a unit, if there is one; a damaged or foreign one is set aside.

    Args:
        files: the `listing` of the store, where more than this unit is looked for.

    Raises:
        UsageError: a file that can neither be read nor set aside.
    """
    found = (
        sorted(store.glob(f"{key}-*.parquet"))
        if files is None
        else map(store.joinpath, sorted(files.get(key, ())))
    )
    for path in found:
        try:
            wrong = fault(path, key)
            if not wrong:
                return path
            set_aside(path, wrong)
        except FileNotFoundError:  # another run was quicker to set it aside
            continue
        except OSError as error:
            raise UsageError(f"Cannot read {path}: {remedy(error)}.") from error
    return None


def fault(path: Path, key: str) -> str:
    """What is wrong with a file that bears the name of a unit; empty where nothing is."""
    content = path.read_bytes() if path.exists() and not path.is_dir() else None
    if content is None or path.name != file_name(key, content):
        return "does not match its checksum"
    return strange(content, key)


def strange(content: bytes, key: str) -> str:
    """What keeps bytes from being those of a unit's rows; empty where nothing does."""
    try:
        entry = about(io.BytesIO(content))
    except (ValueError, OSError):  # of Arrow and of JSON
        return "is no table of rows"
    is_ours = isinstance(entry, dict) and entry.keys() >= REQUIRED and entry["key"] == key
    return "" if is_ours else "is another unit's"


@contextlib.contextmanager
def alone(store: Path, key: str, wait: bool = True) -> Iterator[None]:
    """Only one process at a time computes a unit; who has waited finds it done.

    Raises:
        UnwritableError: there is no place for the lock.
        TimeoutError: another process has it, and `wait` is false.
    """
    path, stack = store / "locks" / key, contextlib.ExitStack()
    try:
        stack.enter_context(locked(path, wait))
    except TimeoutError:
        raise
    except OSError as error:
        raise UnwritableError(f"Cannot write {path}: {remedy(error)}.") from error
    with stack:
        yield


def file_name(key: str, content: bytes) -> str:
    return f"{key}-{checksum(content)[:16]}.parquet"


def set_aside(path: Path, wrong: str) -> None:
    folder = path.parent / "set-aside"
    folder.mkdir(exist_ok=True)
    path.replace(folder / path.name)
    logger.warning("%s %s: moved to %s, and computed anew.", path.name, wrong, folder)


def write(store: Path, key: str, rows: pd.DataFrame, about: dict[str, Any]) -> Path:
    """Save a unit's rows with what is known about their making.

    Raises:
        UnwritableError: where the store cannot be written.
    """
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.Table.from_pandas(rows, preserve_index=False)
    table = table.replace_schema_metadata({LABEL: json.dumps({"key": key, **about})})
    content = io.BytesIO()
    parquet.write_table(table, content)
    return put(store, key, content.getvalue())


def put(store: Path, key: str, content: bytes) -> Path:
    """Write the file of a unit under the name that proves it.

    Raises:
        UnwritableError: where the store cannot be written.
    """
    path = store / file_name(key, content)
    try:
        write_atomically(path, content)
    except UsageError as error:
        raise UnwritableError(str(error)) from error
    return path


def keep(store: Path, key: str, content: bytes, proof: str) -> str:
    """Save a unit's file that another machine has made and sent: what is wrong with it, if anything is.

    Raises:
        UnwritableError: where the store cannot be written.
    """
    wrong = "does not match its checksum" if checksum(content) != proof else strange(content, key)
    if not wrong:
        put(store, key, content)
    return wrong


def rows(store: Path, units: Iterable[Unit]) -> tuple[pd.DataFrame, float]:
    """The rows of those units that are finished, and the seconds they took."""
    import pandas as pd

    from crosscheck.claims.rows import tidy, typed

    files = listing(store)
    finished = [sound(path, key) for key in map(unit_key, units) if (path := find(store, key, files))]
    frames = [frame for frame, _ in finished]
    together = typed(pd.concat(frames, ignore_index=True)) if frames else tidy(value=[])
    return together, sum(entry["seconds"] for _, entry in finished)


def sound(path: Path, key: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """As `read`, of a file whose checksum is right: if it cannot be read, somebody has forged it."""
    from crosscheck.claims.rows import typed

    try:
        rows, entry = read(path, key)
        return typed(rows), entry
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise UsageError(f"{path} does not hold a unit's rows: {error}. Delete it and run again.") from error


def read(path: Path, key: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """A unit's rows and what is known about them.

    Raises:
        ValueError: if the file is that of another unit, or not one of ours.
    """
    from pyarrow import parquet

    entry = about(path)
    if entry.get("key") != key:
        raise ValueError(f"{path} holds the unit {entry.get('key')!r}, not {key!r}. Delete it and run again.")
    return parquet.read_table(path).to_pandas(), entry


def about(path: Path | io.BytesIO) -> dict[str, Any]:
    """What was written with the rows: the unit, the seconds it took, what was not a finite number."""
    from pyarrow import parquet

    return json.loads((parquet.read_schema(path).metadata or {}).get(LABEL, b"{}"))
