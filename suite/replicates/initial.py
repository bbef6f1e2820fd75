"""Initial weights of R replicates from one built model.

Keras draws an initialiser's or a dropout's seed from Python's generator while the layer is built. One model
built under a known seed therefore tells which draw belongs to which variable; for every other seed the
same draw is repeated, and the variable initialised, without building a model.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

DRAWS = 10_000  # more than any model that fits here makes while it is built


def stacked_weights(
    build: Callable[[], keras.Model], seeds: Sequence[int]
) -> tuple[keras.Model, list[np.ndarray]]:
    """A model, and the initial value of each of its variables in `model.variables`, stacked: [R, *shape].

    Replicate r gets the values that `build()` gives after `keras.utils.set_random_seed(seeds[r])`.
    """
    model = build_under(build, seeds[0])
    sources = [source_of(variable, model, seeds[0]) for variable in model.variables]
    if any(source is None for source in sources):
        members = [build_under(build, seed) for seed in seeds]
        return model, [np.stack(values) for values in zip(*map(values_of, members), strict=True)]
    draws = {seed: seed_draws(seed) for seed in set(seeds)}
    return model, [np.stack([source(draws[seed]) for seed in seeds]) for source in sources if source]


def build_under(build: Callable[[], keras.Model], seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return build()


def values_of(model: keras.Model) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(variable.value) for variable in model.variables]


def seed_draws(seed: int) -> list[int]:
    """The seeds that Keras' `make_default_seed` hands out, in order, after `set_random_seed(seed)`."""
    generator = random.Random(seed)
    return [generator.randint(1, int(1e9)) for _ in range(DRAWS)]


Source = Callable[[list[int]], np.ndarray]


def source_of(variable: Any, model: keras.Model, seed: int) -> Source | None:
    """How a variable's initial value follows from the draws under a seed; None where that is not known."""
    draws = seed_draws(seed)
    value = keras.ops.convert_to_numpy(variable.value)
    for layer in model._flatten_layers():
        for generator in getattr(layer, "_seed_generators", ()):
            if generator.state is variable:
                return seed_state(draws, value)
        for name, initializer in vars(layer).items():
            owned = getattr(layer, name.removesuffix("_initializer"), None)
            if name.endswith("_initializer") and owned is variable:
                return initial_value(initializer, draws, value)
    return None


def seed_state(draws: list[int], value: np.ndarray) -> Source:
    """The state of a random layer's seed generator: (seed, calls so far); fixed where its seed was given."""
    seed = int(value[0])
    if seed not in draws:
        return lambda _: value
    position = draws.index(seed)
    return lambda other: np.array([other[position], *value[1:]], value.dtype)


def initial_value(initializer: keras.Initializer, draws: list[int], value: np.ndarray) -> Source:
    """A variable's initial value; the same for all where the initialiser is not random or has a seed."""
    seed = getattr(initializer, "seed", None)
    if seed not in draws:
        return lambda _: value
    position, config = draws.index(seed), initializer.get_config()

    def source(other: list[int]) -> np.ndarray:
        again = type(initializer).from_config({**config, "seed": other[position]})
        return keras.ops.convert_to_numpy(again(value.shape, value.dtype.name))

    return source
