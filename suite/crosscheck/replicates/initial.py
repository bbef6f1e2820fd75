"""Initial weights of R replicates from one built model.

Keras draws an initialiser's or a dropout's seed from Python's generator while the layer is built. One model
built under a known seed therefore tells which draw belongs to which variable; for every other seed the
same draw is repeated, and the variable initialised, without building a model.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from crosscheck.replicates.program import seam

DRAWS = 10_000  # more than any model that fits here makes while it is built


def stacked_weights(
    build: Callable[[], keras.Model], seeds: Sequence[int]
) -> tuple[keras.Model, list[np.ndarray]]:
    """A model, and the initial value of each of its variables in `model.variables`, stacked: [R, *shape].

    Replicate r gets the values that `build()` gives after `keras.utils.set_random_seed(seeds[r])`.
    """
    model = build_under(build, seeds[0])
    first = seed_draws(seeds[0], DRAWS)
    known = [source_of(variable, model, first) for variable in model.variables]
    sources = [source for source in known if source]
    if len(sources) < len(known):
        members = [build_under(build, seed) for seed in seeds]
        return model, [np.stack(values) for values in zip(*map(values_of, members), strict=True)]
    count = 1 + max((source.position or 0 for source in sources), default=0)
    return model, stacked(model.variables, sources, np.array([seed_draws(seed, count) for seed in seeds]))


def stacked(variables: Sequence[Any], sources: Sequence[Source], draws: np.ndarray) -> list[np.ndarray]:
    """The variables' values under each row of the draws [R, count]: [R, *shape] each."""
    drawn = [(v, source) for v, source in zip(variables, sources, strict=True) if source.initializer]

    def one(seeds: Any) -> list[Any]:
        return [
            reseeded(source.initializer, seeds[i])(variable.shape, variable.dtype)
            for i, (variable, source) in enumerate(drawn)
        ]

    seeds = draws[:, [source.position or 0 for _, source in drawn]]
    seeds = seeds.astype(keras.random.SeedGenerator(0).state.dtype)
    kernels = iter(seam().each_draw(one, seeds) if drawn else ())
    values = []
    for variable, source in zip(variables, sources, strict=True):
        given = keras.ops.convert_to_numpy(variable.value)
        value = np.broadcast_to(given, (len(draws), *given.shape))
        if source.initializer:
            value = next(kernels)
        elif source.position is not None:  # (seed, calls so far) of a random layer
            value = value.copy()
            value[:, 0] = draws[:, source.position]
        values.append(value)
    return values


def build_under(build: Callable[[], keras.Model], seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return build()


def values_of(model: keras.Model) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(variable.value) for variable in model.variables]


def seed_draws(seed: int, count: int) -> list[int]:
    """The first seeds that Keras' `make_default_seed` hands out, in order, after `set_random_seed(seed)`."""
    generator = random.Random(seed)
    return [generator.randint(1, int(1e9)) for _ in range(count)]


class Source(NamedTuple):
    """Where an initial value comes from: a draw, through an initialiser; without a position it is fixed."""

    position: int | None = None
    initializer: keras.Initializer | None = None


def source_of(variable: Any, model: keras.Model, draws: list[int]) -> Source | None:
    """How a variable's initial value follows from the draws under a seed; None where that is not known."""
    for layer in model._flatten_layers():
        for generator in getattr(layer, "_seed_generators", ()):
            if generator.state is variable:
                first = int(keras.ops.convert_to_numpy(variable.value)[0])
                return Source(draws.index(first)) if first in draws else Source()
        for name, initializer in vars(layer).items():
            owned = getattr(layer, name.removesuffix("_initializer"), None)
            if name.endswith("_initializer") and owned is variable:
                seed = getattr(initializer, "seed", None)
                return Source(draws.index(seed), initializer) if seed in draws else Source()
    return None


def reseeded(initializer: keras.Initializer, seed: Any) -> keras.Initializer:
    """The initialiser with another seed, which may be a tensor."""
    again = type(initializer).from_config({**initializer.get_config(), "seed": 0})
    again.seed = Drawn(seed)
    return again


class Drawn(keras.random.SeedGenerator):
    """Hands out the seed it was given, as an initialiser's integer seed is handed out."""

    def __init__(self, seed: Any):
        self.state = keras.ops.stack([keras.ops.convert_to_tensor(seed), keras.ops.zeros((), seed.dtype)])

    def next(self, ordered: bool = True) -> Any:
        return self.state
