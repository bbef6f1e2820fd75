"""Cross-entropy on logits: pure functions, and Keras classes around them.

No loss has a `from_logits` argument: all take logits, whose gradient no activation in between can lose. Every
function returns one value per example and reduces nothing. Half-precision logits are computed in float32.

`label_smoothing` is Keras' α: y ← y (1 − α) + α/K, with K = 2 for binary labels. It is one number, or a
tensor that broadcasts against the examples [...].

Labels and logits never broadcast against each other, which would pair every label with every logit.

Losses that say so take labels of classes both as rows [..., K] and as integers; the others, as their names
say, one of the two.

Keras finds these losses in a saved model once this package is imported.
"""

from crosscheck.losses._asymmetric import AsymmetricLoss, asymmetric_loss
from crosscheck.losses._asymmetric import require_asymmetric as require_asymmetric
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
from crosscheck.losses._imbalance import (
    ClassWeightedBinaryCrossentropy,
    ClassWeightedCrossentropy,
    LogitAdjustedBinaryCrossentropy,
    LogitAdjustedCrossentropy,
    class_weighted_binary_crossentropy,
    class_weighted_crossentropy,
    logit_adjusted_binary_crossentropy,
    logit_adjusted_crossentropy,
)
from crosscheck.losses._imbalance import as_pair as as_pair
from crosscheck.losses._imbalance import as_priors as as_priors
from crosscheck.losses._imbalance import as_weights as as_weights
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
from crosscheck.losses._noise import (
    ForwardCorrectedBinaryCrossentropy,
    ForwardCorrectedCrossentropy,
    GeneralisedBinaryCrossentropy,
    GeneralisedCrossentropy,
    forward_corrected_binary_crossentropy,
    forward_corrected_crossentropy,
    generalised_binary_crossentropy,
    generalised_crossentropy,
)
from crosscheck.losses._noise import as_flips as as_flips
from crosscheck.losses._shared import LogitLoss, LossOfLogits
from crosscheck.losses._shared import computed as computed
from crosscheck.losses._shared import label_losses as label_losses
from crosscheck.losses._shared import mean_over_labels as mean_over_labels
from crosscheck.losses._tree import HierarchicalCrossentropy, hierarchical_crossentropy, node_logits

# The names imported `as` themselves serve other rooms of this project; the ones below are for everybody.
__all__ = [
    "AsymmetricLoss",
    "BinaryCrossentropy",
    "Brier",
    "CategoricalBrier",
    "CategoricalCrossentropy",
    "ClassWeightedBinaryCrossentropy",
    "ClassWeightedCrossentropy",
    "EnergyMarginCrossentropy",
    "ForwardCorrectedBinaryCrossentropy",
    "ForwardCorrectedCrossentropy",
    "GeneralisedBinaryCrossentropy",
    "GeneralisedCrossentropy",
    "HierarchicalCrossentropy",
    "JointCrossentropy",
    "LogitAdjustedBinaryCrossentropy",
    "LogitAdjustedCrossentropy",
    "LogitLoss",
    "LossOfLogits",
    "OutlierExposureCrossentropy",
    "SparseCategoricalCrossentropy",
    "asymmetric_loss",
    "binary_crossentropy",
    "brier",
    "categorical_brier",
    "categorical_crossentropy",
    "class_weighted_binary_crossentropy",
    "class_weighted_crossentropy",
    "energy",
    "energy_margin",
    "energy_margin_crossentropy",
    "energy_margins",
    "forward_corrected_binary_crossentropy",
    "forward_corrected_crossentropy",
    "generalised_binary_crossentropy",
    "generalised_crossentropy",
    "hierarchical_crossentropy",
    "joint_crossentropy",
    "joint_probabilities",
    "logit_adjusted_binary_crossentropy",
    "logit_adjusted_crossentropy",
    "marginal_logits",
    "marginals",
    "most_likely",
    "node_logits",
    "outlier_exposure_crossentropy",
    "role_weights",
    "sparse_categorical_crossentropy",
    "zero_one",
]
