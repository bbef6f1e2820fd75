"""Metrics of probabilistic predictions: pure functions, and Keras classes around them.

The classes stream: their state has a fixed shape, so that batches give what the whole set gives, to rounding,
and `Replicates` can keep one for each replicate. They share these conventions:

- Predictions [..., 1] are binary, with labels [...] or [..., 1]; predictions [..., K] have integer labels
  [...] or [..., 1], or labels [..., K], one-hot or soft. Leading axes are examples, each with its weight and
  mask.
- Metrics of several labels, each of its own sigmoid, take labels of 0 and 1 in the shape of the predictions,
  [..., L]; they are `F1`, `SubsetAccuracy`, `PrecisionAtK`, `RecallAtK` and the kind "label_wise".
- `from_logits=False` is Keras' default. A prediction that is no distribution (entries in [0, 1] that sum to
  1, to 0.01) makes the result NaN, so that logits taken for probabilities show. So does a label that is no
  class.
- Before the first example, and where all weights are 0, the result is NaN.
"""

from crosscheck.metrics._base import beside as beside
from crosscheck.metrics._base import columns as columns
from crosscheck.metrics._base import frequencies as frequencies
from crosscheck.metrics._base import probabilities as probabilities
from crosscheck.metrics._base import reason_for_nan as reason_for_nan
from crosscheck.metrics._brier import BrierScore
from crosscheck.metrics._calibration import (
    ExpectedCalibrationError,
    Reliability,
    calibration_gap,
    expected_calibration_error,
)
from crosscheck.metrics._classes import BalancedAccuracy, MeanTreeDistance
from crosscheck.metrics._debiased import (
    SquaredCalibrationError,
    calibration_floor,
    squared_calibration_error,
    squared_calibration_gap,
)
from crosscheck.metrics._information import MutualInformationGap, mutual_information_gap
from crosscheck.metrics._labels import F1, PrecisionAtK, RecallAtK, SubsetAccuracy
from crosscheck.metrics._likelihood import NegativeLogLikelihood, negative_log_likelihood
from crosscheck.metrics._saturation import gradient_size, hardest_share, quiet_share

# The names imported `as` themselves serve other rooms of this project; the ones below are for everybody.
__all__ = [
    "F1",
    "BalancedAccuracy",
    "BrierScore",
    "ExpectedCalibrationError",
    "MeanTreeDistance",
    "MutualInformationGap",
    "NegativeLogLikelihood",
    "PrecisionAtK",
    "RecallAtK",
    "Reliability",
    "SquaredCalibrationError",
    "SubsetAccuracy",
    "calibration_floor",
    "calibration_gap",
    "expected_calibration_error",
    "gradient_size",
    "hardest_share",
    "mutual_information_gap",
    "negative_log_likelihood",
    "quiet_share",
    "squared_calibration_error",
    "squared_calibration_gap",
]
