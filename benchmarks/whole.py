"""The whole suite as a user runs it: wall time, processor time and peak memory, workers included."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.compare import Entry, record, spread
from crosscheck.errors import CrosscheckError

GOAL = 360.0  # seconds, of an empty store at the standard scale
AGAIN = 3.0  # of a store that has everything
CHEAP = ("gaussian_prior", "laplace_prior")  # for a look whether it runs at all
INTERVAL = 0.2  # seconds between two looks at the memory


@dataclass(frozen=True)
class Usage:
    """What a command took: seconds by the clock and of processors, bytes of all processes, of the largest."""

    wall: float
    cpu: float
    peak: int
    largest: int


def run(command: Sequence[str], folder: Path) -> Usage:
    """Run a command to its end, and watch the memory of its process tree.

    Raises:
        CrosscheckError: it could not do what it was asked; its own words stand above. A claim of which a
            control did not fail (exit code 1) is no matter of time.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start, peak, largest_sum, largest = time.monotonic(), 0, 0, 0
    child = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    while child.poll() is None:
        processes = tree(child.pid)
        sizes = [memory_of(process, "status", "VmRSS") for process in processes]
        largest = max(largest, *sizes, 0)
        if (
            sum(sizes) > largest_sum
        ):  # pages that processes share counted in each: cheap to ask, the other is not
            largest_sum = sum(sizes)
            peak = max(peak, sum(memory_of(process, "smaps_rollup", "Pss") for process in processes))
        time.sleep(INTERVAL)
    if child.returncode not in (0, 1):
        raise CrosscheckError(f"{' '.join(command)} ended with exit code {child.returncode}.")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Usage(time.monotonic() - start, cpu, peak, largest)


def tree(process: int) -> list[int]:
    """A process and all that come from it, as far as they can be seen."""
    processes = [process]
    for parent in processes:  # grows while it is gone through
        for file in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                processes += map(int, file.read_text().split())
            except OSError:  # it has ended meanwhile
                continue
    return processes


def memory_of(process: int, file: str, what: str) -> int:
    """Bytes that the system tells of a process: `VmRSS`, resident; `Pss`, what it shares in equal parts."""
    try:
        lines = Path(f"/proc/{process}/{file}").read_text().splitlines()
    except OSError:  # it has ended
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(f"{what}:")), 0)


def entries(smoke: bool) -> list[Entry]:
    """From an empty store to the report, then once more, when nothing is left to do."""
    scale, names = ("smoke", CHEAP) if smoke else ("standard", ())
    with tempfile.TemporaryDirectory(prefix="crosscheck-") as temporary:
        place = ["--results", f"{temporary}/results", "--store", f"{temporary}/store"]
        command = [sys.executable, "-m", "crosscheck", "run", *names, "--scale", scale, "--quiet", *place]
        root = Path(__file__).parents[1]
        return [
            entry("whole suite", "from an empty store", GOAL, run(command, root), scale, names),
            entry("whole suite, again", "when all is done", AGAIN, run(command, root), scale, names),
        ]


def entry(bench: str, what: str, goal: float, used: Usage, scale: str, names: Sequence[str]) -> Entry:
    setting: dict[str, Any] = {"scale": scale, "studies": list(names) or "all", "jobs": "as many as fit"}
    note = (
        f"{what}; CPU seconds of all processes {used.cpu:.0f}; peak memory is the sum over processes, looked "
        f"at every {INTERVAL:g} s, a page that several share counted once"
    )
    against = f"the goal, {goal:g} s"
    seconds = {"subject": spread([used.wall]), "against": spread([goal])}
    memory = {"peak_bytes": used.peak, "largest_process_bytes": used.largest}
    measured = record(bench, f"crosscheck run, {scale}", against, [used.wall / goal], setting, note)
    return {**measured, "seconds": seconds, "cpu_seconds": used.cpu, **memory}
