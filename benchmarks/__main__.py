"""Runs the benches and writes bench.json, the table and the figure."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from benchmarks import report
from benchmarks.compare import Side, compare, record, spread
from benchmarks.limit import step_limit
from benchmarks.process import Process, installed
from suite.errors import UsageError
from suite.files import write_atomically

DIGITS = {"data": "digits", "inputs": [64], "hidden": 64, "batch": 64}
OURS, LOOP = "Replicates, {}", "a loop of keras.Model.fit, {}"
Entry = dict[str, Any]


def total(smoke: bool) -> Iterator[Entry]:
    """From nothing to trained, against the loop on the same backend; the loop is timed on a few seeds.

    Each side has a process: the models that a loop leaves behind slow down whoever traces next.
    """
    for backend in ["tensorflow"] if smoke else installed():
        rounds, sample = (1, 1) if smoke else (3, 3) if backend == "tensorflow" else (2, 2)
        with Process(backend) as process, Process(backend) as other:
            # One small run first, so that neither side pays for the libraries' own start.
            process.ask("replicates_total", {**DIGITS, "epochs": 1, "R": 2})
            other.ask("fit_total", {**DIGITS, "epochs": 1, "sample": 1})
            sizes = (2,) if smoke else (32, 256)
            both = ("keras", "suite.losses") if backend == "tensorflow" else ("suite.losses",)
            for loss, r in itertools.product(both, sizes):
                setting = {**DIGITS, "epochs": 1 if smoke else 20, "R": r, "loss": loss}
                ours = Side(OURS.format(backend), process, "replicates_total", setting, warm=False)
                few = {**setting, "sample": sample}
                loop = Side(LOOP.format(backend), other, "fit_total", few, r / sample, warm=False)
                note = f"compilation included; the loop timed on {sample} seeds and scaled to {r}"
                yield compare("total", ours, loop, rounds, note)


def steady(smoke: bool) -> Iterator[Entry]:
    """Epochs of what is compiled: ours on TensorFlow against programs written by hand, and the limit."""
    with ExitStack() as stack:
        backends = ["tensorflow"] if smoke else installed()
        processes = {backend: stack.enter_context(Process(backend)) for backend in backends}
        for r in (2,) if smoke else (32, 256):
            setting = {**DIGITS, "epochs": 1 if smoke else 4, "R": r, "loss": "suite.losses"}
            ours = Side(OURS.format("tensorflow"), processes["tensorflow"], "replicates_steady", setting)
            for backend, what in (
                ("jax", "JAX, vmap and scan"),
                ("torch", "PyTorch, torch.func and compile"),
            ):
                if backend in processes:
                    hand = Side(f"{what}, by hand", processes[backend], f"{backend}_steady", setting)
                    yield compare("steady", ours, hand, 2 if smoke else 9)
            yield limit(ours, list(processes.values()), setting)


def limit(ours: Side, processes: list[Process], setting: Mapping[str, Any]) -> Entry:
    """Our step against the machine's limit for it; the ratio's inverse is the share of the limit."""
    steps = 29 * setting["epochs"]  # of 64 of the 1,797 digits
    ours.seconds()
    seconds = [ours.seconds() / steps for _ in range(5)]
    least = step_limit([process.ask("rates", setting) for process in processes])
    note = "products at the fastest library's rate and a pass over the optimiser's state, at copy speed"
    entry = record("limit", ours.label, "the machine's limit", [s / least for s in seconds], setting, note)
    return {**entry, "seconds": {"subject": spread(seconds), "against": spread([least])}}


def larger(smoke: bool) -> Iterator[Entry]:
    """MNIST's size, and a network of convolutions: one after the other, stacked, and the loop of fit."""
    rounds = 1 if smoke else 3
    with Process("tensorflow") as process:
        n = 128 if smoke else 4096
        wide = {"data": "random", "examples": n, "inputs": [784], "hidden": 256, "batch": 64, "R": 8}
        shapes = {"examples": n // 4, "inputs": [28, 28, 1], "batch": 64, "R": 8}
        images = {"data": "random", "hidden": 0, **shapes}
        for bench, setting, modes in (
            ("mnist", wide, ["auto"]),
            ("convolution", images, ["loop", "stacked"]),
        ):
            for mode in modes:
                mine = {**setting, "epochs": 1 if smoke else 3, "mode": mode}
                label = OURS.format("tensorflow") + ("" if mode == "auto" else f", {mode}")
                ours = Side(label, process, "replicates_total", mine, warm=False)
                loop = Side(
                    LOOP.format("tensorflow"), process, "fit_total", {**mine, "sample": 2}, 4, warm=False
                )
                yield compare(
                    bench, ours, loop, rounds, "compilation included; the loop timed on 2 seeds of 8"
                )


def growth(smoke: bool) -> Iterator[Entry]:
    """Time an epoch and peak memory against R, N and D; each in a process of its own."""
    base = {
        "data": "random",
        "examples": 1024,
        "inputs": [64],
        "hidden": 64,
        "batch": 64,
        "epochs": 2,
        "R": 64,
    }
    sweeps = {
        "R": [{**base, "R": r} for r in ((1, 2) if smoke else (1, 4, 16, 64, 256, 1024))],
        "N": [] if smoke else [{**base, "examples": n} for n in (256, 1024, 4096, 16384)],
        "D": [] if smoke else [{**base, "inputs": [d]} for d in (16, 64, 256, 1024)],
    }
    for axis, settings in sweeps.items():
        first: dict[str, float] = {}
        for setting in settings:
            with Process("tensorflow") as process:
                process.ask("replicates_steady", setting)
                answers = [process.ask("replicates_steady", setting) for _ in range(1 if smoke else 5)]
            seconds = spread([answer["seconds"] / setting["epochs"] for answer in answers])
            first = first or seconds
            ratios = [seconds[name] / first["median"] for name in ("median", "min", "max")]
            label = OURS.format("tensorflow")
            entry = record(f"growth in {axis}", label, f"the smallest {axis}", ratios, setting)
            yield {**entry, "seconds": {"subject": seconds}, "peak_bytes": answers[-1]["peak"]}


def identity(entry: Entry) -> tuple[Any, ...]:
    return entry["bench"], entry["subject"], entry["against"], json.dumps(entry["setting"], sort_keys=True)


BENCHES: dict[str, Callable[[bool], Iterator[Entry]]] = {
    "total": total,
    "steady": steady,
    "larger": larger,
    "growth": growth,
}


@click.command()
@click.argument("names", nargs=-1, metavar="[BENCH]...")
@click.option("--smoke", is_flag=True, help="Tiny sizes: does it run at all?")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/bench"), show_default=True)
def main(names: tuple[str, ...], smoke: bool, out: Path) -> None:
    """Time Replicates against what one would otherwise do: total, steady, larger, growth; all by default.

    Entries of an earlier run in the same folder stay where this one does not measure them anew.
    """
    unknown = set(names) - set(BENCHES)
    if unknown:
        raise UsageError(f"No bench is called {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}.")
    for backend in {"jax", "torch"} - set(installed()):
        click.echo(f"{backend} is not installed: left out (pip install 'crosscheck[{backend}]')")
    file = out / "bench.json"
    entries: list[Entry] = json.loads(file.read_text()) if file.exists() and names else []
    for name in names or BENCHES:
        for entry in BENCHES[name](smoke):
            entries = [old for old in entries if identity(old) != identity(entry)] + [entry]
            ratio = entry["ratio"]["median"]
            click.echo(f"{entry['bench']}: {entry['subject']} / {entry['against']} = {ratio:.4g}")
            write_atomically(file, json.dumps(entries, indent=1, ensure_ascii=False) + "\n")
    report.write(entries, out)


if __name__ == "__main__":
    try:
        main(standalone_mode=False)
    except (UsageError, click.UsageError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        sys.exit(2)
