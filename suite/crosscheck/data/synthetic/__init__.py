"""Seeded generators whose posterior is known exactly, and what linear scores are worth on their data."""

from crosscheck.data.synthetic.generators import (
    CommonCause,
    GaussianMixture,
    logistic,
    overlapping,
    samples,
    separable,
    separator_norm,
)
from crosscheck.data.synthetic.linear_scores import (
    Worth,
    first_feature_nodes,
    hinge_slope,
    reliability,
    worth,
)

__all__ = [
    "CommonCause",
    "GaussianMixture",
    "Worth",
    "first_feature_nodes",
    "hinge_slope",
    "logistic",
    "overlapping",
    "reliability",
    "samples",
    "separable",
    "separator_norm",
    "worth",
]
