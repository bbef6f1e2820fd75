"""Data: real sets by name (`catalogue`), seeded generators whose posterior is known (`synthetic`), outliers
of many kinds (`outliers`), and who plays which role in their detection (`roles`).

`linear` says what linear scores are worth on a generator's data.
"""

from suite.data.catalogue import Dataset, data_dir, identity, load, prepare, prepared
from suite.data.colour import PHOTOGRAPHS, Photographs, photographs, photographs_read
from suite.data.entries import CATALOGUE, Entry, lookup
from suite.data.features import principal_components, standardised
from suite.data.linear import hinge_slope, line, reliability, worth
from suite.data.outliers import FAMILIES, MAKERS, made
from suite.data.roles import CASTS, Cast, Roles, family, roles
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
    "CASTS",
    "CATALOGUE",
    "FAMILIES",
    "MAKERS",
    "PHOTOGRAPHS",
    "Cast",
    "CommonCause",
    "Dataset",
    "Entry",
    "GaussianMixture",
    "Photographs",
    "Roles",
    "Splits",
    "averaged",
    "data_dir",
    "family",
    "hinge_slope",
    "identity",
    "line",
    "load",
    "logistic",
    "lookup",
    "made",
    "overlapping",
    "photographs",
    "photographs_read",
    "prepare",
    "prepared",
    "principal_components",
    "random_splits",
    "reliability",
    "roles",
    "samples",
    "separable",
    "separator_norm",
    "standardised",
    "worth",
]
