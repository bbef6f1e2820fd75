"""Settings times seeds, more than one program holds: cut into parts, here or on the nodes of a cluster."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from crosscheck import _nodes
from crosscheck.errors import CrosscheckError
from crosscheck.replicates._grid import grid

if TYPE_CHECKING:
    import pandas as pd

Train = Callable[..., Mapping[str, Any]]
Measured = dict[str, np.ndarray]
Trained = Generator[tuple[int, Measured | Exception], None, None]
PACKAGES = {"tensorflow": ("tensorflow",), "jax": ("jax", "jaxlib"), "torch": ("torch",)}


@dataclass(frozen=True)
class Part:
    """What one call of `train` gets: seeds and vectors of numbers, [R] each, and what they all share."""

    seeds: list[int]
    numbers: dict[str, np.ndarray]
    shared: dict[str, Any]

    def __str__(self) -> str:
        """By its settings and seeds, as a message names it."""
        shared = {name: repr(value) for name, value in self.shared.items()}
        numbers = {name: spread(vector.tolist()) for name, vector in self.numbers.items()}
        settings = [f"{name} = {values}" for name, values in {**shared, **numbers}.items()]
        return ", ".join([*settings, f"seeds {spread(self.seeds)}"])


class Unfinished(BaseException):
    """A sweep of which some parts are finished."""

    def __init__(self, message: str, table: pd.DataFrame):
        super().__init__(message)
        self.table = table


class SweepError(Unfinished, CrosscheckError):
    """Parts of a sweep raised; the message names their settings, and the first of their errors is its cause.

    Attributes:
        table: what `sweep` would have returned, with the rows of the finished parts.
    """


class SweepInterrupted(Unfinished, KeyboardInterrupt):
    """Ctrl-C during a sweep.

    Attributes:
        table: what `sweep` would have returned, with the rows of the finished parts.
    """


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
        settings: the values of each, by name; none is called `seed` or `seeds`.
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
        ValueError: if there are no seeds or values, `apart` names no setting, or a setting has a name that is
            taken.
        SweepError: if `train` raises for a part, or returns something else than R numbers by name. The other
            parts are trained all the same, and their rows are the error's `table`; on one machine, where the
            very first part raises, that is the end. On Ctrl-C `SweepInterrupted` has the rows.
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
    parts = list(cut(settings, list(seeds), [apart] if isinstance(apart, str) else list(apart), most))
    trained = here(train, parts) if on is None else on_nodes(on, train, parts, cpus, gpus)
    finished: dict[int, Measured] = {}
    failed: dict[int, Exception] = {}
    try:
        gather(trained, finished, failed)
    except KeyboardInterrupt as error:
        raise SweepInterrupted(kept(finished, parts), table_of(parts, finished, settings)) from error
    if failed:
        lines = [f"{parts[number]}: {in_words(error)}" for number, error in failed.items()]
        told = [f"`train` raised for {len(failed)} of {len(parts)} parts.", *lines, kept(finished, parts)]
        table = table_of(parts, finished, settings)
        raise SweepError("\n".join(told), table) from next(iter(failed.values()))
    return table_of(parts, finished, settings)


def gather(trained: Trained, finished: dict[int, Measured], failed: dict[int, Exception]) -> None:
    """Sort what comes of the parts as it comes, so that it is there whenever this is interrupted."""
    with contextlib.closing(trained):
        for number, told in trained:
            if isinstance(told, Exception):
                failed[number] = told
            else:
                finished[number] = told


def kept(finished: Mapping[int, Measured], parts: Sequence[Part]) -> str:
    return f"{len(finished)} of {len(parts)} parts are finished: their rows are this error's `table`."


def in_words(error: Exception) -> str:
    """An error's kind and first line; where Ray brings it from a node, those of the error there."""
    cause = getattr(error, "cause", None) or error
    return f"{type(cause).__name__}: {(str(cause).strip() or 'it says nothing').splitlines()[0]}"


def spread(values: Sequence[Any]) -> str:
    """The values that there are, or the ends of many."""
    distinct = list(dict.fromkeys(map(str, values)))
    return ", ".join(distinct if len(distinct) <= 4 else [distinct[0], "…", distinct[-1]])


def table_of(
    parts: Sequence[Part], finished: Mapping[int, Measured], settings: Iterable[str]
) -> pd.DataFrame:
    """A row for each replicate of the finished parts, in the order of the grid."""
    import pandas as pd

    names = [*settings, "seed"]
    frames = [
        pd.DataFrame({**repeated(part), **part.numbers, "seed": part.seeds, **finished[number]})
        for number, part in enumerate(parts)
        if number in finished
    ]
    table = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=names)
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
    taken = [name for name in settings if name in ("seed", "seeds")]
    if unknown or empty or taken or not seeds or most < 1:
        wrong = (
            f"`apart` names {unknown[0]!r}, which is no setting." if unknown
            else f"The setting {empty[0]!r} has no values." if empty
            else (
                f"No setting can be called {taken[0]!r}: `train` gets the replicates' own as `seeds`, and "
                "the table has them as `seed`. Call seeds of another kind `data_seed`, say."
            ) if taken
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


def here(train: Train, parts: Sequence[Part]) -> Trained:
    """Each part with what it gave or raised; where the first raises, `train` is suspected: none follows."""
    for number, part in enumerate(parts):
        told = outcome(partial(measured, train, part))
        yield number, told
        if number == 0 and isinstance(told, Exception):
            return


def outcome(of: Callable[[], Measured]) -> Measured | Exception:
    try:
        return of()
    except Exception as error:
        return error


def on_nodes(on: str, train: Train, parts: Sequence[Part], cpus: int, gpus: float) -> Trained:
    """The parts as tasks of a cluster, whose nodes have shown that they have what this process has.

    Each part as it is done; whatever is left when this ends is cancelled.
    """
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
        numbers = {task.remote(sent, part, ours): number for number, part in enumerate(parts)}
        left = list(numbers)
        try:
            while left:
                (done,), left = ray.wait(left, num_returns=1)
                yield numbers[done], outcome(partial(ray.get, done))
        finally:
            for each in left:
                ray.cancel(each, force=True)


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
