"""Data: real sets by name (`catalogue`), and seeded generators whose posterior is known (`synthetic`).

`linear` says what linear scores are worth on one of them.
"""

from suite.data.catalogue import Dataset, data_dir, identity, load, prepare, prepared
from suite.data.entries import CATALOGUE, Entry, lookup
from suite.data.features import principal_components, standardised
from suite.data.linear import hinge_slope, line, reliability, worth
from suite.data.splits import Splits, averaged, random_splits
from suite.data.synthetic import (
    CommonCause,
    GaussianMixture,
    logistic,
    overlapping,
    samples,
    separable,
    separator_norm,
)

__all__ = [
    "CATALOGUE",
    "CommonCause",
    "Dataset",
    "Entry",
    "GaussianMixture",
    "Splits",
    "averaged",
    "data_dir",
    "hinge_slope",
    "identity",
    "line",
    "load",
    "logistic",
    "lookup",
    "overlapping",
    "prepare",
    "prepared",
    "principal_components",
    "random_splits",
    "reliability",
    "samples",
    "separable",
    "separator_norm",
    "standardised",
    "worth",
]
