"""The loss check: audits any Keras loss against exact theory, and against what people do with it.

`audit` runs all checks on a loss; `crosscheck.testing` does so inside pytest, `crosscheck audit` on the
command line.
"""

from crosscheck.audit.contract import Finding, LossCheck, Subject
from crosscheck.audit.scorecard import CHECKS, Scorecard, audit

__all__ = ["CHECKS", "Finding", "LossCheck", "Scorecard", "Subject", "audit"]
