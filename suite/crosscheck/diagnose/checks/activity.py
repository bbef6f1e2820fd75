"""Do all layers take part? Gradients that vanish or explode, units that are dead or saturated."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from crosscheck._keras import compiled_with
from crosscheck.diagnose._chance import is_decisive
from crosscheck.diagnose._copies import (
    Layers,
    fresh_optimizer,
    has_graph,
    random_state_kept,
    rebuilt,
    same_layer,
    with_weights,
)
from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._laboratory import Laboratory
from crosscheck.diagnose._outcomes import AS_IT_IS, Arm
from crosscheck.diagnose._program import Program
from crosscheck.diagnose._suspicions import Suspicion
from crosscheck.diagnose._words import across, rounded
from crosscheck.diagnose.checks.training import hidden_layers, rectifies, with_optimizer
from crosscheck.replicates import Replicates

SQUASHING = ("sigmoid", "tanh", "softsign", "hard_sigmoid", "hard_tanh")
VANISHED = 1e-3  # of the last layer's relative gradient, in the first (AutoTrainer 2021)
EXPLODED = 10.0  # times a layer's own weights
DEAD, QUIET = 0.99, 0.5  # shares of a layer's units
FLAT = 0.01  # derivative below which a squashing unit is saturated


@functools.lru_cache(maxsize=1)
def relative_gradients(lab: Laboratory) -> np.ndarray:
    """The size of every kernel's first gradient on the rows trained on, over that of the kernel, [S, L].

    A step of plain gradient descent at rate 1 moves a weight by its gradient.
    """
    with random_state_kept(), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        replicas = Replicates(lab.build, lab.seeds)
        replicas.compile(keras.optimizers.SGD(1.0), **lab.arguments)
        before = [np.array(value) for value in replicas.get_weights()]
        which = lab.splits[0]
        replicas.fit(lab.rows_of(which, [AS_IT_IS], which), lab.y[which], batch_size=lab.rows)
        moved = [after - first for after, first in zip(replicas.get_weights(), before, strict=True)]
        kernels = [i for i, v in enumerate(replicas.model.variables) if v.trainable and v.name == "kernel"]
    size = lambda values: np.sqrt((values.astype("float64") ** 2).reshape(len(values), -1).sum(1))
    return np.stack([size(moved[i]) / np.maximum(size(before[i]), 1e-30) for i in kernels], 1)


def vanishing_gradients(lab: Laboratory) -> Iterator[Suspicion]:
    """Whether the first layer's gradient is a thousandth of the last's, and ReLU with He's weights trains."""
    if not has_graph(lab.program.model) or not any(map(squashes, hidden_layers(lab.program.model))):
        return
    own, tried, measured = lab.as_it_is, False, lab.compared(None)
    shown, control = lab.own_steps_fail, None
    if lab.lags and lab.can_afford(1):
        sizes = relative_gradients(lab)
        share = sizes[:, 0] / np.maximum(sizes[:, -1], 1e-30)
        measured = f"the first layer's relative gradient is {across(share)} of the last's; {measured}"
        shown, tried = shown & (share < VANISHED), True
        if is_decisive(shown):
            control = lab.train(
                [Arm("ReLU and He's weights")],
                build=lambda: lab.build(in_hidden_layers(lab.program.model, with_relu)),
            )[0]
            shown, measured = shown & own.rescued_by(control), f"{measured}; {across(control.loss)} with ReLU"
    yield Suspicion(
        "vanishing-gradients",
        shown[None],
        Finding(
            "vanishing-gradients",
            "✗",
            measured,
            "statistical",
            why="every squashing activation shrinks the gradient; the first layers do not learn.",
            fix='activation="relu", kernel_initializer="he_normal"  # in the hidden layers',
            repair=with_relu_throughout,
        ),
        limit=lab.limit(tried),
    )


def exploding_gradients(lab: Laboratory) -> Iterator[Suspicion]:
    """Whether a gradient is ten times as large as the weights, and clipping it trains."""
    own, tried, measured = lab.as_it_is, False, lab.compared(None)
    shown = lab.own_steps_fail
    if lab.lags and lab.can_afford(1):
        largest = relative_gradients(lab).max(1)
        measured = f"the largest gradient is {across(largest)} times its weights; {measured}"
        shown, tried = shown & ~(largest <= EXPLODED), True
        if is_decisive(shown):
            clipped = fresh_optimizer(lab.optimizer, **CLIPPED)
            control = lab.train([Arm("clipped gradients")], optimizer=clipped)[0]
            shown, measured = shown & own.rescued_by(control), f"{measured}; {across(control.loss)} clipped"
    yield Suspicion(
        "exploding-gradients",
        shown[None],
        Finding(
            "exploding-gradients",
            "✗",
            measured,
            "statistical",
            why="a step is larger than the weights that it moves.",
            fix="optimizer = …(…, global_clipnorm=1.0)",
            repair=lambda program: with_optimizer(
                program, fresh_optimizer(program.model.optimizer, **CLIPPED)
            ),
        ),
        limit=lab.limit(tried),
    )


CLIPPED: dict[str, Any] = {"clipnorm": None, "clipvalue": None, "global_clipnorm": 1.0}


def in_hidden_layers(model: keras.Model, change: Callable[[keras.Layer], keras.Layer]) -> Layers:
    """Returns what makes hidden layers with a change, and the last ones as they are."""
    hidden = {id(layer) for layer in hidden_layers(model)}
    return lambda layer: change(layer) if id(layer) in hidden else same_layer(layer)


def squashes(layer: keras.Layer) -> bool:
    """Returns whether a layer of products, or an activation, squashes its output."""
    name = getattr(getattr(layer, "activation", None), "__name__", "")
    return name in SQUASHING and not hasattr(layer, "cell") and not hasattr(layer, "recurrent_initializer")


def with_relu(layer: keras.Layer) -> keras.Layer:
    """Returns a layer of the same configuration, with ReLU and He's weights where it squashes."""
    if not squashes(layer):
        return same_layer(layer)
    changed = {"activation": "relu"}
    if hasattr(layer, "kernel_initializer"):
        changed["kernel_initializer"] = "he_normal"
    return layer.__class__.from_config({**layer.get_config(), **changed})


def with_relu_throughout(program: Program) -> Program:
    """Returns the program on a model with ReLU in its hidden layers."""
    copy = rebuilt(program.model, in_hidden_layers(program.model, with_relu))
    settings = {**compiled_with(program.model), "optimizer": fresh_optimizer(program.model.optimizer)}
    copy.compile(**settings)
    return replace(program, model=copy)


def dead_units(lab: Laboratory) -> Iterator[Suspicion | Finding]:
    """Whether a layer of ReLU is active on no row after training, and LeakyReLU in its place trains."""
    model = lab.program.model
    layers = [layer.name for layer in hidden_layers(model) if rectifies(layer)] if has_graph(model) else []
    if not layers:
        return
    dead = np.array([shares(lab, layers, s, lambda z: z.max(0) <= 0) for s in range(len(lab.seeds))])
    worst = int(np.median(dead, 0).argmax())
    n = lab.rows
    measured = (
        f'{across(dead[:, worst])} of the units of "{layers[worst]}" are active on none of {n} rows '
        f"(one that was active on more than {rounded(3 / n)} of all rows would show with 95 %)"
    )
    own, tried = lab.as_it_is, True
    shown = (dead >= DEAD).any(1) & own.lags
    if is_decisive(shown) and (tried := lab.can_afford(1)):
        control = lab.train(
            [Arm("LeakyReLU")], build=lambda: lab.build(in_hidden_layers(lab.program.model, with_leaky_relu))
        )[0]
        shown = shown & own.rescued_by(control)
        measured = f"{measured}; {lab.compared(control)}"
    finding = Finding(
        "dead-units",
        "✗",
        measured,
        "statistical",
        why="a ReLU that is active on no row has no gradient, and does not come back.",
        fix="LeakyReLU, he_normal weights, or a lower learning rate",
    )
    yield Suspicion("dead-units", shown[None], finding, limit="" if tried else NOT_TRIED)
    if not is_decisive(shown) and np.median(dead[:, worst]) >= QUIET:
        yield replace(finding, check="quiet-units", verdict="note", decided="heuristic", fix="")


NOT_TRIED = "no time was left to try LeakyReLU"


def with_leaky_relu(layer: keras.Layer) -> keras.Layer:
    """Returns a layer of the same configuration, with LeakyReLU where it is a ReLU."""
    if not rectifies(layer):
        return same_layer(layer)
    if isinstance(layer, keras.layers.ReLU):
        return keras.layers.LeakyReLU(name=layer.name)
    return layer.__class__.from_config({**layer.get_config(), "activation": "leaky_relu"})


def shares(lab: Laboratory, layers: list[str], s: int, holds: Any) -> list[float]:
    """Returns the share of each layer's units of which something holds over all rows and places, [L]."""
    inside = lab.inside(tuple(layers))
    with_weights(inside.model, [values[s] for values in lab.as_it_is.weights])
    which = lab.splits[0][s]
    outputs = inside(keras.tree.map_structure(lambda a: a[which], lab.x))
    return [float(np.mean(holds(z.reshape(-1, z.shape[-1])))) for z in outputs]


def saturated_units(lab: Laboratory) -> Iterator[Finding]:
    """Notes layers whose squashing units have hardly a derivative on most rows."""
    model = lab.program.model
    layers = [layer for layer in hidden_layers(model) if squashes(layer)] if has_graph(model) else []
    layers = [layer for layer in layers if layer.activation.__name__ in ("sigmoid", "tanh")]
    if not layers:
        return
    names = [layer.name for layer in layers]
    flat = np.array([shares(lab, names, s, is_flat) for s in range(len(lab.seeds))])
    worst = int(np.median(flat, 0).argmax())
    if np.median(flat[:, worst]) >= QUIET:
        yield Finding(
            "saturated-units",
            "note",
            f'{across(flat[:, worst])} of the units of "{names[worst]}" are saturated on most rows',
            "heuristic",
            why="where an activation is flat, its layer hardly learns.",
            fix="standardise the inputs, or put BatchNormalization before the activation",
        )


def is_flat(z: np.ndarray) -> np.ndarray:
    """Returns which units of tanh or sigmoid are at an end on half of the rows, [U]."""
    low = np.where(z.min() < 0, -1.0, 0.0)
    u = (z - low) / (1 - low)  # a sigmoid of its argument, or of twice it
    return np.mean(u * (1 - u) < FLAT, 0) >= QUIET
