"""Settings of trials, and where they ended."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crosscheck.diagnose._words import across


@dataclass(frozen=True)
class Arm:
    """A setting: the program as it is, but for one factor.

    Attributes:
        name: in words.
        rate: what the learning rate is multiplied by.
        standardised: whether inputs are given mean 0 and standard deviation 1.
    """

    name: str
    rate: float = 1.0
    standardised: bool = False


AS_IT_IS = Arm("as it is")
STANDARDISED = Arm("standardised inputs", standardised=True)
TEN, HUNDRED = Arm("ten times the learning rate", 10.0), Arm("a hundred times the learning rate", 100.0)
THOUSAND = Arm("a thousand times the learning rate", 1000.0)
MYRIADS = Arm("a hundred thousand times the learning rate", 1e5)
TENTH, HUNDREDTH = Arm("a tenth of the learning rate", 0.1), Arm("a hundredth of the learning rate", 0.01)
# The last are given up first for want of time.
OTHERS = (STANDARDISED, TENTH, TEN, HUNDREDTH, HUNDRED, THOUSAND)
OTHERS_OF_STILL = (STANDARDISED, THOUSAND, HUNDRED, TEN, MYRIADS)  # no smaller step helps what hardly moves
STILL = 0.1  # change of an array of weights, of its own size, up to which it hardly moves
HALF, QUARTER = 0.5, 0.25  # of the way from the prior to a perfect fit


@dataclass(frozen=True)
class Outcome:
    """Where a setting ended, under each seed; in inference mode.

    Attributes:
        arm: the setting.
        loss, error: on the rows trained on, [S]: the compiled loss without penalties, and wrong decisions, in
            means by the weights that the program gives its rows or classes.
        held_out_loss, held_out_error: on other rows, [S].
        prior_loss, prior_error: of the best output that is the same for every row, on the rows trained on.
        moved: by how much the weights that moved most changed, of their own size, [S].
        outputs, initial_outputs: on the held-out rows after training and before it, [S, H, …, K].
        weights: of all seeds, [S, …] each, in the order of `model.variables`.
    """

    arm: Arm
    loss: np.ndarray
    error: np.ndarray
    held_out_loss: np.ndarray
    held_out_error: np.ndarray
    prior_loss: np.ndarray
    prior_error: np.ndarray
    moved: np.ndarray
    outputs: np.ndarray
    initial_outputs: np.ndarray
    weights: list[np.ndarray]

    @property
    def lags(self) -> np.ndarray:
        """Under which seeds its loss has not come half of the way from the prior to fitting its rows, [S]."""
        return ~(self.loss <= HALF * self.prior_loss)

    @property
    def fails(self) -> np.ndarray:
        """Under which seeds its decisions, where it makes any, have not come half of the way either, [S]."""
        return self.lags & (np.isnan(self.error) | (self.error > HALF * self.prior_error))

    @property
    def is_still(self) -> bool:
        """Whether under most seeds training hardly moved any weights."""
        return bool(np.median(self.moved) <= STILL)

    @property
    def is_lost_elsewhere(self) -> np.ndarray:
        """Under which seeds it has not come half of the way from the prior on held-out rows, [S].

        In decisions where there are any, else by the loss.
        """
        by_loss = ~(self.held_out_loss <= HALF * self.prior_loss)
        return np.where(np.isnan(self.held_out_error), by_loss, self.held_out_error > HALF * self.prior_error)

    @property
    def leaves_room(self) -> np.ndarray:
        """Under which seeds a perfect setting would surpass it on held-out rows, [S]."""
        by_loss = ~(self.held_out_loss < QUARTER * self.prior_loss)
        return np.where(
            np.isnan(self.held_out_error), by_loss, self.held_out_error >= QUARTER * self.prior_error
        )

    def rescued_by(self, other: Outcome) -> np.ndarray:
        """Under which seeds another setting learns what this one does not, [S].

        It is better by half of the way on the rows trained on, and no worse on held-out ones. There it is
        better by a quarter of the way under most seeds: to learn noise by heart is no merit.
        """
        nearer = other.loss <= or_infinite(self.loss) - HALF * self.prior_loss
        gain = self.gain_on_held_out_rows(other)
        return nearer & (gain >= 0) & bool(np.median(gain) >= QUARTER)

    def is_surpassed_on_held_out_rows(self, other: Outcome) -> np.ndarray:
        """Under which seeds another setting is better by a quarter of the way on held-out rows, [S]."""
        return self.gain_on_held_out_rows(other) >= QUARTER

    def gain_on_held_out_rows(self, other: Outcome) -> np.ndarray:
        """By how much of the way from the prior another setting is better on held-out rows, [S].

        In decisions where there are any, else in the loss.
        """
        by_loss = (or_infinite(self.held_out_loss) - other.held_out_loss) / self.prior_loss
        by_error = (self.held_out_error - other.held_out_error) / self.prior_error
        return np.where(np.isnan(self.error), by_loss, by_error)


def or_infinite(loss: np.ndarray) -> np.ndarray:
    """The loss, infinite where it is no number."""
    return np.where(np.isnan(loss), np.inf, loss)


def reached(outcome: Outcome) -> str:
    """Returns the loss across seeds, and how many decisions are wrong, in words."""
    wrong = "" if np.isnan(outcome.error).any() else f", {np.median(outcome.error):.0%} wrong"
    return across(outcome.loss) + wrong
