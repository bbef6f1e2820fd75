"""Initial weights of R replicates from one built model.

Keras draws the seed of an initialiser, or of a dropout, from Python's generator while the layer is built. One
model built under a known seed therefore tells which draw belongs to which variable. For every other seed that
draw is repeated and the variable initialised, without building a model.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from crosscheck._keras import layers_of, seed_generators_of
from crosscheck.replicates.backends import current

DRAWS = 10_000  # more than any model that fits here makes while it is built


def stacked_weights(
    build: Callable[[], keras.Model], seeds: Sequence[int]
) -> tuple[keras.Model, list[np.ndarray]]:
    """Returns a model, and the initial values of its `model.variables`, stacked: [R, *shape] each.

    Replicate r has the values that `build()` gives after `keras.utils.set_random_seed(seeds[r])`. The draws
    repeated for the first seed and the last are compared with what was built under them: where a value came
    about in another way, such as by `set_weights` within `build`, every replicate's model is built.
    """
    model = build_under(build, seeds[0])
    if isinstance(model, keras.Model) and model.built and len(set(seeds)) > 1:
        drawn = drawn_weights(model, seeds)
        if drawn and same(drawn, 0, model) and same(drawn, -1, build_under(build, seeds[-1])):
            return model, drawn
    built = {
        seed: values_of(build_under(build, seed)) for seed in dict.fromkeys(seeds[1:]) if seed != seeds[0]
    }
    built[seeds[0]] = values_of(model)
    shapes = {tuple(value.shape for value in values) for values in built.values()}
    if len(shapes) > 1:
        raise ValueError(
            "`build` must return models of one shape; under these seeds their weights differ in shape."
        )
    return model, [np.stack(values) for values in zip(*(built[seed] for seed in seeds), strict=True)]


def drawn_weights(model: keras.Model, seeds: Sequence[int]) -> list[np.ndarray] | None:
    """Returns the stacked initial values from repeated draws; None where it is not clear what was drawn."""
    first = seed_draws(seeds[0], DRAWS)
    all_sources = [source_of(variable, model, first) for variable in model.variables]
    sources = [source for source in all_sources if source]
    if len(sources) < len(all_sources):
        return None
    count = 1 + max((source.position or 0 for source in sources), default=0)
    try:
        return stacked(model.variables, sources, np.array([seed_draws(seed, count) for seed in seeds]))
    except (AttributeError, NotImplementedError, TypeError, ValueError):
        return None  # an initialiser of the user's own that cannot be made again from its configuration


def same(drawn: Sequence[np.ndarray], r: int, model: keras.Model) -> bool:
    """Returns whether the values drawn for replicate r are those of its model, but for the last bits."""
    pairs = list(zip(drawn, values_of(model), strict=True))
    return all(
        np.array_equal(mine[r], theirs)
        or (
            mine.dtype.kind == "f"
            and np.allclose(mine[r], theirs, rtol=1e-6, atol=1e-7 * np.abs(theirs).max())
        )
        for mine, theirs in pairs
        if mine[r].shape == theirs.shape
    ) and all(mine[r].shape == theirs.shape for mine, theirs in pairs)


def stacked(variables: Sequence[Any], sources: Sequence[Source], draws: np.ndarray) -> list[np.ndarray]:
    """Returns the variables' values under each row of the draws [R, count]: [R, *shape] each."""
    drawn = [(v, source) for v, source in zip(variables, sources, strict=True) if source.initializer]

    def one(seeds: Any) -> list[Any]:
        return [
            reseeded(source.initializer, seeds[i])(variable.shape, variable.dtype)
            for i, (variable, source) in enumerate(drawn)
        ]

    seeds = draws[:, [source.position or 0 for _, source in drawn]]
    seeds = seeds.astype(keras.random.SeedGenerator(0).state.dtype)
    kernels = iter(current().map_seeds(one, seeds) if drawn else ())
    values = []
    for variable, source in zip(variables, sources, strict=True):
        built = keras.ops.convert_to_numpy(variable.value)
        value = np.broadcast_to(built, (len(draws), *built.shape))
        if source.initializer:
            value = next(kernels)
        elif source.position is not None:  # (seed, calls so far) of a random layer
            value = value.copy()
            value[:, 0] = draws[:, source.position]
        values.append(value)
    return values


def build_under(build: Callable[[], keras.Model], seed: int) -> keras.Model:
    """Returns `build()` after `keras.utils.set_random_seed(seed)`."""
    keras.utils.set_random_seed(seed)
    return build()


def require_untouched(template: keras.Model, shown: Sequence[np.ndarray]) -> None:
    """Raises a ValueError where weights were put into the model that shows the replicates' structure."""
    for variable, value in zip(template.weights, shown, strict=True):
        if not np.array_equal(keras.ops.convert_to_numpy(variable), value, equal_nan=value.dtype.kind == "f"):
            raise ValueError(
                f'`replicas.model` was given weights ("{variable.path}"), which no replicate has: it shows '
                "their structure. Load weights in `build`, or give each its own by `set_weights`."
            )


def frozen_as(model: keras.Model, template: keras.Model) -> keras.Model:
    """Returns the model with those layers frozen that are so in another one of its structure by now."""
    for mine, theirs in refrozen(model, template):  # from the outside in: a layer hands it on to those within
        mine.trainable = theirs.trainable
    return model


def require_frozen_as(model: keras.Model, template: keras.Model) -> None:
    """Raises a ValueError where another layer is frozen in one of the two."""
    for _, layer in refrozen(model, template):
        raise ValueError(
            f'`trainable` of "{layer.name}" was changed after training had begun: `compile` again, as Keras '
            "wants it."
        )


def refrozen(model: keras.Model, template: keras.Model) -> Iterator[tuple[keras.Layer, keras.Layer]]:
    """Yields the layers of two models of a structure of which one is frozen and the other is not.

    Raises:
        ValueError: as many are frozen no more, and it cannot be told which, for `compile` adds layers.
    """
    all_mine, all_theirs = layers_of(model), layers_of(template)
    if len(all_mine) == len(all_theirs):
        pairs = zip(all_mine, all_theirs, strict=True)
        yield from ((mine, theirs) for mine, theirs in pairs if mine.trainable != theirs.trainable)
    elif sum(not layer.trainable for layer in all_mine) != sum(not layer.trainable for layer in all_theirs):
        raise ValueError("Freeze layers in `build`: this model has other layers once it is compiled.")


def values_of(model: keras.Model) -> list[np.ndarray]:
    """Returns the values of `model.variables`."""
    return [keras.ops.convert_to_numpy(variable.value) for variable in model.variables]


@functools.lru_cache
def seed_draws(seed: int, count: int) -> tuple[int, ...]:
    """Returns the first seeds that Keras' `make_default_seed` hands out after `set_random_seed(seed)`."""
    generator = random.Random(seed)
    return tuple(generator.randint(1, int(1e9)) for _ in range(count))


class Source(NamedTuple):
    """Where an initial value comes from.

    Attributes:
        position: of the draw; None for a value that is the same under every seed.
        initializer: which makes the value from the draw; None where the draw itself is the value.
    """

    position: int | None = None
    initializer: keras.Initializer | None = None


def source_of(variable: Any, model: keras.Model, draws: Sequence[int]) -> Source | None:
    """Returns how a variable's initial value follows from the draws under a seed; None if it is not clear."""
    for layer in layers_of(model):
        for generator in seed_generators_of(layer):
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
    """Returns the initialiser with another seed, which may be a tensor."""
    copy = type(initializer).from_config({**initializer.get_config(), "seed": 0})
    copy.seed = Drawn(seed)
    return copy


class Drawn(keras.random.SeedGenerator):
    """Hands out a seed that may be a tensor, as Keras hands out the integer seed of an initialiser."""

    def __init__(self, seed: Any):
        self.state = keras.ops.stack([keras.ops.convert_to_tensor(seed), keras.ops.zeros((), seed.dtype)])

    def next(self, ordered: bool = True) -> Any:
        return self.state
