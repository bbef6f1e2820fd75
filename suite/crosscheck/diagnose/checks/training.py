"""Does the program learn what it is given? If not: its learning rate, or the scale of its inputs?

What is judged is whether copies come half of the way from the prior, the best output that is the same for
every row, to fitting the rows that they are trained on. Only where the program as it is does not, under most
seeds, are other settings tried; a program that learns has nothing to be rescued from. It is at fault where
another setting comes further by half of the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import keras
import numpy as np

from crosscheck.diagnose._chance import sign_chance
from crosscheck.diagnose._copies import fresh_optimizer, has_graph, rebuilt, with_weights
from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._laboratory import TOO_SHORT, Laboratory
from crosscheck.diagnose._outcomes import STANDARDISED, Outcome
from crosscheck.diagnose._program import Program
from crosscheck.diagnose._rows import FEWEST_ROWS
from crosscheck.diagnose._suspicions import Suspicion
from crosscheck.diagnose._task import classes_of
from crosscheck.diagnose._words import rounded

ALIKE = 1e-6  # difference between rows, of their size, that is rounding alone
NEARLY_ALIKE = 0.01  # and one from which nothing was learnt
CLIPPED = 1e-7  # where Keras clips probabilities: the loss of a more confident error is not known here
AMPLY = 10.0  # times what the program's own steps make up for: a rate that is larger beyond doubt
LOST = 0.9  # of the prior's loss, and above: nothing has been learnt


def inputs_scale(lab: Laboratory) -> Iterator[Suspicion]:
    """Whether standardised inputs train where the given ones do not."""
    if not lab.can_be_standardised:
        return
    own, rescue = lab.as_it_is, lab.rescues.get(STANDARDISED.name)
    shown = lab.own_steps_fail
    if rescue is not None:
        shown = shown & own.rescued_by(rescue)
    beside = scaled_beside(lab)
    better = np.zeros(len(shown), bool)
    if beside is not None:
        better = own.is_surpassed_on_held_out_rows(beside)
    yield Suspicion(
        "inputs-scale",
        shown[None],
        Finding(
            "inputs-scale",
            "✗",
            lab.compared(rescue or beside),
            "statistical",
            why="the same model learns from standardised inputs; these make steps that fit no weight.",
            fix="normalize = keras.layers.Normalization(); normalize.adapt(x)  # first layer of the model",
            repair=standardise,
        ),
        limit=f"it fits its own rows; on others standardised inputs do better under {int(better.sum())} of "
        f"{len(better)} seeds: try keras.layers.Normalization()"
        if better.any()
        else lab.limit(rescue is not None),
        sound=sign_chance(int((~shown & ~better).sum()), len(shown)),
    )


def scaled_beside(lab: Laboratory) -> Outcome | None:
    """Where standardised inputs end, of a program that fits its own rows, but others worse; else None."""
    own = lab.as_it_is
    if own.fails.any() or not own.leaves_room.any() or not lab.can_afford(1):
        return None
    return lab.train([STANDARDISED])[0]


def standardise(program: Program) -> Program:
    """Returns the program with inputs of mean 0 and deviation 1."""
    from dataclasses import replace

    def scaled(x: np.ndarray) -> np.ndarray:
        x = np.asarray(x, "float32")
        axes = tuple(range(max(1, x.ndim - 1)))
        deviation = x.std(axes)
        return (x - x.mean(axes)) / np.where(deviation > 0, deviation, 1)

    x = keras.tree.map_structure(scaled, program.training.x)
    return replace(program, training=replace(program.training, x=x))


def learning_rate_too_high(lab: Laboratory) -> Iterator[Suspicion]:
    """Whether a tenth or a hundredth of the learning rate trains where the given one does not."""
    yield from of_rates(
        lab, "learning-rate-high", [r for r in lab.rescues.values() if r.arm.rate < 1], "high"
    )


def learning_rate_too_low(lab: Laboratory) -> Iterator[Suspicion]:
    """Whether ten or a hundred times the learning rate trains, where the given one does not in all its steps.

    One step here may stand for several of the program's; a rate that is no more than so many times larger,
    or hardly more, goes no further than the program itself does.
    """
    least = AMPLY * lab.compression if lab.compression > 1 else 1.0
    larger = [r for r in lab.rescues.values() if r.arm.rate > 1 and r.arm.rate >= least]
    yield from of_rates(lab, "learning-rate-low", larger, "low")


def of_rates(lab: Laboratory, check: str, others: Sequence[Outcome], word: str) -> Iterator[Suspicion]:
    """The suspicion that the learning rate is too high, or too low."""
    if lab.rate is None:
        return
    own, failing = lab.as_it_is, lab.own_steps_fail
    shown = np.array([failing & own.rescued_by(other) for other in others])
    doubtful = overshoots(lab) if word == "high" else np.zeros(len(lab.seeds), bool)
    free = ~(shown.any(0) if len(others) else failing) & ~doubtful
    best = min(others, key=lambda other: float(np.median(other.loss)), default=None)
    rate = lab.rate * (best.arm.rate if best else 1.0)
    yield Suspicion(
        check,
        shown if len(others) else failing[None],
        Finding(
            check,
            "✗",
            f"learning rate {rounded(lab.rate)}: {lab.compared(best)}",
            "statistical",
            why=f"the learning rate is too {word} for this model on these inputs.",
            fix=f"optimizer.learning_rate = {rounded(rate)}",
            repair=partial(with_rate, factor=best.arm.rate if best else 1.0),
        ),
        limit=limit_of_rates(lab, bool(others), word, doubtful),
        sound=sign_chance(int(free.sum()), len(free)),
    )


def overshoots(lab: Laboratory) -> np.ndarray:
    """Under which seeds rows that were not trained on are, or may be, worse off than by the prior, [S].

    A rate that is too high makes confident errors, few of them where classes are far apart: decisions are
    right then, and the loss is anything.
    """
    own, y = lab.as_it_is, lab.y[lab.splits[1]]
    is_chance = own.outputs.min() >= 0 and own.outputs.max() <= 1
    confident = [is_chance and is_surely_wrong(lab, *pair) for pair in zip(y, own.outputs, strict=True)]
    return ~(own.held_out_loss <= own.prior_loss) | np.array(confident)


def is_surely_wrong(lab: Laboratory, y: np.ndarray, p: np.ndarray) -> bool:
    """Whether an example's class, or a label, has a probability below what Keras distinguishes from 0."""
    if lab.task.kind == "numbers":
        return False
    if lab.task.kind == "labels":
        true = np.reshape(y, p.shape) > 0.5
        return bool((np.where(true, p, 1 - p) < CLIPPED).any())
    counted = lab.task.counted(y)
    rows = p.reshape(-1, p.shape[-1])[counted]
    return bool((rows[np.arange(len(rows)), classes_of(y, lab.task.width)[counted]] < CLIPPED).any())


def limit_of_rates(lab: Laboratory, tried: bool, word: str, doubtful: np.ndarray) -> str:
    """Why the learning rate is no fault in any case; "" where it may be.

    More steps than are taken here may mend what learns slowly. They do not mend what is no better than the
    prior, for a rate that is too high for it.
    """
    own = lab.as_it_is
    if not lab.lags and doubtful.any():
        return (
            f"under {int(doubtful.sum())} of {len(doubtful)} seeds the loss on other rows is above the "
            "prior's, or an error is so confident that it may be"
        )
    if not lab.lags:
        return "it learns under most seeds"
    if not tried:
        return "no rate was tried beyond those that its own number of steps makes up for"
    lost = bool(np.all(~(own.loss < LOST * own.prior_loss)))
    if word == "low":
        stands_for_many = lab.compression > TOO_SHORT and not lab.of_own_steps
        return lab.limit(tried) if stands_for_many else lab.brevity
    return "" if lost else lab.limit(tried)


def with_rate(program: Program, factor: float) -> Program:
    """Returns the program on a copy of its model, compiled with another learning rate."""
    optimizer = getattr(program.model.optimizer, "inner_optimizer", program.model.optimizer)
    rate = float(optimizer.get_config()["learning_rate"])
    return with_optimizer(program, fresh_optimizer(optimizer, learning_rate=factor * rate))


def with_optimizer(program: Program, optimizer: keras.Optimizer) -> Program:
    """Returns the program on a copy of its model, compiled with an unused optimiser."""
    from dataclasses import replace

    from crosscheck._keras import compiled_with
    from crosscheck.diagnose._copies import weights_of

    copy = with_weights(rebuilt(program.model), weights_of(program.model))
    copy.compile(**{**compiled_with(program.model), "optimizer": optimizer})
    return replace(program, model=copy)


def ignores_input(lab: Laboratory) -> Iterator[Suspicion]:
    """Whether outputs are the same for every row, before and after training.

    Or the same to a hundredth, where all of its steps do not change that, and it does not learn.
    """
    if all_rows_alike(lab):
        return
    own = lab.as_it_is
    before, after = (
        np.array([spread(outputs) for outputs in of_seeds]) for of_seeds in (own.initial_outputs, own.outputs)
    )
    most = np.maximum(before, after)
    shown = most <= ALIKE
    if not shown.all() and lab.compression <= 1:
        shown |= (most <= NEARLY_ALIKE) & own.lags
    is_exact = bool((most <= ALIKE).all())
    layer = first_layer_alike(lab, ALIKE if is_exact else NEARLY_ALIKE) if shown.all() else None
    if layer is not None and (rectifies(layer) if is_exact else layer in hidden_layers(lab.program.model)):
        return  # its units are dead, or hand on next to nothing: that has checks of its own
    place = f'; first lost in "{layer.name}" ({type(layer).__name__})' if layer and is_exact else ""
    yield Suspicion(
        "uses-its-input",
        shown[None],
        Finding(
            "uses-its-input",
            "✗",
            f"outputs of {own.outputs.shape[1]} rows differ by {rounded(float(np.median(before)))} of their "
            f"size before training, and by {rounded(np.median(after))} after it{place}",
            "statistical",
            why="whatever the input is, the output is the same, or nearly: before it the input is lost.",
            fix="look for a layer that multiplies by 0, divides by far too much, masks everything, or is fed "
            "with a constant",
        ),
    )


def first_layer_alike(lab: Laboratory, share: float) -> keras.Layer | None:
    """Returns the first layer that gives every row the same, by the first seed's weights; None if unknown."""
    model = lab.program.model
    if not has_graph(model):
        return None
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    inside = lab.inside(tuple(layer.name for layer in layers))
    with_weights(inside.model, [values[0] for values in lab.as_it_is.weights])
    outputs = inside(lab.some(FEWEST_ROWS))
    return next((layer for layer, z in zip(layers, outputs, strict=False) if spread(z) <= share), None)


def hidden_layers(model: keras.Model) -> list[keras.Layer]:
    """Returns the layers whose outputs are not the model's."""
    last = {id(tensor) for tensor in model.outputs}
    return [
        layer for layer in model.layers if not any(id(t) in last for t in keras.tree.flatten(layer.output))
    ]


def rectifies(layer: keras.Layer) -> bool:
    """Returns whether a layer's output is that of a ReLU."""
    if isinstance(layer, keras.layers.ReLU):
        return not layer.negative_slope and not layer.threshold
    return getattr(getattr(layer, "activation", None), "__name__", "") == "relu"


def all_rows_alike(lab: Laboratory) -> bool:
    """Returns whether the rows themselves are all the same."""
    return all(bool((a == a[:1]).all()) for a in keras.tree.flatten(lab.x))


def spread(outputs: np.ndarray) -> float:
    """Returns the largest difference between rows, over the largest output; 1 where any is not finite."""
    if not np.isfinite(outputs).all():
        return 1.0
    return float(np.ptp(outputs, axis=0).max() / max(np.abs(outputs).max(), 1e-30))


def bad_probabilities(lab: Laboratory) -> Iterator[Finding]:
    """Notes a loss above the prior's beside good decisions: confident where it is wrong."""
    own = lab.as_it_is
    if np.all(own.loss > own.prior_loss) and not own.fails.any():
        yield Finding(
            "loss-above-prior",
            "note",
            lab.compared(None),
            "heuristic",
            why="it decides well, and is so sure where it is wrong that saying the frequencies costs less.",
            fix="standardise the inputs, or lower the learning rate",
        )


def one_seed(lab: Laboratory) -> Iterator[Finding]:
    """Notes how far seeds alone move what is measured on held-out rows."""
    held_out = lab.as_it_is.held_out_loss
    if not np.isfinite(held_out).all():
        return
    low, high = float(held_out.min()), float(held_out.max())
    yield Finding(
        "one-seed",
        "note",
        f"seeds alone move the loss on {lab.as_it_is.outputs.shape[1]} held-out rows from {rounded(low)} to "
        f"{rounded(high)} after {lab.steps} steps",
        "heuristic",
        interval=(low, high),
        why="a difference between two single runs that is smaller says nothing.",
        fix="Replicates(build, seeds=range(12))  # compare medians over seeds",
    )
