"""A stamp says that a request has been met: from which code, versions, data and rows, into which files.

While all of these still match there is nothing to do, and no study need be imported to know it. A stamp that
does not match costs little: finished units are reused all the same, and only the results are written anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from crosscheck import _child
from crosscheck._files import checksum, write_atomically
from crosscheck.claims.claim import BACKENDS
from crosscheck.errors import UsageError
from crosscheck.running.plan import Request
from crosscheck.running.provenance import installed, versions

DRAWN_WITH = ("pandas", "matplotlib", "jinja2")


def write(request: Request, read: Iterable[str], files: Iterable[Path]) -> None:
    """Stamp a request as met.

    Args:
        request: what was asked for.
        read: the data sets that its units read, or would have read.
        files: that have to be there unchanged for the request to count as met.
    """
    stamp = {
        "inputs": inputs(request),
        "data": {name: state(name) for name in sorted(read)},
        "files": {str(file.resolve()): checksum(file) for file in files},
    }
    write_atomically(path_of(request), json.dumps(stamp, indent=1))


def matches(request: Request) -> bool:
    """Whether the request was met from what is there now, and no file has changed since."""
    try:
        stamp = json.loads(path_of(request).read_text(encoding="utf-8"))
        return (
            stamp["inputs"] == inputs(request)
            and all(checksum(Path(file)) == old for file, old in stamp["files"].items())
            and all(state(name) == old for name, old in stamp["data"].items())
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, UsageError):
        return False  # missing, broken, or from another version of this module


def path_of(request: Request) -> Path:
    """Each request has a stamp of its own, so that running one study does not undo the stamp of all."""
    asked = (
        *(request.names, str(request.results.resolve()), request.scale, request.backend, request.data),
        *(request.seeds, request.pilot),
    )
    return request.store / "stamps" / f"{digest(asked)[:16]}.json"


def inputs(request: Request) -> str:
    """One hash of the whole code and of the versions that shape results: stricter than it need be."""
    drawn_with = [installed(name) for name in DRAWN_WITH]
    return digest(_child.code(), versions(*BACKENDS), drawn_with)


def state(name: str) -> str:
    """A data set's identity; empty where it is not prepared, as it may be by the next time."""
    from crosscheck import data

    return data.identity(name) if data.prepared(name) else ""


def digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
