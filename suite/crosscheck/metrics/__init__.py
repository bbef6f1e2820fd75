"""Metrics of probabilistic predictions: pure functions, and thin Keras classes around them.

The classes stream: what they hold has a fixed shape, so that batches give what the whole gives, to rounding,
and `Replicates` can carry one of each replicate. Conventions they share:

- Predictions [..., 1] are binary, with labels [...] or [..., 1]; predictions [..., K] have integer labels
  [...] or [..., 1], or labels [..., K], one-hot or soft. Leading axes are examples, each with its weight and
  mask.
- `from_logits=False` is Keras' default. What is no distribution (entries in [0, 1] that sum to 1, to 0.01)
  makes the result NaN: logits taken for probabilities do not pass for a number. So does a label that is no
  class.
- Before the first example, and where all weights are 0, the result is NaN.
"""

from crosscheck.metrics.base import ProbabilityMetric, StreamingMetric
from crosscheck.metrics.brier import BrierScore
from crosscheck.metrics.calibration import (
    ExpectedCalibrationError,
    Reliability,
    calibration_gap,
    expected_calibration_error,
)
from crosscheck.metrics.information import MutualInformationGap, mutual_information_gap
from crosscheck.metrics.likelihood import NegativeLogLikelihood, negative_log_likelihood
from crosscheck.metrics.saturation import gradient_size, hardest_share, quiet_share

__all__ = [
    "BrierScore",
    "ExpectedCalibrationError",
    "MutualInformationGap",
    "NegativeLogLikelihood",
    "ProbabilityMetric",
    "Reliability",
    "StreamingMetric",
    "calibration_gap",
    "expected_calibration_error",
    "gradient_size",
    "hardest_share",
    "mutual_information_gap",
    "negative_log_likelihood",
    "quiet_share",
]
