"""`python -m benchmarks.diagnose_rates.collections FOLDER OUT.jsonl`: programs of others, diagnosed.

Of each script in a published collection of buggy training programs and their repaired versions, in place, one
JSON line: its id, its version, whether it came as far as its `fit` or why not, the seconds, and the names of
what was found. Nothing of the collection is kept: no code, no data.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import click
import keras
import numpy as np

from crosscheck._files import write_atomically
from crosscheck.cli import main
from crosscheck.diagnose import command as _command  # noqa: F401 likewise

VERSIONS = {  # by a folder, a file's name or the end of it
    "buggy": re.compile(r"buggy( ?code| ?model)?|origin|(?P<id>.*)_context", re.IGNORECASE),
    "fixed": re.compile(r"(correct|fixed)( ?code| ?model)?|repair|(?P<id>.*)_ground_truth", re.IGNORECASE),
}
REASONS = {  # what a refusal begins to say after its place, and what it is counted as
    "never calls fit": "never calls fit",
    "is written for Python 2": "is written for Python 2",
    "is not Python 3": "is no Python 3",
    "which is not installed": "imports a library that is not installed",
    "which is not there": "reads a file that is not there",
    "needs the network": "needs the network",
    "ends the script": "ends itself",
    "asks for input": "asks for input",
    "has not called fit after": "has not called fit in time",
    "is of Keras 1": "has no equal in Keras 3",
    "is of TensorFlow 1": "is written for TensorFlow 1",
    "(?:AttributeError|ImportError).*tensorflow": "is written for TensorFlow 1",
    r"fails before it calls fit: (\w+)": "fails before its fit",
    r"Keras takes arrays|does not take the data|not compiled|has no batch": "Keras refuses its call of fit",
}


@dataclass(frozen=True)
class Script:
    """A script of a collection.

    Attributes:
        id: its path in the collection without what tells the version: the same for a pair.
        version: "buggy" or "fixed".
    """

    path: Path
    id: str
    version: str


@dataclass(frozen=True)
class Row:
    """What came of a script.

    Attributes:
        ran: whether it came as far as its `fit`; `why_not` says why it did not, in the words of `REASONS`.
        found: the names of the checks that found a fault; `undecided` and `notes` likewise.
    """

    id: str
    version: str
    ran: bool
    why_not: str
    seconds: float
    found: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    translated: int = 0


class DeepLocalize(keras.callbacks.Callback):
    """In place of the instrument that the authors of a collection had put into their copy of Keras."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__()


def idx(path: Path) -> np.ndarray:
    """An array from a file of the MNIST family, whose head tells its shape."""
    content = gzip.decompress(path.read_bytes())
    rank = content[3]
    shape = np.frombuffer(content, ">i4", rank, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)


def mnist_in(folder: Path) -> Callable[..., Any]:
    """What `keras.datasets.mnist.load_data` gives, from the four files from which its archive was made."""
    parts = [
        [idx(folder / f"{part}-{what}-ubyte.gz") for what in ("images-idx3", "labels-idx1")]
        for part in ("train", "t10k")
    ]
    return lambda *arguments, **named: tuple((x.copy(), y.copy()) for x, y in parts)


def scripts_in(collection: Path) -> Iterator[Script]:
    """All scripts that are of one version or the other, by their paths."""
    for path in sorted(collection.rglob("*.py")):
        script = script_at(path, collection)
        if script:
            yield script


def script_at(path: Path, collection: Path) -> Script | None:
    parts = path.relative_to(collection).with_suffix("").parts
    for version, pattern in VERSIONS.items():
        matches = [pattern.fullmatch(part) for part in parts]
        if any(matches):
            kept = [m["id"] if m else part for part, m in zip(parts, matches, strict=True)]
            return Script(path, "/".join(filter(None, kept)), version)
    return None


def diagnosed(script: Script, timeout: float, seconds: float = 0) -> tuple[Row, str]:
    """The row of a script, run from its folder in a process of its own, and what that complained of."""
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        ended_after = 4 * timeout + 2 * seconds
        code = in_a_fork(
            lambda: diagnose(script.path, timeout, seconds), out.fileno(), err.fileno(), ended_after
        )
        spent = round(time.perf_counter() - start, 1)
        text, complaint = read(out), read(err)
    if code is None:
        return Row(script.id, script.version, True, "is not diagnosed in time", spent), complaint
    if code == 2 or not text:
        return Row(script.id, script.version, False, reason(complaint), spent), complaint
    return row_of(script, json.loads(text), spent), ""


def read(file: IO[str]) -> str:
    file.seek(0)
    return file.read().strip()


def diagnose(script: Path, timeout: float, seconds: float) -> None:
    os.chdir(script.parent)
    limits = ["--timeout", str(timeout), "--seconds", str(seconds)]
    sys.argv = ["crosscheck", "diagnose", script.name, "--json", *limits]
    main.main()


def in_a_fork(work: Callable[[], None], out: int, err: int, timeout: float) -> int | None:
    """The exit code of work in a process that begins with Keras imported; None where it was ended."""
    child = os.fork()
    if child == 0:
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))  # noqa: SIM115
        try:
            work()
        except SystemExit as end:
            os._exit(int(end.code or 0))
        os._exit(1)
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def row_of(script: Script, record: dict, seconds: float) -> Row:
    found, undecided, notes = (
        tuple(sorted({f["check"] for f in record["findings"] if f["verdict"] == verdict}))
        for verdict in ("✗", "?", "note")
    )
    translated = len(record["translated"])
    return Row(script.id, script.version, True, "", seconds, found, undecided, notes, translated)


def reason(complaint: str) -> str:
    """Why a script did not run, as it is counted: nothing of its own but the name of an error."""
    for pattern, words in REASONS.items():
        match = re.search(pattern, complaint)
        if match:
            return f"{words}: {match[1]}" if match.groups() else words
    return "crosscheck failed"


@click.command()
@click.argument("collection", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--timeout", default=120.0, show_default=True, help="Seconds for a script to come to its fit.")
@click.option("--seconds", default=0.0, show_default=True, help="Seconds of training; 0: exact checks alone.")
@click.option("--only", default="", help="Only ids that contain this.")
@click.option(
    "--mnist",
    type=click.Path(exists=True, path_type=Path),
    help="Folder of its four gz files, where there is no network.",
)
def measure(
    collection: Path, out: Path, timeout: float, seconds: float, only: str, mnist: Path | None
) -> None:
    """Diagnose every script below COLLECTION, one at a time, and write a row each to OUT."""
    keras.callbacks.DeepLocalize = keras.callbacks.backpropagation = DeepLocalize
    if mnist:
        keras.datasets.mnist.load_data = mnist_in(mnist)
    rows = []
    for script in scripts_in(collection):
        if only in script.id:
            row, complaint = diagnosed(script, timeout, seconds)
            rows.append(row)
            click.echo(
                f"{row.version:6} {row.id}: {complaint or ', '.join(row.found) or 'nothing found'}", err=True
            )
            write_atomically(out, "".join(json.dumps(asdict(r), ensure_ascii=False) + "\n" for r in rows))
    for words, count in Counter(row.why_not or "ran" for row in rows).most_common():
        click.echo(f"{count:4} {words}")


if __name__ == "__main__":
    measure()
