"""Random small trainings, each a table of names from which it can be told, made again and made smaller."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from random_models import BLOCKS, INPUTS, RANKS, WRAPS, built
from random_steps import CALLBACKS, LOSSES, METRICS, OF_ROWS, OPTIMIZERS

SEEDS = (3, 5)
Y_OF_CLASSES = ("class", "class column", "one-hot")


@dataclass(frozen=True)
class Case:
    """One training; every field's default is what is plainest."""

    mode: str = "stacked"
    inputs: str = "vector"
    blocks: tuple[str, ...] = ()
    wrap: str = "functional"
    losses: tuple[str, ...] = ("sparse logits",)
    structure: str = "one"  # of outputs: "one", "list", "dict"
    loss_weights: bool = False
    optimizer: str = "sgd"
    metrics: tuple[str, ...] = ()
    weighted_metrics: tuple[str, ...] = ()
    weights: str = "none"
    policy: str = "float32"
    n: int = 12
    batch_size: int = 6
    epochs: int = 2
    steps: int | None = None
    validation: str = "none"
    callbacks: tuple[str, ...] = ()
    plot: str = "fit"
    seed: int = 0  # of the data

    def __str__(self) -> str:
        plain = Case()
        names = [field.name for field in dataclasses.fields(self)]
        fields = [name for name in names if getattr(self, name) != getattr(plain, name)]
        return f"Case({', '.join(f'{name}={getattr(self, name)!r}' for name in fields)})"


def drawn(seed: int) -> Case:
    """The case of a seed."""
    rng = np.random.default_rng([18, seed])
    pick = lambda options: options[rng.integers(len(options))]
    often = lambda plain, options, share=0.5: plain if rng.random() > share else pick(options)
    inputs = often("vector", list(INPUTS), 0.6)
    rank, blocks = RANKS[inputs], []
    for _ in range(rng.integers(0, 4)):
        name = pick([name for name, (before, _, _) in BLOCKS.items() if before == rank])
        blocks.append(name)
        rank = BLOCKS[name][1]
    structure = often("one", ["list", "dict"], 0.25)
    fitting = [name for name in LOSSES if rank != 3 or name not in OF_ROWS]
    losses = tuple(pick(fitting) for _ in range(1 if structure == "one" else 2))
    kinds = [LOSSES[name][1] for name in losses]
    metrics = [name for name in METRICS if rank != 3 or name not in OF_ROWS]
    suited = [name for name in metrics if all(k in (METRICS[name][1] or kinds) for k in kinds)]
    some = lambda share: tuple(pick(suited) for _ in range(2) if rng.random() < share)
    weighting = ["steps", "column"] if rank == 3 else ["examples", "zeros", "column", "for all"]
    weights = often("none", weighting)
    if structure == "one" and rank != 3 and kinds[0] in Y_OF_CLASSES and rng.random() < 0.15:
        weights = "classes"
    plot = often("fit", ["fit twice", "saved", "evaluate first", "predict first"], 0.3)
    if plot == "saved" and {"dropout", "noise"} & set(blocks):
        plot = "fit twice"  # Keras' own files leave out how often a layer has drawn
    n, batch_size = pick([(12, 6), (13, 5), (14, 4), (7, 16), (11, 10), (9, 9)])
    return Case(
        mode=pick(["auto", "stacked", "loop", "stacked", "loop", "fit"]),
        inputs=inputs,
        blocks=tuple(blocks),
        wrap=often("functional", WRAPS),
        losses=losses,
        structure=structure,
        loss_weights=structure != "one" and rng.random() < 0.5,
        optimizer=pick(list(OPTIMIZERS)),
        metrics=some(0.4),
        weighted_metrics=some(0.2),
        weights=weights,
        policy=often("float32", [*["float64"] * 3, "mixed_bfloat16", "mixed_float16"], 0.6),
        n=n,
        batch_size=batch_size,
        epochs=int(rng.integers(1, 4)),
        steps=often(None, [1, 2, 50], 0.2),
        validation=often("none", ["data", "weighted", "split", "every second", "batches"], 0.3),
        callbacks=tuple(dict.fromkeys(pick(list(CALLBACKS)) for _ in range(2) if rng.random() < 0.25)),
        plot=plot,
        seed=seed,
    )


def smaller(case: Case) -> Iterator[Case]:
    """Cases with one thing less."""
    plain = Case()
    for field in dataclasses.fields(case):
        value = getattr(case, field.name)
        if isinstance(value, tuple):
            for i in range(len(value)):
                fewer = value[:i] + value[i + 1 :]
                if field.name != "losses":
                    yield dataclasses.replace(case, **{field.name: fewer})
        if field.name == "structure" and value != "one":
            for loss in case.losses:
                one = dataclasses.replace(case, structure="one", losses=(loss,), loss_weights=False)
                yield one
        elif field.name != "losses" and value != getattr(plain, field.name):
            yield dataclasses.replace(case, **{field.name: getattr(plain, field.name)})
    if case.losses != plain.losses and case.structure == "one":
        yield dataclasses.replace(case, losses=plain.losses)


# --- what a case stands for ------------------------------------------------------------------------------


def outputs_in(case: Case, parts: list[Any]) -> Any:
    """One thing for each output, in the structure of the outputs."""
    if case.structure == "one":
        return parts[0]
    return parts if case.structure == "list" else dict(zip(("a", "b"), parts, strict=True))


def build_of(case: Case) -> Any:
    heads = [LOSSES[name][0] for name in case.losses]
    return lambda: built(case.inputs, case.blocks, heads, case.structure, case.wrap)


def examples_of(case: Case, n: int, seed: int, shapes: list[tuple[int | None, ...]]) -> tuple[Any, Any, Any]:
    """(x, y, sample_weight) for outputs of these shapes."""
    rng = np.random.default_rng([case.seed, seed])
    x = INPUTS[case.inputs][1](rng, n)
    names = [LOSSES[name][1] for name in case.losses]
    parts = [labels(rng, kind, (n, *shape[1:])) for kind, shape in zip(names, shapes, strict=True)]
    return x, outputs_in(case, parts), weights_of(case, rng, n, shapes)


def labels(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    classes = rng.integers(0, shape[-1], shape[:-1])
    if kind == "one-hot":
        return np.eye(shape[-1], dtype="float32")[classes]
    if kind.startswith("class"):
        return classes[..., None] if kind == "class column" else classes
    real = rng.normal(size=shape)
    by_kind = {
        "binary": lambda: (real > 0).astype("int32"),
        "sign": lambda: np.sign(real),
        "positive": lambda: np.abs(real),
        "flat": lambda: real[..., 0],
        "identity": lambda: rng.integers(0, 3, shape[:1]),
        "real": lambda: real,
    }
    return by_kind[kind]()


def weights_of(case: Case, rng: np.random.Generator, n: int, shapes: list[tuple[int | None, ...]]) -> Any:
    kind = case.weights
    if kind in ("none", "classes"):
        return None
    parts = []
    for shape in shapes:
        size = {"column": (n, 1), "steps": (n, *shape[1:-1])}.get(kind, (n,))
        weight = rng.uniform(0.2, 2, size)
        parts.append(weight * (rng.random(size) < 0.5) if kind == "zeros" else weight)
    return parts[0] if kind == "for all" else outputs_in(case, parts)


def compile_of(case: Case) -> dict[str, Any]:
    """The arguments of `compile`, made anew."""
    by_output = lambda names: outputs_in(case, [[METRICS[name][0]() for name in names] for _ in case.losses])
    arguments = {
        "optimizer": OPTIMIZERS[case.optimizer](),
        "loss": outputs_in(case, [LOSSES[name][2]() for name in case.losses]),
        "metrics": by_output(case.metrics) if case.metrics else None,
        "weighted_metrics": by_output(case.weighted_metrics) if case.weighted_metrics else None,
    }
    if case.loss_weights:
        arguments["loss_weights"] = outputs_in(case, [0.7, 1.9])
    return arguments


def shapes_of(case: Case) -> list[tuple[int, ...]]:
    """Of each output for two examples."""
    x = INPUTS[case.inputs][1](np.random.default_rng(0), 2)
    return [tuple(output.shape) for output in keras.tree.flatten(build_of(case)()(x))]
