"""All trials, in processes, kept on disk one by one: what was interrupted goes on where it was."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, TypeVar

import keras
import msgspec

import crosscheck
from benchmarks.diagnose_rates.measure import Asked, Trial, paired
from benchmarks.diagnose_rates.trials import (
    FAULTS,
    Examined,
    Truth,
    drawn,
    examined,
    find_healthy,
    find_mutant,
)

TASKS_PER_PROCESS = 20  # TensorFlow keeps memory of every model
EXACT_PER_PROCESS = 60  # of which no model is trained
T = TypeVar("T", bound=msgspec.Struct)
Report = Callable[[str], Any]
Job = tuple[str, Callable[..., Any], tuple[Any, ...]]
TRUTHS = ("tasks", "drafts", "healthy", "health", "faults", "exact_faults", "trained_faults")


class Store:
    """Records by key, one JSON line each, in a file that is appended to."""

    def __init__(self, path: Path, kind: type[Any]):
        self.path, self.kind = path, kind
        path.parent.mkdir(parents=True, exist_ok=True)
        self.records = {record.key: record for record in self.read()}
        if path.exists() and not path.read_bytes().endswith(b"\n"):
            with path.open("a", encoding="utf-8") as file:
                file.write("\n")  # or the next record would be lost with the half one

    def read(self) -> Iterator[Any]:
        """A last line that was not written to its end is left out."""
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                try:
                    yield msgspec.json.decode(line, type=self.kind)
                except msgspec.DecodeError:
                    continue

    def add(self, record: Any) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(msgspec.json.encode(record).decode() + "\n")
        self.records[record.key] = record


def fingerprint(files: Iterable[Path]) -> str:
    """Of the content of source files, of Keras and of the backend."""
    digest = hashlib.sha256(f"{keras.__version__} {keras.backend.backend()}".encode())
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def truth_store(folder: Path) -> Store:
    """Kept as long as generator and operators stay as they are."""
    here = Path(__file__).parent
    return Store(folder / f"truths-{fingerprint(here / f'{name}.py' for name in TRUTHS)}.jsonl", Truth)


def examination_store(folder: Path, exact_only: bool) -> Store:
    """Kept as long as no line of the package or of these benchmarks changes."""
    sources = [*Path(crosscheck.__file__).parent.rglob("*.py"), *Path(__file__).parent.glob("*.py")]
    kind = "exact" if exact_only else "whole"
    return Store(folder / f"{kind}-{fingerprint(sources)}.jsonl", Examined)


def run(
    store: Store,
    jobs: Sequence[Job],
    workers: int,
    report: Report,
    each: int = TASKS_PER_PROCESS,
) -> None:
    """Runs the jobs (key, function, arguments) whose key is not in the store."""
    due = [job for job in jobs if job[0] not in store.records]
    if workers == 0:
        for _, function, arguments in due:
            store.add(function(*arguments))
        return
    chunk = workers * each
    for start in range(0, len(due), chunk):
        for record in in_processes(due[start : start + chunk], workers):
            store.add(record)
        report(f"  {min(start + chunk, len(due))} of {len(due)}")


def in_processes(jobs: Sequence[Job], workers: int) -> Iterator[Any]:
    """The results as they come. Each call has new processes: a pool that renews its own may hang."""
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(function, *arguments) for _, function, arguments in jobs]
        for future in as_completed(futures):
            yield future.result()


def healthy_truths(store: Store, count: int, seed: int, workers: int, report: Report) -> list[Truth]:
    """Programs that reached their goal."""
    jobs = [(f"{seed}/{place}/", find_healthy, (seed, place)) for place in range(count)]
    run(store, jobs, workers, report)
    return [store.records[key] for key, *_ in jobs]


def mutant_truths(
    store: Store, healthy: Sequence[Truth], asked: Asked, workers: int, report: Report
) -> list[Truth]:
    """Of every fault, mutants of the first healthy programs to which it applies; their sizes take turns."""
    jobs: list[Job] = []
    written: list[Job] = []  # faults as they are written, of which nothing is trained
    drafts = [drawn(truth.seed, truth.place, truth.attempt) for truth in healthy]
    for fault in (f for f in FAULTS.values() if f.decided in asked.decided):
        fitting = [truth for truth, draft in zip(healthy, drafts, strict=True) if fault.applies(draft)]
        for i, truth in enumerate(fitting[: asked.each]):
            key = f"{truth.seed}/{truth.place}/{fault.name}"
            job = (key, find_mutant, (truth, fault.name, fault.sizes[i % len(fault.sizes)]))
            (jobs if fault.trains else written).append(job)
    run(store, written, 0, report)
    run(store, jobs, workers, report)
    return [store.records[key] for key, *_ in (*written, *jobs)]


def measured(asked: Asked, kept: Path, workers: int, report: Report) -> tuple[list[Trial], list[Trial]]:
    """Healthy programs and mutants, each with what was said of it; what is kept already is not done again."""
    store = truth_store(kept)
    report(f"{asked.count} healthy programs")
    healthy = healthy_truths(store, asked.count, asked.seed, workers, report)
    report(f"{asked.each} mutants of each fault, as far as there are programs for it")
    mutants = mutant_truths(store, healthy, asked, workers, report)
    judged = [truth for truth in mutants if truth.is_fault]
    report(f"{len(healthy) + len(judged)} examinations")
    said = examinations(kept, [*healthy, *judged], asked.exact_only, workers, report)
    return paired(healthy, said), paired(mutants, said)


def examinations(
    folder: Path, truths: Sequence[Truth], exact_only: bool, workers: int, report: Report
) -> dict[str, Examined]:
    """What the diagnosis says of all of them, by key; of exact faults the exact checks alone are asked."""
    found: dict[str, Examined] = {}
    for exact in (True, False):
        chosen = [truth for truth in truths if is_exact(truth, exact_only) is exact]
        store = examination_store(folder, exact)
        jobs: list[Job] = [(truth.key, examined, (truth, exact)) for truth in chosen]
        run(store, jobs, workers, report, EXACT_PER_PROCESS if exact else TASKS_PER_PROCESS)
        found |= {truth.key: store.records[truth.key] for truth in chosen}
    return found


def is_exact(truth: Truth, exact_only: bool) -> bool:
    return exact_only or bool(truth.fault and FAULTS[truth.fault].decided == "exact")


def as_json(record: Any) -> str:
    return json.dumps(record, indent=1, ensure_ascii=False) + "\n"
