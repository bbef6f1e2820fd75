"""Replicate r is a plain `model.fit`, whatever the training: random ones, beside a loop of Keras' own `fit`.

`CROSSCHECK_FUZZ` is how many the long run tries; its seeds go on from those of the short one.
"""

from __future__ import annotations

import os
from collections import Counter

import keras
import pytest
from random_comparison import compared, smallest
from random_trainings import Case, drawn

pytestmark = pytest.mark.every_backend

SHORT, GROUPS = 100, 4
LONG = int(os.environ.get("CROSSCHECK_FUZZ", "1000"))
RIGHT = ("same", "refused", "both fail", "only, as known, Keras fails")
# What the generator has found to be wrong, each at its smallest.
FOUND = {
    "a dictionary of inputs to a model that shows no layers": Case(inputs="dict", wrap="subclassed"),
    "a dictionary in its own order, of a model that shows no layers": Case(
        inputs="reversed dict", wrap="subclassed"
    ),
    "a batch of lists in Keras' own fit": Case(
        mode="fit", inputs="list", losses=("mse", "mse"), structure="list"
    ),
    "a schedule that goes on from reduced rates": Case(callbacks=("scheduler", "plateau"), epochs=3),
    "replicates that all stop, and go on when called again": Case(
        mode="fit", callbacks=("stops within",), plot="fit twice", epochs=3
    ),
    "a metric with a number for each class": Case(
        losses=("categorical",), metrics=("f1 each",), callbacks=("early stopping",)
    ),
    "a rate that is reduced within a loss scale": Case(optimizer="scaled", callbacks=("plateau",), epochs=3),
    "memory that two values share after a step": Case(
        mode="loop", losses=("mse",), optimizer="proximal adam"
    ),
    "a loss along the examples, which takes no weights": Case(
        inputs="list", blocks=("own draw", "centred"), losses=("categorical along examples",)
    ),
    "a bias that weight decay leaves out": Case(mode="fit", optimizer="adamw"),
    "a bias that rounding alone moves, in half precision": Case(
        losses=("own centred",), policy="mixed_bfloat16", plot="saved"
    ),
    "averages of a replicate that was stopped": Case(optimizer="averaging", callbacks=("early stopping",)),
    "a layer in half precision": Case(
        blocks=("pretrained", "half"), losses=("mse sum",), optimizer="accumulating"
    ),
}


def require_right(seed: int, case: Case) -> str:
    ending = compared(case)
    if ending.split(":")[0] not in RIGHT:
        less = smallest(case, ending)
        pytest.fail(f"drawn({seed}): {ending}\n{case}\nsmallest: {less}\n{compared(less)}")
    return ending


@pytest.mark.parametrize("name", FOUND)
def test_what_was_wrong_is_right(name):
    assert compared(FOUND[name]) == "same"


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(seed, marks=pytest.mark.xdist_group(f"test_replicates_random_{seed % GROUPS}"))
        for seed in range(SHORT)
    ],
)
def test_a_random_training_is_that_of_keras_or_refused(seed):
    require_right(seed, drawn(seed))


@pytest.mark.long
def test_many_random_trainings_are_those_of_keras_or_refused():
    endings = Counter(require_right(seed, drawn(seed)).split(":")[0] for seed in range(SHORT, SHORT + LONG))
    assert endings["same"] > LONG / 3, endings


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="`fit` on JAX drops what a forward pass assigns")
def test_a_layer_that_assigns_to_its_own_weights_is_refused_by_name():
    """Found by a random training: `fit` differentiates from the assignment on, a function goes through it."""
    stacked, ending = (compared(Case(mode=mode, blocks=("spectral",))) for mode in ("auto", "loop"))
    assert stacked.startswith("refused: NotImplementedError: ")
    assert ending.startswith("refused: NotImplementedError: The forward pass assigns to ")
    assert "spectral_normalization" in ending and 'mode="fit"' in ending


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="tensors are changed in place there alone")
def test_a_loss_that_changes_weights_in_place_is_refused_by_name_beside_metrics_that_see_them():
    """Found by a random training: Keras' `ignore_class` multiplies the tensor of weights that it is given."""
    case = {"mode": "loop", "losses": ("sparse ignoring",), "weights": "for all"}
    ending = compared(Case(**case, weighted_metrics=("our error",)))
    assert ending.startswith("refused: NotImplementedError: The loss changes the sample weights in place")
    assert compared(Case(**case)) == "same"
