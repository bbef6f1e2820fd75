"""Other forms of a random loss: one number for the batch, of probabilities, of steps or maps alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from keras import ops

from benchmarks.audit_rates.choices import Choices, RandomLoss

Form = Callable[[RandomLoss], RandomLoss]
TAILS = ("wrong tail", "right tail", "dead gradient", "finite", "half precision")
OF_PROBABILITIES = frozenset((*TAILS, "activation", "modes"))  # p rounds to 1, and ln (1 − p) with it
KEPT_BY_ALL = ("factor", "another gradient", "a class preferred", "clips labels", "rounds labels")
NUMERIC = (*KEPT_BY_ALL, "easy examples forgiven", "bent tail", "NaN far out", "overflowing exponential")


def formed(choices: Choices, loss: RandomLoss) -> RandomLoss:
    """The loss as it is, or in another form in which it has the same mathematics and the same fault."""
    forms: list[Form] = [as_it_is]
    forms += [scalar, of_steps, of_maps] if loss.fault in ("", *NUMERIC) else []
    forms += [of_probabilities] if loss.fault in ("", *KEPT_BY_ALL) else []
    return choices.one_of(forms)(loss)


def as_it_is(loss: RandomLoss) -> RandomLoss:
    return loss


def function_of(loss: RandomLoss) -> Callable[[Any, Any], Any]:
    made = loss.make()
    return made.call if loss.is_class else made


def with_function(loss: RandomLoss, form: str, make: Callable[[], Any], **details: Any) -> RandomLoss:
    return replace(loss, about=f"{loss.about}; {form}", make=make, is_class=False, **details)


def scalar(loss: RandomLoss) -> RandomLoss:
    """It takes the mean over the batch itself, which is to be said once."""
    values = function_of(loss)

    def random_loss(y_true: Any, y_pred: Any) -> Any:
        return ops.mean(values(y_true, y_pred))

    return with_function(loss, "one number for all", lambda: random_loss, due=frozenset(("per example",)))


def of_steps(loss: RandomLoss) -> RandomLoss:
    return of_axes(loss, 1)


def of_maps(loss: RandomLoss) -> RandomLoss:
    return of_axes(loss, 2)


def of_axes(loss: RandomLoss, axes: int) -> RandomLoss:
    """It takes [B, T, K] or [B, H, W, K] and nothing else, and gives the mean over steps or pixels."""
    values = function_of(loss)

    def random_loss(y_true: Any, y_pred: Any) -> Any:
        z = ops.convert_to_tensor(y_pred)
        if len(z.shape) != axes + 2:
            raise ValueError(f"Predictions have {axes + 2} axes here, not {len(z.shape)}.")
        return ops.mean(values(y_true, z), axis=tuple(range(1, axes + 1)))

    return with_function(loss, f"of {axes + 2} axes", lambda: random_loss)


def of_probabilities(loss: RandomLoss) -> RandomLoss:
    """It takes the logarithm of its predictions first, and no more of the tails than they hold."""
    values, classes = function_of(loss), loss.kind in ("categorical", "sparse")

    def random_loss(y_true: Any, y_pred: Any) -> Any:
        p = ops.convert_to_tensor(y_pred)
        return values(y_true, ops.log(p) if classes else ops.log(p) - ops.log1p(-p))

    return with_function(
        loss, "of probabilities", lambda: random_loss, from_logits=False, due=OF_PROBABILITIES
    )
