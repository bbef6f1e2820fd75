"""Exact chances, and how they are shared: a sign test, a permutation test, and Holm's correction.

Nothing here takes the noise between seeds to have any shape. A sign test over n pairs asks whether more than
half of all seeds show an effect: where none does more often than not, all of n do so with a chance of at most
2^−n. So twelve seeds are the fewest with which one of ten checks that compares two settings can be decided at
1 % for the whole diagnosis (2 · 2^−12 = 0.0005, of 0.01 / 10 = 0.001). Of twenty, two may fall out of line:
the chance of 18 is 0.0002.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import special

LEVEL = 0.01  # chance that a healthy program gets any ✗ of all statistical checks, and that any ✓ is wrong
SEEDS = 12
MORE_SEEDS = 20  # where training is cheap


def sign_chance(hits: int, n: int) -> float:
    """Returns P(Binomial(n, ½) ≥ hits): the chance of so many where at most half of all seeds show it."""
    return float(special.bdtrc(hits - 1, n, 0.5)) if hits > 0 else 1.0


def is_decisive(shown: np.ndarray) -> bool:
    """Returns whether so many seeds [S] show an effect that one of ten checks could be decided by them."""
    return sign_chance(int(shown.sum()), len(shown)) <= LEVEL / 10


def permutation_chance(statistic: float, permuted: np.ndarray) -> float:
    """Returns the exact chance of a statistic so large among those of random permutations, [P].

    The one that was observed counts as a permutation, too: (1 + #{permuted ≥ observed}) / (1 + P).
    """
    return (1 + int(np.sum(permuted >= statistic))) / (1 + len(permuted))


def holm(chances: Sequence[float], level: float = LEVEL) -> list[bool]:
    """Returns which hypotheses are rejected so that any true one is with a chance of at most `level`.

    From the smallest chance on, the i-th of m is held against level / (m − i + 1); the first that is larger
    ends it (Holm 1979). No independence is asked of the tests.
    """
    rejected = [False] * len(chances)
    for step, i in enumerate(np.argsort(chances, kind="stable")):
        if chances[i] > level / (len(chances) - step):
            break
        rejected[i] = True
    return rejected
