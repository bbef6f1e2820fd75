"""Faults in how a loss takes its labels and in what it does beside computing; each with its check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

from benchmarks.audit_rates.choices import Choices, RandomLoss
from benchmarks.audit_rates.faults import Fault
from benchmarks.audit_rates.sound import Recipe, as_loss, function


def labels(name: str, check: str, change: Callable[[Any], Any]) -> Fault:
    """Labels that are changed on the way in."""

    def fault(choices: Choices, recipe: Recipe) -> RandomLoss:
        def loss(y_true: Any, y_pred: Any) -> Any:
            z = ops.convert_to_tensor(y_pred)
            return function(recipe)(change(ops.cast(y_true, z.dtype)), z)

        return as_loss(recipe, "function").broken(name, check, lambda: loss)

    return fault


def behaving(name: str, check: str, make: Callable[[Choices, Any], Callable[[], Any]]) -> Fault:
    """A class that does more than compute."""

    def fault(choices: Choices, recipe: Recipe) -> RandomLoss:
        sound_loss = as_loss(recipe, "class that smooths")
        return sound_loss.broken(name, check, make(choices, sound_loss.make))

    return fault


def stateful(choices: Choices, base: Any) -> Any:
    step = choices.number(1e-3, 1)

    class Loss(base):
        calls = 0

        def call(self, y_true: Any, y_pred: Any) -> Any:
            self.calls += 1
            return super().call(y_true, y_pred) + step * self.calls

    return Loss


def printing(choices: Choices, base: Any) -> Any:
    class Loss(base):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            print("loss of", y_pred.shape)
            return super().call(y_true, y_pred)

    return Loss


def unweighted(choices: Choices, base: Any) -> Any:
    class Loss(base):
        def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            return super().__call__(y_true, y_pred)

    return Loss


def smoothing_other(choices: Choices, base: Any) -> Any:
    share = choices.number(0.05, 0.2)

    class Loss(base):
        def smooth(self, y: Any, k: int) -> Any:
            return y * (1 - self.label_smoothing) + share * self.label_smoothing

    return Loss


def smoothing_any(choices: Choices, base: Any) -> Any:
    class Loss(base):
        def __init__(self, label_smoothing=0.0, **arguments):
            super().__init__(**arguments)
            self.label_smoothing = label_smoothing

    return Loss


def forgetful(choices: Choices, base: Any) -> Any:
    class Loss(base):
        def get_config(self) -> dict[str, Any]:
            left = {"label_smoothing"}
            return {key: value for key, value in super().get_config().items() if key not in left}

    return Loss
