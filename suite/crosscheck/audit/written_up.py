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
from crosscheck.report.audits import Defect, read_defects

SCRIPT = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
ADDRESS = re.compile(r" at 0x[0-9a-f]+")  # another one in each process
PATIENCE = 300  # seconds


class Printed(Struct, frozen=True):
    """What the script of one defect prints under either Keras; an error is its last line.

    Attributes:
        file: beside the tables of the audit.
    """

    file: str
    title: str
    before: str
    after: str

    @property
    def same(self) -> bool:
        return self.before == self.after


def run_scripts(
    folder: Path, pythons: Sequence[Path], backend: str, report: Callable[[str], Any]
) -> Iterator[Printed]:
    """The script of each defect in a folder under two Pythons, both at once."""
    with ThreadPoolExecutor(len(pythons)) as pool:
        for defect, script in scripts_in(folder):
            before, after = pool.map(partial(output, script=script, backend=backend), pythons)
            printed = Printed(f"{folder.name}/{defect.file}", defect.title, before, after)
            report(f"{'prints the same' if printed.same else 'prints otherwise':18}{printed.file}")
            yield printed


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
