"""Cross-entropy on logits: pure functions, and thin Keras classes around them.

There is no `from_logits` argument: the logits are what keeps the gradient alive, so ours take nothing else.
Every function gives one value per example and reduces nothing. Half-precision logits are computed in float32.

Keras' convention for `label_smoothing` α: y ← y (1 − α) + α/K, with K = 2 for binary labels; α is one number,
or a tensor that broadcasts against the examples [...].

Labels and logits never broadcast against each other, which would pair every label with every logit.
"""

from crosscheck.losses.binary import BinaryCrossentropy, Brier, binary_crossentropy, binary_tensors, brier
from crosscheck.losses.categorical import (
    CategoricalBrier,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
    categorical_brier,
    categorical_crossentropy,
    sparse_categorical_crossentropy,
    zero_one,
)
from crosscheck.losses.energy import (
    EnergyMarginCrossentropy,
    OutlierExposureCrossentropy,
    energy,
    energy_margin,
    energy_margin_crossentropy,
    energy_margins,
    inlier_crossentropy,
    outlier_exposure_crossentropy,
    role_weights,
    uniform_crossentropy,
)
from crosscheck.losses.joint import (
    JointCrossentropy,
    joint_crossentropy,
    joint_probabilities,
    marginal_logits,
    marginals,
    most_likely,
    outcome_probabilities,
)
from crosscheck.losses.shared import (
    LogitLoss,
    both_sigmoids,
    computed,
    in_shape,
    mean_over_labels,
    sides,
    tensors,
)

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
    "binary_tensors",
    "both_sigmoids",
    "brier",
    "categorical_brier",
    "categorical_crossentropy",
    "computed",
    "energy",
    "energy_margin",
    "energy_margin_crossentropy",
    "energy_margins",
    "in_shape",
    "inlier_crossentropy",
    "joint_crossentropy",
    "joint_probabilities",
    "marginal_logits",
    "marginals",
    "mean_over_labels",
    "most_likely",
    "outcome_probabilities",
    "outlier_exposure_crossentropy",
    "role_weights",
    "sides",
    "sparse_categorical_crossentropy",
    "tensors",
    "uniform_crossentropy",
    "zero_one",
]
