"""Data: real sets by name (`catalogue`), seeded generators whose posterior is known (`synthetic`), outliers
of many kinds (`outliers`), and who plays which role in their detection (`roles`).

`linear` says what linear scores are worth on a generator's data.
"""

from crosscheck.data.catalogue import Dataset, data_dir, identity, load, prepare, prepared
from crosscheck.data.colour import PHOTOGRAPHS, Photographs, photographs, photographs_read
from crosscheck.data.entries import CATALOGUE, Entry, lookup
from crosscheck.data.features import principal_components, standardised
from crosscheck.data.linear import hinge_slope, line, reliability, worth
from crosscheck.data.outliers import FAMILIES, MAKERS, made
from crosscheck.data.roles import CASTS, Cast, Roles, family, roles
from crosscheck.data.splits import Splits, averaged, random_splits
from crosscheck.data.synthetic import (
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
