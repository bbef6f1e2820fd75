"""Cross-entropy on logits: pure functions, and Keras classes around them.

No loss has a `from_logits` argument: all take logits, whose gradient no activation in between can lose. Every
function returns one value per example and reduces nothing. Half-precision logits are computed in float32.

`label_smoothing` is Keras' α: y ← y (1 − α) + α/K, with K = 2 for binary labels. It is one number, or a
tensor that broadcasts against the examples [...].

Labels and logits never broadcast against each other, which would pair every label with every logit.

Keras finds these losses in a saved model once this package is imported.
"""

from crosscheck.losses._binary import BinaryCrossentropy, Brier, binary_crossentropy, brier
from crosscheck.losses._binary import binary_tensors as binary_tensors
from crosscheck.losses._categorical import (
    CategoricalBrier,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
    categorical_brier,
    categorical_crossentropy,
    sparse_categorical_crossentropy,
    zero_one,
)
from crosscheck.losses._energy import (
    EnergyMarginCrossentropy,
    OutlierExposureCrossentropy,
    energy,
    energy_margin,
    energy_margin_crossentropy,
    energy_margins,
    outlier_exposure_crossentropy,
    role_weights,
)
from crosscheck.losses._energy import inlier_crossentropy as inlier_crossentropy
from crosscheck.losses._energy import uniform_crossentropy as uniform_crossentropy
from crosscheck.losses._joint import (
    JointCrossentropy,
    joint_crossentropy,
    joint_probabilities,
    marginal_logits,
    marginals,
    most_likely,
)
from crosscheck.losses._joint import outcome_probabilities as outcome_probabilities
from crosscheck.losses._joint import within_limit as within_limit
from crosscheck.losses._shared import LogitLoss
from crosscheck.losses._shared import computed as computed
from crosscheck.losses._shared import mean_over_labels as mean_over_labels

# The names imported `as` themselves serve other rooms of this project; the ones below are for everybody.
__all__ = [
    "BinaryCrossentropy",
    "Brier",
    "CategoricalBrier",
    "CategoricalCrossentropy",
    "EnergyMarginCrossentropy",
    "JointCrossentropy",
    "LogitLoss",
    "OutlierExposureCrossentropy",
    "SparseCategoricalCrossentropy",
    "binary_crossentropy",
    "brier",
    "categorical_brier",
    "categorical_crossentropy",
    "energy",
    "energy_margin",
    "energy_margin_crossentropy",
    "energy_margins",
    "joint_crossentropy",
    "joint_probabilities",
    "marginal_logits",
    "marginals",
    "most_likely",
    "outlier_exposure_crossentropy",
    "role_weights",
    "sparse_categorical_crossentropy",
    "zero_one",
]
