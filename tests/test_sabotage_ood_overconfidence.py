"""`ood_overconfidence` sabotaged: what held must fail, and controls must come out otherwise."""

from __future__ import annotations

import numpy as np
from judged_arms import arms
from scipy import special

from crosscheck.claims import register
from crosscheck.lab import perceptrons

study = register.load("ood_overconfidence")
SEEDS = tuple(range(18))
SOUND = ("holds", "fails", "holds")
RNG = np.random.default_rng(0)
SHAPES = ((16, 32), (32,), (32, 32), (32,), (32, 4), (4,))
WEIGHTS = [RNG.normal(size=(len(SEEDS), *shape)).astype("float32") / 4 for shape in SHAPES]
X = RNG.normal(size=(200, 16))
RAYS = RNG.normal(size=(500, 16))


def predicted(**others):
    """Networks that are certain from α = 100 on, and predictors that never are."""
    far = lambda x: special.expit(np.abs(x).max(-1) + np.linspace(0, 0.1, len(SEEDS))[:, None])
    never = lambda x: np.full((len(SEEDS), len(x)), 0.6)
    return {"softmax": far, "brier": far, "sigmoids": far, "averaged": never, "radial": never, **others}


def rays(**others):
    return list(study.ray_rows(predicted(**others), RAYS, SEEDS))


def test_certainty_that_is_capped_is_seen() -> None:
    checks = (study.FAR_AWAY, study.OTHER_LOSSES, study.BAYES_LAST_LAYER)
    assert [arms(check, rays()) for check in checks] == [SOUND] * 3
    capped = lambda x: np.minimum(predicted()["softmax"](x), 0.98)
    assert arms(study.FAR_AWAY, rays(softmax=capped))[::2] == ("invalid", "fails")
    assert arms(study.OTHER_LOSSES, rays(brier=capped)) == ("fails", "fails", "holds")


def test_certainty_everywhere_or_nowhere_spoils_the_controls() -> None:
    always = lambda x: np.ones((len(SEEDS), len(x)))
    assert arms(study.FAR_AWAY, rays(softmax=always))[:2] == ("invalid", "holds")
    assert arms(study.BAYES_LAST_LAYER, rays(softmax=predicted()["radial"]))[:2] == ("invalid", "holds")
    assert arms(study.BAYES_LAST_LAYER, rays(radial=always))[::2] == ("invalid", "fails")
    assert arms(study.OTHER_LOSSES, rays(sigmoids=always))[:2] == ("invalid", "holds")


def test_a_posterior_without_width_is_no_posterior() -> None:
    few = [array[:3] for array in WEIGHTS]
    layers = perceptrons.drawn_layers(few, X, SEEDS[:3])
    last = np.concatenate([few[-2], few[-1][:, None]], axis=1)
    with_width = perceptrons.averaged(few, layers, 1000 * X).max(-1)
    without = perceptrons.averaged(few, np.repeat(last[:, None], 2, axis=1), 1000 * X).max(-1)
    alone = special.softmax(perceptrons.logits(few, 1000 * X), axis=-1).max(-1)
    np.testing.assert_allclose(without, alone, atol=1e-9)
    assert (with_width > 0.99).mean() < (alone > 0.99).mean() - 0.2


def test_a_slope_off_by_a_bias_is_seen(monkeypatch) -> None:
    assert arms(study.ASYMPTOTE, study.asymptote_rows(WEIGHTS, X)) == SOUND
    sound = perceptrons.slope_of_piece
    monkeypatch.setattr(perceptrons, "slope_of_piece", lambda *at: (1 + 1e-12) * sound(*at))
    assert arms(study.ASYMPTOTE, study.asymptote_rows(WEIGHTS, X))[::2] == ("invalid", "fails")
    monkeypatch.setattr(study, "BEYOND", 1e-3)
    assert arms(study.ASYMPTOTE, study.asymptote_rows(WEIGHTS, X))[0] == "invalid"
