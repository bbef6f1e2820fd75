"""The old name of `crosscheck.lab.risk`, for as long as studies use it."""

from crosscheck.lab.risk import LOSSES, exact_excess, excess, expected_loss, minimiser

expected, law = expected_loss, exact_excess

__all__ = ["LOSSES", "exact_excess", "excess", "expected", "expected_loss", "law", "minimiser"]
