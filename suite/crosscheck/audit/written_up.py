"""The defects that were written up, each with a script: what it prints under one Keras and another."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct

from crosscheck.audit.other_backends import environment_of
from crosscheck.claims.claim import BACKEND_NAMES
from crosscheck.report.audits import Defect, read_defects

SCRIPT = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
ADDRESS = re.compile(r" at 0x[0-9a-f]+")  # another one in each process
LACKING = "ModuleNotFoundError"
PATIENCE = 300  # seconds


class Printed(Struct, frozen=True):
    """What the script of one defect prints under either Keras; an error is its last line.

    Attributes:
        file: beside the tables of the audit.
        backend: on which it was run.
    """

    file: str
    title: str
    backend: str
    before: str
    after: str

    @property
    def finding(self) -> str:
        """`not run` where a Python lacks a module, such as the backend: what it prints says nothing then."""
        if LACKING in self.before or LACKING in self.after:
            return "not run"
        return "the same" if self.before == self.after else "otherwise"


def run_scripts(
    folder: Path, pythons: Sequence[Path], backend: str, report: Callable[[str], Any]
) -> Iterator[Printed]:
    """The script of each defect in a folder under two Pythons, both at once, on each backend that has it."""
    with ThreadPoolExecutor(len(pythons)) as pool:
        for defect, script in scripts_in(folder):
            for place in backends_of(defect, backend):
                before, after = pool.map(partial(output, script=script, backend=place), pythons)
                printed = Printed(f"{folder.name}/{defect.file}", defect.title, place, before, after)
                report(f"{printed.finding:12}{place:12}{printed.file}")
                yield printed


def backends_of(defect: Defect, backend: str) -> list[str]:
    """Those that a title names, for on another the script shows no defect; this one where it names none."""
    named = [key for key, name in BACKEND_NAMES.items() if re.search(rf"\b{name}\b", defect.title)]
    return named or [backend]


def scripts_in(folder: Path) -> Iterator[tuple[Defect, str]]:
    for defect in read_defects(folder):
        if found := SCRIPT.search(defect.text):
            yield defect, found[1]


def output(python: Path, script: str, backend: str) -> str:
    """What a script writes in a folder of its own; where it ends with an error, that comes last."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            ran = subprocess.run(
                [str(python.absolute()), "-P", "-c", script],
                capture_output=True,
                text=True,
                cwd=folder,
                timeout=PATIENCE,
                env=environment_of(backend),
            )
        except subprocess.TimeoutExpired:
            return f"no end within {PATIENCE} s"
    error = error_line(ran.stderr) if ran.returncode else ""
    return ADDRESS.sub("", "\n".join(filter(None, [ran.stdout.strip(), error])))


def error_line(stderr: str) -> str:
    """The line of a traceback that names the error; the rest of a message may hold paths and addresses."""
    lines = [line for line in stderr.splitlines() if re.match(r"^[\w.]*(Error|Exception)\b", line)]
    return lines[-1] if lines else "an end without a traceback"
