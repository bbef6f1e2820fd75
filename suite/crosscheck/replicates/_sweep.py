"""Settings times seeds, more than one program holds: cut into parts, here or on the nodes of a cluster."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from crosscheck import _nodes
from crosscheck.replicates._grid import grid

if TYPE_CHECKING:
    import pandas as pd

Train = Callable[..., Mapping[str, Any]]
PACKAGES = {"tensorflow": ("tensorflow",), "jax": ("jax", "jaxlib"), "torch": ("torch",)}


@dataclass(frozen=True)
class Part:
    """What one call of `train` gets: seeds and vectors of numbers, [R] each, and what they all share."""

    seeds: list[int]
    numbers: dict[str, np.ndarray]
    shared: dict[str, Any]


def sweep(
    train: Train,
    settings: Mapping[str, Sequence[Any]],
    seeds: Sequence[int],
    *,
    apart: Iterable[str] = (),
    most: int = 64,
    on: str | None = None,
    cpus: int = 1,
    gpus: float = 0,
) -> pd.DataFrame:
    """Returns what `train` measured for every combination of the settings under every seed, a row each.

    Args:
        train: called as `train(seeds, **numbers)`, trains R replicates as one `Replicates(…, seeds,
            paired=True)`, and returns what it measured: `[R]` numbers by name. `numbers` holds an `[R]`
            vector for each setting.
        settings: the values of each, by name.
        seeds: S of them; the S · Π|values| replicates are cut into parts.
        apart: settings whose values no one program can share, such as widths or the batch size: `train` is
            called for each by itself, with a single value.
        most: R at the most. The parts are the same wherever they are trained, and so are the numbers.
        on: a Ray cluster: "auto" for the one that this machine is in, "ray://HOST:10001" or "HOST:6379".
            Every node must have the same packages; `train` is sent there, with the data that it refers to.
        cpus, gpus: that a part takes on a cluster; it computes with as many threads.

    Returns:
        A column for each setting, `seed`, and a column for each name that `train` returned.

    Raises:
        ValueError: if there are no seeds or values, `apart` names no setting, or `train` returns something
            else than R numbers by name.
        UsageError: if there is no such cluster, or a node has other packages; names it.

    >>> from crosscheck.models import perceptron
    >>> from crosscheck.replicates import Replicates
    >>> x, y = np.random.default_rng(0).normal(size=(64, 3)), np.arange(64) % 2
    >>> def train(seeds, width, **numbers):
    ...     replicas = Replicates(perceptron(3, [width], 2), seeds, paired=True)
    ...     loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    ...     replicas.compile(keras.optimizers.Adam(), loss, optimizer_arguments=numbers)
    ...     return {"loss": replicas.fit(x, y).history["loss"][-1]}
    >>> table = sweep(train, {"width": [2, 4], "learning_rate": [0.1, 0.01]}, range(3), apart=["width"])
    >>> table.shape, list(table)
    ((12, 4), ['width', 'learning_rate', 'seed', 'loss'])
    """
    import pandas as pd

    parts = list(cut(settings, list(seeds), list(apart), most))
    run = here if on is None else lambda train, parts: on_nodes(on, train, parts, cpus, gpus)
    frames = [
        pd.DataFrame({**repeated(part), **part.numbers, "seed": part.seeds, **measured})
        for part, measured in zip(parts, run(train, parts), strict=True)
    ]
    table = pd.concat(frames, ignore_index=True)
    names = [*settings, "seed"]
    return table[[*names, *(name for name in table if name not in names)]]


def repeated(part: Part) -> dict[str, Any]:
    """Columns of the settings that a part shares: of a list, the list itself in every row."""
    import pandas as pd

    columns = {
        name: pd.Series([value] * len(part.seeds), dtype=object) for name, value in part.shared.items()
    }
    return {name: column.infer_objects() for name, column in columns.items()}


def cut(
    settings: Mapping[str, Sequence[Any]], seeds: list[int], apart: list[str], most: int
) -> Iterator[Part]:
    """The parts, in the order of the grid; each is of one value of the settings that are to be apart."""
    unknown = [name for name in apart if name not in settings]
    empty = [name for name, values in settings.items() if not len(values)]
    if unknown or empty or not seeds or most < 1:
        wrong = (
            f"`apart` names {unknown[0]!r}, which is no setting." if unknown
            else f"The setting {empty[0]!r} has no values." if empty
            else "`seeds` must name at least one replicate." if not seeds
            else f"`most` must be at least 1, not {most}."
        )  # fmt: skip
        raise ValueError(wrong)
    together = {name: values for name, values in settings.items() if name not in apart}
    all_seeds, vectors = grid(seeds, **together)
    for values in itertools.product(*(settings[name] for name in apart)):
        shared = dict(zip(apart, values, strict=True))
        for start in range(0, len(all_seeds), most):
            block = slice(start, start + most)
            yield Part(all_seeds[block], {name: vector[block] for name, vector in vectors.items()}, shared)


def measured(train: Train, part: Part) -> dict[str, np.ndarray]:
    """What `train` gives for a part.

    Raises:
        ValueError: if that is not R numbers by name.
    """
    told = train(part.seeds, **part.numbers, **part.shared)
    if not isinstance(told, Mapping):
        raise ValueError(f"`train` must return numbers by name, not {type(told).__name__}.")
    vectors = {name: np.asarray(keras.ops.convert_to_numpy(value)) for name, value in told.items()}
    for name, vector in vectors.items():
        if vector.shape != (len(part.seeds),):
            raise ValueError(
                f"`train` returned {name!r} of shape {vector.shape}: it takes one number for each of the "
                f"{len(part.seeds)} replicates."
            )
        if name == "seed" or name in part.numbers or name in part.shared:
            raise ValueError(f"`train` returned {name!r}, which is the name of a setting.")
    return vectors


def here(train: Train, parts: Iterable[Part]) -> list[dict[str, np.ndarray]]:
    return [measured(train, part) for part in parts]


def on_nodes(
    on: str, train: Train, parts: Sequence[Part], cpus: int, gpus: float
) -> list[dict[str, np.ndarray]]:
    """The parts as tasks of a cluster, whose nodes have shown that they have what this process has."""
    backend = keras.backend.backend()
    packages = ("keras", "numpy", *PACKAGES[backend])
    with _nodes.connected(on) as ray:
        _nodes.require_same(ray, _nodes.nodes(ray, gpus > 0), packages)
        task = ray.remote(
            num_cpus=cpus,
            num_gpus=gpus,
            scheduling_strategy="SPREAD",
            runtime_env={"env_vars": environment(backend, cpus)},
        )(on_a_node)
        sent, ours = ray.put(train), _nodes.described(packages)
        results = [task.remote(sent, part, ours) for part in parts]
        try:
            return ray.get(results)
        except BaseException:
            for result in results:
                ray.cancel(result, force=True)
            raise


def environment(backend: str, threads: int) -> dict[str, str]:
    """What is fixed in a process before it imports anything."""
    fixed = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return {**fixed, **dict.fromkeys(_nodes.THREADS, str(threads))}


def on_a_node(train: Train, part: Part, ours: dict[str, Any]) -> dict[str, np.ndarray]:
    """A part, on a node that may have joined after all were asked.

    Raises:
        RuntimeError: if it would train something else.
    """
    if wrong := _nodes.difference(ours, _nodes.described(list(ours["packages"])[1:])):
        raise RuntimeError(f"A node that has joined {wrong}")
    return measured(train, part)
