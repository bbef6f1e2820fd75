"""Data: real sets by name, seeded generators whose posterior is known, outliers of many kinds.

`load` reads a set of the `CATALOGUE`; the digits are always there, `prepare` fetches the others through
TensorFlow Datasets. `random_splits`, `standardised` and their like take arrays, whoever made them.
"""

from crosscheck.data.catalogue import Dataset, data_dir, identity, load, prepare, prepared
from crosscheck.data.entries import CATALOGUE, CIFAR10N_LABELS, lookup
from crosscheck.data.features import principal_components, standardised
from crosscheck.data.outliers import (
    CASTS,
    FAMILIES,
    MAKERS,
    PHOTOGRAPHS,
    Cast,
    Photographs,
    Roles,
    family,
    make_outliers,
    photographs,
    photographs_read,
    roles,
)
from crosscheck.data.preparing.entry import Entry
from crosscheck.data.preparing.forms import Classes, Label, Labels, Numbers, Pixels, Shares, Unlabelled, Words
from crosscheck.data.splits import Splits, averaged, random_splits
from crosscheck.data.synthetic import (
    CommonCause,
    GaussianMixture,
    first_feature_nodes,
    hinge_slope,
    logistic,
    overlapping,
    reliability,
    samples,
    separable,
    separator_norm,
    worth,
)

__all__ = [
    "CASTS",
    "CATALOGUE",
    "CIFAR10N_LABELS",
    "FAMILIES",
    "MAKERS",
    "PHOTOGRAPHS",
    "Cast",
    "Classes",
    "CommonCause",
    "Dataset",
    "Entry",
    "GaussianMixture",
    "Label",
    "Labels",
    "Numbers",
    "Photographs",
    "Pixels",
    "Roles",
    "Shares",
    "Splits",
    "Unlabelled",
    "Words",
    "averaged",
    "data_dir",
    "family",
    "first_feature_nodes",
    "hinge_slope",
    "identity",
    "load",
    "logistic",
    "lookup",
    "make_outliers",
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
