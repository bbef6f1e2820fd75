"""A random loss, sound or broken in one place, with what it claims to be; drawn by NumPy or by hypothesis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import numpy as np

from crosscheck.audit.contract import Kind, Subject
from crosscheck.audit.recognition import recognised
from crosscheck.audit.theories import Theory

T = TypeVar("T")


class Draw(Protocol):
    """A source of random choices: NumPy's for measuring, hypothesis' for tests, which then shrinks them."""

    def among(self, options: Sequence[T]) -> T:
        """One of them."""

    def number(self, low: float, high: float) -> float:
        """Between the two."""


@dataclass(frozen=True)
class Random:
    """Draws by NumPy."""

    generator: np.random.Generator

    def among(self, options: Sequence[T]) -> T:
        return options[int(self.generator.integers(len(options)))]

    def number(self, low: float, high: float) -> float:
        return float(np.round(self.generator.uniform(low, high), 3))


@dataclass(frozen=True)
class Made:
    """A random loss.

    Attributes:
        about: its recipe, in words.
        make: as `Subject.make`.
        kind: of its labels; all take logits.
        formula: what it claims to be.
        is_class: a `keras.losses.Loss`, or a function.
        fault, check: of a broken one what is wrong, and the check that is named for it; else "".
    """

    about: str
    make: Callable[..., Any]
    kind: Kind
    formula: Theory
    is_class: bool
    fault: str = ""
    check: str = ""

    def subject(self, told: bool) -> Subject:
        """With its claim told, or left to be recognised."""
        untold = Subject(self.about, self.make, self.kind, True, None, is_class=self.is_class)
        if not told:
            return recognised(untold)
        return replace(untold, theory="its own formula", formula=self.formula)

    def broken(self, fault: str, check: str, make: Callable[..., Any] | None = None) -> Made:
        """The same claim, with a fault that is told in words, its parameters in parentheses."""
        return replace(
            self,
            about=f"{self.about}; broken: {fault}",
            make=make or self.make,
            fault=fault.split(" (")[0],
            check=check,
        )
