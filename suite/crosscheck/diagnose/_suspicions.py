"""What a statistical check hands over to be judged together with all others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crosscheck.diagnose._chance import sign_chance
from crosscheck.diagnose._findings import Finding


@dataclass(frozen=True)
class Suspicion:
    """A fault that training would show, with what each seed showed.

    Attributes:
        check: name of it.
        shown: whether a seed showed the fault in its stated size, beside its control, [A, S]: of A settings
            that were tried against it, any one would do.
        finding: the words, for a ✗; where it is ✓ or ?, `measured` alone is kept.
        limit: why it cannot be a ✗ in any case; "" where it can.
        chance, sound: in place of the sign tests' chances of a fault, and of health, where another exact test
            decides.
    """

    check: str
    shown: np.ndarray
    finding: Finding
    limit: str = ""
    chance: float | None = None
    sound: float | None = None

    @property
    def chance_of_fault(self) -> float:
        """The chance of seeds that show it so often, where it shows in half of all seeds at most."""
        if self.chance is not None:
            return self.chance
        settings, n = self.shown.shape
        return min(1.0, settings * min(sign_chance(int(shown.sum()), n) for shown in self.shown))

    def is_shown(self, level: float) -> bool:
        """Whether it is a fault at a level, and nothing keeps it from being one."""
        return not self.limit and self.chance_of_fault <= level

    @property
    def chance_of_health(self) -> float:
        """The chance of seeds that are free of it so often, where it shows in half of all seeds at least."""
        if self.sound is not None:
            return self.sound
        free = np.atleast_1d(~self.shown.any(0))
        return sign_chance(int(free.sum()), len(free))
