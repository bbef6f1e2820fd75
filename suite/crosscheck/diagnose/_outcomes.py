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
OTHERS = (  # in the order in which they are given up for want of time
    STANDARDISED,
    Arm("a tenth of the learning rate", 0.1),
    Arm("ten times the learning rate", 10.0),
    Arm("a hundredth of the learning rate", 0.01),
    Arm("a hundred times the learning rate", 100.0),
    Arm("a thousand times the learning rate", 1000.0),
)
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
    outputs: np.ndarray
    initial_outputs: np.ndarray
    weights: list[np.ndarray]

    @property
    def fails(self) -> np.ndarray:
        """Under which seeds it has not come half of the way from the prior to fitting its rows, [S].

        By the loss and, where decisions are made, by their errors as well.
        """
        lost = ~(self.loss <= HALF * self.prior_loss)
        return lost & (np.isnan(self.error) | (self.error > HALF * self.prior_error))

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
        """Under which seeds this one fails and another setting learns, [S].

        It is better by half of the way on the rows trained on; and by a quarter of the way on held-out rows,
        in decisions where there are any, for to learn noise by heart is no merit.
        """
        nearer = other.loss <= self.loss - HALF * self.prior_loss
        return self.fails & nearer & self.is_surpassed_on_held_out_rows(other)

    def is_surpassed_on_held_out_rows(self, other: Outcome) -> np.ndarray:
        """Under which seeds another setting is better by a quarter of the way on held-out rows, [S]."""
        by_loss = other.held_out_loss <= self.held_out_loss - QUARTER * self.prior_loss
        by_error = other.held_out_error <= self.held_out_error - QUARTER * self.prior_error
        return np.where(np.isnan(self.error), by_loss, by_error)


def reached(outcome: Outcome) -> str:
    """Returns the loss across seeds, and how many decisions are wrong, in words."""
    wrong = "" if np.isnan(outcome.error).any() else f", {np.median(outcome.error):.0%} wrong"
    return across(outcome.loss) + wrong
