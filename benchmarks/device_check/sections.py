"""One section of the device check, in a process of its own: rows as lines of JSON on the output.

`python -m benchmarks.device_check.sections NAME SECONDS [--tiny]`, with KERAS_BACKEND set. A process each, so
that none inherits memory, settings or a crash of another.
"""

from __future__ import annotations

import argparse
import functools
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.device_check import machine
from benchmarks.device_check.sizes import TINY, Sizes
from crosscheck.lab.photographs import checkpoints, image_training
from crosscheck.models import perceptron
from crosscheck.models.wide_resnet import wide_resnet
from crosscheck.paths import POLICIES, grid, lost, oracle
from crosscheck.paths.probing import probe_together
from crosscheck.replicates import Replicates, batch_order
from crosscheck.replicates._plan import bytes_per_replicate  # what the plan reckons with is what is asked

Row = dict[str, Any]
Examples = tuple[np.ndarray, np.ndarray]
SHAPES = {"perceptron": (64,), "convolutions": (28, 28, 1)}
ADAM_SLOTS = 2
RATE = 1e-3


class Clock:
    """Says when a section's time is up."""

    def __init__(self, seconds: float):
        self.end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        return self.end - time.monotonic()


def timed(job: Callable[[], Any]) -> tuple[Any, float]:
    """What a job returns, and its seconds; it returns NumPy's arrays, so that nothing is still on its way."""
    start = time.perf_counter()
    return job(), time.perf_counter() - start


# --- replicates: R = 1 … 4096, a loop of fit, and JAX by hand ---------------------------------------------


def builder(name: str) -> Callable[[], keras.Model]:
    if name == "perceptron":
        return perceptron(64, [64], 10)
    layers = keras.layers
    return lambda: keras.Sequential(
        [
            keras.Input(SHAPES[name]),
            layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )


def random_examples(name: str, size: int) -> Examples:
    """Numbers that mean nothing: time and memory do not ask what they mean."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(size, *SHAPES[name])).astype("float32"), rng.integers(0, 10, size).astype("int32")


def loss() -> keras.losses.Loss:
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def compiled(name: str, count: int, memory_limit: int | None = None) -> Replicates:
    replicas = Replicates(builder(name), range(count), memory_limit=memory_limit)
    replicas.compile(keras.optimizers.Adam(RATE), loss())
    return replicas


def replicates(sizes: Sizes, clock: Clock) -> Iterator[Row]:
    """Epochs a second of all R together, compiled before; one model by `fit`; JAX by hand."""
    for name in SHAPES:
        x, y = random_examples(name, sizes.examples)
        yield from one_by_one(name, x, y, sizes)
        for count in sizes.replicates:
            if clock.left < 0:
                yield {"model": name, "R": count, "left out": "no time was left"}
                continue
            yield together(name, x, y, count, sizes)
            if keras.backend.backend() == "jax":
                yield written_by_hand(name, x, y, count, sizes)


def one_by_one(name: str, x: np.ndarray, y: np.ndarray, sizes: Sizes) -> Iterator[Row]:
    """A loop of `fit` has this rate whatever R is; each of its models is compiled anew, too."""
    keras.utils.set_random_seed(0)
    model = builder(name)()
    model.compile(keras.optimizers.Adam(RATE), loss())
    fit = functools.partial(model.fit, x, y, sizes.batch, verbose=0)
    _, first = timed(lambda: fit(epochs=1))
    _, seconds = timed(lambda: fit(epochs=sizes.epochs))
    yield rate_row("a loop of fit", name, 1, first, seconds, sizes)


def together(name: str, x: np.ndarray, y: np.ndarray, count: int, sizes: Sizes) -> Row:
    replicas = compiled(name, count)
    _, first = timed(lambda: replicas.fit(x, y, sizes.batch, 1))
    _, seconds = timed(lambda: replicas.fit(x, y, sizes.batch, sizes.epochs).history["loss"])
    row = rate_row("Replicates", name, count, first, seconds, sizes)
    return {**row, "mode": replicas.plan.mode, "in a block": replicas.plan.size}


def written_by_hand(name: str, x: np.ndarray, y: np.ndarray, count: int, sizes: Sizes) -> Row:
    from benchmarks import by_hand

    forward = {"perceptron": by_hand.perceptron, "convolutions": by_hand.convolutions}[name]
    weights = Replicates(builder(name), range(count)).get_weights()
    train = by_hand.training(forward, weights, x, y, sizes.batch)

    def epochs(numbers: range) -> None:
        for epoch in numbers:
            train(np.stack([batch_order(seed, epoch, len(x)) for seed in range(count)]).astype("int32"))

    _, first = timed(lambda: epochs(range(1)))
    _, seconds = timed(lambda: epochs(range(1, 1 + sizes.epochs)))
    return rate_row("JAX by hand", name, count, first, seconds, sizes)


def rate_row(way: str, name: str, count: int, first: float, seconds: float, sizes: Sizes) -> Row:
    """`epochs a second`: of all R together, R times as many as the program goes through."""
    return {
        "way": way,
        "model": name,
        "R": count,
        "first epoch, s": first,
        "epochs a second": count * sizes.epochs / seconds,
    }


# --- memory: what was planned against what was used -------------------------------------------------------


def memory(sizes: Sizes, clock: Clock) -> Iterator[Row]:
    """Peak bytes of a training against the plan's estimate; R grows, for a peak never falls again."""
    name, free = "convolutions", machine.free_bytes()
    x, y = random_examples(name, sizes.examples)
    cut = compiled(name, sizes.replicates[-1], sizes.limited)
    yield used_row("within a limit", cut, x, y, sizes, free)
    for count in sizes.replicates:
        if clock.left < 0:
            yield {"plan": "as it chooses", "R": count, "left out": "no time was left"}
            continue
        yield used_row("as it chooses", compiled(name, count), x, y, sizes, free)


def used_row(
    plan: str, replicas: Replicates, x: np.ndarray, y: np.ndarray, sizes: Sizes, free: int | None
) -> Row:
    kept, moved = bytes_per_replicate(replicas.model, sizes.batch, ADAM_SLOTS)
    before = machine.used_bytes()
    replicas.fit(x, y, sizes.batch, 1)
    return {
        "plan": plan,
        "R": len(replicas),
        "mode": replicas.plan.mode,
        "in a block": replicas.plan.size,
        "limit": sizes.limited if plan == "within a limit" else None,
        "free before all": free,
        "estimate": kept * len(replicas) + moved * replicas.plan.size,
        "used before": before,
        "peak": machine.peak_bytes(),
    }


# --- paths: the grid on this device, in four policies -----------------------------------------------------


def paths(sizes: Sizes, clock: Clock) -> Iterator[Row]:
    """How many paths give value and gradient to four units in the last place, and where the others break."""
    for mode in ("xla", "fit xla"):
        for policy in POLICIES:
            for kind in sizes.losses:
                about = {"mode": mode, "policy": policy, "loss": kind}
                if clock.left < 0:
                    yield {**about, "left out": "no time was left"}
                else:
                    yield from path_rows(about, sizes)


def path_rows(about: Row, sizes: Sizes) -> Iterator[Row]:
    listed = grid(
        [about["loss"]], keras.backend.backend(), [about["mode"]], [about["policy"]], machine.kind()
    )
    magnitudes = np.array(sizes.logits, "float64")
    z = np.concatenate([magnitudes, -magnitudes])
    y = np.concatenate([np.zeros(len(magnitudes)), np.ones(len(magnitudes))])  # confident errors
    exact = oracle(about["loss"], z, y)
    for path, measured in zip(listed, probe_together(listed, z, y), strict=True):
        gone = lost(measured.gradient, exact.gradient)
        yield {
            **about,
            "head": path.head,
            "entry": path.entry,
            "implementation": path.implementation,
            "gradient, ulps": ulps(measured.gradient - exact.gradient, path.ulp),
            "lost from": float(np.abs(z[gone]).min()) if gone.any() else None,
        }


def ulps(difference: np.ndarray, ulp: float) -> float | None:
    """The largest, in units in the last place at 1; None where a number is none."""
    worst = float(np.abs(difference).max() / ulp)
    return worst if np.isfinite(worst) else None


# --- the wide network: mixed precision, resumed once, for as many steps as fit ----------------------------


def wide_network(sizes: Sizes, clock: Clock) -> Iterator[Row]:
    """Two epochs at once; the second anew from the first one's checkpoint; then steps until time is up."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (sizes.images, 32, 32, 3), dtype="uint8")
    y = np.eye(10, dtype="float32")[rng.integers(0, 10, sizes.images)]
    phase = image_training.Phase(0.1, 2, sizes.image_batch)
    with tempfile.TemporaryDirectory() as folder:
        whole, parted = Path(folder, "whole"), Path(folder, "parted")
        model, seconds = timed(lambda: trained(sizes, phase, x, y, whole))
        parted.mkdir()
        first = checkpoints.saved(whole)[0]
        (parted / first.name).write_bytes(first.read_bytes())
        again, resumed_seconds = timed(lambda: trained(sizes, phase, x, y, parted))
    apart = max_difference(model.get_weights(), again.get_weights())
    yield {
        "what": "resumed after the first of two epochs",
        "seconds": seconds,
        "seconds, resumed": resumed_seconds,
        "bit for bit": apart == 0,
        "largest difference": apart,
        "finite": all(np.isfinite(w).all() for w in model.get_weights()),
    }
    yield steps_row(again, x, y, sizes, clock)


def trained(
    sizes: Sizes, phase: image_training.Phase, x: np.ndarray, y: np.ndarray, folder: Path
) -> keras.Model:
    keras.utils.set_random_seed(0)
    build = wide_resnet(x.shape[1:], 10, sizes.depth, sizes.width, policy="mixed_bfloat16")
    return image_training.fit(build(), phase, x, y, 0, folder)


def steps_row(model: keras.Model, x: np.ndarray, y: np.ndarray, sizes: Sizes, clock: Clock) -> Row:
    """Epochs of what is compiled; the next one starts while there is time for it."""
    weights, seconds = np.ones(len(x), "float32"), [0.0]
    while not seconds[1:] or (clock.left > 1.2 * max(seconds) and len(seconds) <= sizes.most_epochs):
        _, took = timed(
            lambda: model.fit(x, y, sizes.image_batch, sample_weight=weights, shuffle=False, verbose=0)
        )
        seconds.append(took)
    steps = (len(seconds) - 1) * -(-len(x) // sizes.image_batch)
    return {
        "what": f"WRN-{sizes.depth}-{sizes.width}, mixed_bfloat16, batches of {sizes.image_batch}",
        "steps": steps,
        "steps a second": steps / sum(seconds),
    }


# --- determinism: the same training twice -----------------------------------------------------------------


def twice(sizes: Sizes, clock: Clock, deterministic: bool) -> Iterator[Row]:
    """Trained twice from the same seeds: the same bits? And how long the second took."""
    if deterministic and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    for name in SHAPES:
        x, y = random_examples(name, sizes.examples)
        for way, train in {"Replicates": by_replicates, "fit": by_fit}.items():
            if clock.left < 0:
                yield {"model": name, "way": way, "left out": "no time was left"}
                continue
            (first, _), (second, seconds) = train(name, x, y, sizes), train(name, x, y, sizes)
            apart = max_difference(first, second)
            about = {"model": name, "way": way, "deterministic": deterministic}
            yield {
                **about,
                "bit for bit": apart == 0,
                "largest difference": apart,
                "seconds an epoch": seconds,
            }


def by_replicates(name: str, x: np.ndarray, y: np.ndarray, sizes: Sizes) -> tuple[list[np.ndarray], float]:
    replicas = compiled(name, sizes.repeated)
    replicas.fit(x, y, sizes.batch, 1)
    _, seconds = timed(lambda: replicas.fit(x, y, sizes.batch, sizes.epochs).history["loss"])
    return replicas.get_weights(), seconds / sizes.epochs


def by_fit(name: str, x: np.ndarray, y: np.ndarray, sizes: Sizes) -> tuple[list[np.ndarray], float]:
    keras.utils.set_random_seed(0)
    model = builder(name)()
    model.compile(keras.optimizers.Adam(RATE), loss())
    model.fit(x, y, sizes.batch, verbose=0)
    _, seconds = timed(lambda: model.fit(x, y, sizes.batch, sizes.epochs, verbose=0))
    return model.get_weights(), seconds / sizes.epochs


def max_difference(first: list[np.ndarray], second: list[np.ndarray]) -> float:
    """Of any two numbers; bfloat16 and float32 alike."""
    pairs = zip(first, second, strict=True)
    return max(float(np.abs(a.astype("float64") - b.astype("float64")).max(initial=0)) for a, b in pairs)


SECTIONS: dict[str, Callable[[Sizes, Clock], Iterator[Row]]] = {
    "replicates": replicates,
    "memory": memory,
    "paths": paths,
    "wide network": wide_network,
    "as it comes": functools.partial(twice, deterministic=False),
    "deterministic": functools.partial(twice, deterministic=True),
}


def main() -> None:
    """Writes provenance, then a line for each row as soon as it is there."""
    parser = argparse.ArgumentParser()
    parser.add_argument("section", choices=SECTIONS)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--tiny", action="store_true")
    told = parser.parse_args()
    clock = Clock(told.seconds)
    print(json.dumps({"provenance": machine.provenance()}), flush=True)
    for row in SECTIONS[told.section](TINY if told.tiny else Sizes(), clock):
        print(json.dumps({"row": row}), flush=True)


if __name__ == "__main__":
    main()
