"""`execution_paths` sabotaged by hand: what holds must then fail; its controls must be able to do either."""

from __future__ import annotations

import math

import pytest
from sabotaged import judged, words

from crosscheck import losses
from crosscheck.claims import register
from crosscheck.paths import heads

execution_paths = register.load("execution_paths")
OURS, VALUE, GRADIENT = execution_paths.OURS, execution_paths.VALUE_PATHS, execution_paths.GRADIENT_PATHS


def measured() -> list:
    return list(execution_paths.measure_paths((), "binary", "tensorflow", "float32", True))


@pytest.mark.parametrize(("factor", "expected"), [(1.0, "holds"), (1.01, "fails")])
def test_a_loss_off_by_one_per_cent_is_seen(monkeypatch, factor: float, expected: str) -> None:
    class Off(losses.BinaryCrossentropy):
        function = staticmethod(
            lambda y, z, label_smoothing=0.0: factor * losses.binary_crossentropy(y, z, label_smoothing)
        )

    monkeypatch.setitem(heads.OURS, "binary", (Off, Off.function))
    rows = measured()
    assert words(judged(OURS, rows)) == (expected, "fails", "holds")
    assert words(judged(GRADIENT, rows)) == ("fails", "fails", "holds")  # of Keras' own: from probabilities


def test_controls_put_in_each_others_place_void_the_check(monkeypatch) -> None:
    monkeypatch.setattr(execution_paths.math, "log", lambda x: 1.0)  # base 2 becomes base e
    assert words(judged(OURS, measured())) == ("invalid", "holds", "holds")
    monkeypatch.undo()
    sound = execution_paths.written_out("binary")
    off = lambda y, z: sound(y, z) / math.log(2)
    monkeypatch.setattr(execution_paths, "written_out", lambda loss: off)
    rows = measured()
    assert words(judged(OURS, rows)) == ("invalid", "fails", "fails")
    assert words(judged(VALUE, rows)) == ("invalid", "fails", "fails")
