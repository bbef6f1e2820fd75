"""A random loss, sound or broken in one place, with what it claims to be; and what it is drawn with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import numpy as np

from crosscheck.audit.contract import Kind, Subject
from crosscheck.audit.form import with_form
from crosscheck.audit.subjects import Told, infer_subject
from crosscheck.audit.theories import LossTheory

T = TypeVar("T")


class Choices(Protocol):
    """A source of random choices: NumPy for measuring, hypothesis for tests, which then shrinks them."""

    def one_of(self, options: Sequence[T]) -> T:
        """One of them."""

    def number(self, low: float, high: float) -> float:
        """Between the two."""


@dataclass(frozen=True)
class NumpyChoices:
    """Draws by NumPy."""

    generator: np.random.Generator

    def one_of(self, options: Sequence[T]) -> T:
        return options[int(self.generator.integers(len(options)))]

    def number(self, low: float, high: float) -> float:
        return float(np.round(self.generator.uniform(low, high), 3))


@dataclass(frozen=True)
class OneValue:
    """Always the same value, for a fault with parameters of one's own choice."""

    value: Any

    def one_of(self, options: Sequence[Any]) -> Any:
        return self.value

    def number(self, low: float, high: float) -> Any:
        return self.value


@dataclass(frozen=True)
class RandomLoss:
    """A random loss.

    Attributes:
        about: its recipe, in words.
        make: as `Subject.make`.
        kind: of its labels.
        theory: what it claims to be.
        is_class: a `keras.losses.Loss`, or a function.
        fault, check: of a broken one what is wrong, and the check that is named for it; else "".
        from_logits: whether it takes logits, or probabilities.
        due: the checks that every loss of its form fails, with reason.
    """

    about: str
    make: Callable[..., Any]
    kind: Kind
    theory: LossTheory
    is_class: bool
    fault: str = ""
    check: str = ""
    from_logits: bool = True
    due: frozenset[str] = frozenset()

    def subject(self, claim_told: bool) -> Subject:
        """The subject of an audit, with its claim told or left to be recognised."""
        subject = Subject(self.about, self.make, self.kind, self.from_logits, None, is_class=self.is_class)
        if not claim_told:
            return infer_subject(subject, Told(self.kind))
        formed = with_form(subject)
        return replace(formed, theory="its own formula", own_theory=self.theory, told=True)

    def broken(self, fault: str, check: str, make: Callable[..., Any] | None = None) -> RandomLoss:
        """The same claim, with a fault that is told in words, its parameters in parentheses."""
        return replace(
            self,
            about=f"{self.about}; broken: {fault}",
            make=make or self.make,
            fault=fault.split(" (")[0],
            check=check,
        )
