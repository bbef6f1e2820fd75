"""`surprise` sabotaged by hand: what holds must then fail, and its controls must be able to do either."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from sabotaged import QUICK, judged, words

from crosscheck import data, losses
from crosscheck.claims import register
from crosscheck.lab import likelihood, pointwise, rivals

surprise = register.load("surprise")
SEEDS = tuple(range(50_000, 50_006))
IDENTITIES = (surprise.VALUES, surprise.TENFOLD_ADDS, surprise.UNBOUNDED)


@pytest.mark.parametrize(("factor", "expected"), [(1.0, "holds"), (1.01, "fails")])
def test_a_loss_off_by_one_per_cent_is_seen(monkeypatch, factor: float, expected: str) -> None:
    sound = losses.binary_crossentropy
    monkeypatch.setattr(losses, "binary_crossentropy", lambda y, z, a=0.0: factor * sound(y, z, a))
    rows = list(surprise.measure_values(()))
    for check in IDENTITIES:
        assert words(judged(check, rows)) == (expected, "fails", "holds"), check.id


def test_keras_losses_are_judged_by_what_they_give_not_by_their_names(monkeypatch) -> None:
    rows = list(surprise.measure_values(()))
    assert words(judged(surprise.UNBOUNDED_PROBABILITIES, rows)) == ("fails", "fails", "holds")
    assert words(judged(surprise.CAP, rows)) == ("holds", "fails", "holds")
    assert words(judged(surprise.TENFOLD, rows)) == ("fails", "fails", "holds")
    exact = lambda name, entry, p, dtype: -np.log(p)
    monkeypatch.setattr(pointwise, "cross_entropy", exact)
    rows = list(surprise.measure_values(()))
    assert words(judged(surprise.UNBOUNDED_PROBABILITIES, rows)) == ("holds", "fails", "holds")
    assert words(judged(surprise.CAP, rows))[0] == "fails"
    monkeypatch.setattr(
        pointwise, "cross_entropy", lambda name, entry, p, dtype: 1.01 * exact(name, entry, p, dtype)
    )
    rows = list(surprise.measure_values(()))
    assert words(judged(surprise.UNBOUNDED_PROBABILITIES, rows)) == ("fails", "fails", "holds")


def test_without_a_loss_that_is_unbounded_a_bounded_one_proves_nothing(monkeypatch) -> None:
    sound = losses.binary_crossentropy
    monkeypatch.setattr(losses, "binary_crossentropy", lambda y, z: keras.ops.minimum(sound(y, z), 16.0))
    rows = list(surprise.measure_values(()))
    assert words(judged(surprise.UNBOUNDED_PROBABILITIES, rows)) == ("invalid", "fails", "fails")


def test_weights_that_are_not_the_likeliest_are_seen(monkeypatch) -> None:
    sound = likelihood.likeliest
    monkeypatch.setattr(surprise, "PROBLEMS", 2)
    assert words(judged(surprise.LIKELIHOOD, surprise.measure_likelihood(()))) == ("holds", "fails", "holds")
    assert words(judged(surprise.UNDERFLOW, surprise.measure_likelihood(()))) == ("holds", "fails", "holds")
    monkeypatch.setattr(likelihood, "likeliest", lambda x, y: sound(x, y) * (1 + 1e-13))
    assert words(judged(surprise.LIKELIHOOD, surprise.measure_likelihood(())))[2] == "fails"
    monkeypatch.setattr(likelihood, "likeliest", lambda x, y: likelihood.least_loss(losses.brier, x, y))
    assert words(judged(surprise.LIKELIHOOD, surprise.measure_likelihood(()))) == (
        "invalid",
        "holds",
        "fails",
    )


def test_a_rival_that_is_worse_is_seen_and_arms_that_are_one_void_the_check(monkeypatch) -> None:
    monkeypatch.setattr(rivals, "END", 20)
    seen = rivals.right(SEEDS, data.load("digits"), 1_297)
    last = dict(seen[20])

    def verdicts_with(**hits: np.ndarray) -> tuple[str, str, str]:
        monkeypatch.setattr(rivals, "right", lambda *_: {4: seen[4], 20: {**last, **hits}})
        return words(judged(surprise.EFFECTIVENESS, surprise.train_rivals(SEEDS, "digits", 1_297), QUICK))

    found = verdicts_with()
    assert found[0] != "holds" and found[1:] == ("fails", "holds")
    worse = last[rivals.ENTROPY] & (np.arange(500) % 20 > 0)  # a twentieth of what was right is lost
    assert verdicts_with(**{rivals.SQUARED: worse}) == ("holds", "fails", "holds")
    as_good = dict.fromkeys(rivals.ARMS, last[rivals.ENTROPY])
    assert verdicts_with(**as_good) == ("invalid", "fails", "fails")
    assert verdicts_with(**{rivals.SQUARED: worse, rivals.SMOOTHED: worse})[:2] == ("invalid", "holds")
