"""The benches: what is timed against what, in which setting. Each yields entries of bench.json."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks import whole
from benchmarks.compare import Entry, Side, compare, record, spread
from benchmarks.limit import parts, step_limit
from benchmarks.machine import cpp_compiler, installed
from benchmarks.process import Process, started
from benchmarks.settings import DIGITS, RANDOM, steps

ORDINARY = (
    "linear",
    "perceptron",
    "deep perceptron",
    "batch normalisation",
    "dropout",
    "residual",
    "convolutions",
    "convolutions, normalised",
    "separable convolutions",
    "bag of words",
    "text convolution",
    "LSTM",
    "GRU on text",
    "attention on text",
    "attention on series",
)  # of `benchmarks.ordinary.MODELS`, which imports Keras
OURS, LOOP = "Replicates, {}", "a loop of keras.Model.fit, {}"


def total(smoke: bool) -> Iterator[Entry]:
    """From nothing to trained, against the loop on the same backend; the loop is timed on a few seeds."""
    for backend in ["tensorflow"] if smoke else installed():
        rounds, sample = (1, 1) if smoke else (3, 3) if backend == "tensorflow" else (2, 2)
        losses_compared = (
            ("keras", "crosscheck.losses")
            if backend == "tensorflow" and not smoke
            else ("crosscheck.losses",)
        )
        settings = [
            {**DIGITS, "epochs": 1 if smoke else 20, "R": replicates, "loss": loss}
            for loss, replicates in itertools.product(losses_compared, (2,) if smoke else (32, 256))
        ]
        yield from beside_loop("total", backend, settings, rounds, sample)


def tabular(smoke: bool) -> Iterator[Entry]:
    """A table of 10,000 rows and 50 columns, twenty seeds of a perceptron of two layers, against the loop."""
    size = {**RANDOM, "examples": 128 if smoke else 10_000, "R": 2 if smoke else 20, "mode": "auto"}
    setting = {**size, "inputs": [], "hidden": 0, "model": "perceptron", "epochs": 1 if smoke else 10}
    for backend in ["tensorflow"] if smoke else installed():
        yield from beside_loop("tabular", backend, [setting], 1 if smoke else 3, 1 if smoke else 2)


def mnist(smoke: bool) -> Iterator[Entry]:
    """A perceptron on random data of the size of MNIST, against the loop."""
    size = {**RANDOM, "examples": 128 if smoke else 60_000, "inputs": [784], "hidden": 256}
    setting = {**size, "R": 8, "epochs": 1, "mode": "auto"}
    yield from beside_loop("mnist", "tensorflow", [setting], 1 if smoke else 3, 2)


def convolution(smoke: bool) -> Iterator[Entry]:
    """A network of convolutions: one after the other, stacked, and the loop of fit."""
    images = {**RANDOM, "examples": 64 if smoke else 1024, "inputs": [28, 28, 1], "hidden": 0}
    settings = [{**images, "R": 8, "epochs": 1 if smoke else 3, "mode": mode} for mode in ("loop", "stacked")]
    yield from beside_loop("convolution", "tensorflow", settings, 1 if smoke else 3, 2)


def ordinary(smoke: bool) -> Iterator[Entry]:
    """Fifteen models as people have them, each run as `Replicates` chooses, against the loop of fit."""
    size = {**RANDOM, "examples": 64 if smoke else 2048, "R": 8, "epochs": 1 if smoke else 3, "mode": "auto"}
    for backend in ["tensorflow"] if smoke else installed():
        for model in ORDINARY[1:2] if smoke else ORDINARY:
            setting = {**size, "inputs": [], "hidden": 0, "model": model}
            yield from beside_loop("ordinary", backend, [setting], 1 if smoke else 3, 1 if smoke else 2)


def beside_loop(
    bench: str, backend: str, settings: Sequence[Mapping[str, Any]], rounds: int, sample: int
) -> Iterator[Entry]:
    """Replicates from nothing to trained, and a loop of fit over `sample` seeds that is scaled to R.

    Each has a process: the models that a loop leaves behind slow down whoever traces next. One small run
    first, so that neither pays for the libraries' own start.
    """
    with started(backend, backend) as (process, other):
        small = {**settings[0], "epochs": 1}
        process.ask("replicates_total", {**small, "R": 2})
        other.ask("fit_total", {**small, "sample": 1})
        for setting in settings:
            r, mode = setting["R"], setting.get("mode", "auto")
            label = OURS.format(backend) + ("" if mode == "auto" else f", {mode}")
            ours = Side(label, process, "replicates_total", setting, warm=False)
            few = {**setting, "sample": sample}
            loop = Side(LOOP.format(backend), other, "fit_total", few, r / sample, warm=False)
            note = (
                "from nothing to trained, compilation included; the loop is extrapolated to "
                f"{r} seeds from {sample} timed in each of {rounds} rounds"
            )
            yield compare(bench, ours, loop, rounds, note)


def steady(smoke: bool) -> Iterator[Entry]:
    """Epochs of what is compiled: ours on TensorFlow against programs written by hand."""
    with started(*(["tensorflow"] if smoke else installed())) as processes:
        ours, *others = processes
        for setting in compiled_settings(smoke):
            our_side = Side(OURS.format("tensorflow"), ours, "replicates_steady", setting)
            for other in others:
                their_side = Side(by_hand(other.backend), other, f"{other.backend}_steady", setting)
                yield compare(
                    "steady", our_side, their_side, 9, "compiled before; both compute the batch orders"
                )


def compiled_settings(smoke: bool) -> list[dict[str, Any]]:
    sizes = (2,) if smoke else (32, 256)
    return [{**DIGITS, "epochs": 1 if smoke else 4, "R": r, "loss": "crosscheck.losses"} for r in sizes]


def by_hand(backend: str) -> str:
    if backend == "jax":
        return "JAX, vmap and scan, by hand"
    way = "torch.func and compile" if cpp_compiler() else "torch.func, eager for want of a C++ compiler"
    return f"PyTorch, {way}, by hand"


def limit(smoke: bool) -> Iterator[Entry]:
    """Our step against the machine's limit for it; the ratio's inverse is the share of the limit."""
    with started(*(["tensorflow"] if smoke else installed())) as processes:
        for setting in compiled_settings(smoke):
            yield compare_with_limit(processes, setting, 1 if smoke else 5)


def compare_with_limit(processes: list[Process], setting: Mapping[str, Any], rounds: int) -> Entry:
    """The limit is the best of all rounds, between which our own runs lie."""
    ours = Side(OURS.format("tensorflow"), processes[0], "replicates_steady", setting)
    first_seconds, seconds, measured = ours.first(), [], []
    for _ in range(rounds):
        seconds.append(ours.seconds() / steps(setting))
        measured += [process.ask("rates", setting) for process in processes]
    limit_seconds = step_limit(measured)
    note = (
        "a step; times faster is the share of the limit: products at the best rate, one pass over the state"
    )
    entry = record(
        "limit",
        ours.label,
        "the machine's limit",
        [seconds_of_step / limit_seconds for seconds_of_step in seconds],
        setting,
        note,
    )
    spreads = {"subject": spread(seconds), "against": spread([limit_seconds])}
    timings = {"rounds": rounds, "seconds": spreads, "first_run_seconds": {"subject": first_seconds}}
    return {**entry, **timings, "limit": parts(measured)}


def losses(smoke: bool) -> Iterator[Entry]:
    """Value and gradient of our losses against Keras' own from logits, compiled."""
    shapes = [(64, 10)] if smoke else [(64, 10), (4096, 10), (4096, 1000)]
    for backend in ["tensorflow"] if smoke else installed():
        with started(backend) as (process,):
            for (rows, classes), loss in itertools.product(shapes, ("binary", "categorical", "sparse")):
                repeats = 5 if smoke else max(10, min(1000, 20_000_000 // (rows * classes)))
                setting = {"R": 1, "examples": rows, "inputs": [classes], "loss": loss, "repeats": repeats}
                ours = Side(f"crosscheck.losses, {backend}", process, "our_loss", setting)
                theirs = Side(f"keras.losses from logits, {backend}", process, "keras_loss", setting)
                note = f"{repeats} times mean loss and gradient by the logits, float32"
                yield compare("losses", ours, theirs, 1 if smoke else 15, note)


def growth(smoke: bool) -> Iterator[Entry]:
    """Time an epoch and peak memory against R, N and D; each in a process of its own."""
    base = {**RANDOM, "examples": 1024, "inputs": [64], "hidden": 64, "epochs": 2, "R": 64}
    sweeps = {
        "R": [{**base, "R": r} for r in ((1, 2) if smoke else (1, 4, 16, 64, 256, 1024))],
        "N": [] if smoke else [{**base, "examples": n} for n in (256, 1024, 4096, 16384)],
        "D": [] if smoke else [{**base, "inputs": [d]} for d in (16, 64, 256, 1024)],
    }
    for axis, settings in sweeps.items():
        smallest: dict[str, float] = {}
        for setting in settings:
            entry = point_of_sweep(axis, setting, smallest, 1 if smoke else 5)
            smallest = smallest or entry["seconds"]["subject"]
            yield entry


def point_of_sweep(axis: str, setting: Mapping[str, Any], smallest: Mapping[str, float], runs: int) -> Entry:
    """One point of a sweep; `smallest` holds the seconds of its first point, which has none."""
    with started("tensorflow") as (process,):
        process.ask("replicates_steady", setting)
        answers = [process.ask("replicates_steady", setting) for _ in range(runs)]
    seconds = spread([answer["seconds"] / setting["epochs"] for answer in answers])
    least = (smallest or seconds)["median"]
    label, note = OURS.format("tensorflow"), "an epoch of what is compiled, in a process of its own"
    ratios = [value / least for value in seconds.values()]
    entry = record(f"growth in {axis}", label, f"the smallest {axis}", ratios, setting, note)
    memory = {"peak_bytes": answers[-1]["peak"], "base_bytes": answers[-1]["base"]}
    first = {"subject": answers[-1]["first"] / setting["epochs"]}
    return {**entry, "seconds": {"subject": seconds}, "first_run_seconds": first, **memory}


def suite(smoke: bool) -> Iterator[Entry]:
    """`crosscheck run`, as a user has it, on nothing and again."""
    yield from whole.entries(smoke)


BENCHES: dict[str, Callable[[bool], Iterator[Entry]]] = {
    "total": total,
    "steady": steady,
    "limit": limit,
    "tabular": tabular,
    "mnist": mnist,
    "convolution": convolution,
    "ordinary": ordinary,
    "losses": losses,
    "growth": growth,
    "suite": suite,
}
