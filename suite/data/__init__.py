"""Data: real sets by name (`catalogue`), seeded generators whose posterior is known (`synthetic`), outliers
of many kinds (`outliers`), and who plays which role in their detection (`roles`)."""

from suite.data.catalogue import Dataset, data_dir, identity, load, prepare, prepared
from suite.data.entries import CATALOGUE, Entry, lookup
from suite.data.outliers import FAMILIES, MAKERS, made
from suite.data.roles import CASTS, Cast, Roles, family, roles
from suite.data.synthetic import CommonCause, GaussianMixture, overlapping, separable

__all__ = [
    "CASTS",
    "CATALOGUE",
    "FAMILIES",
    "MAKERS",
    "Cast",
    "CommonCause",
    "Dataset",
    "Entry",
    "GaussianMixture",
    "Roles",
    "data_dir",
    "family",
    "identity",
    "load",
    "lookup",
    "made",
    "overlapping",
    "prepare",
    "prepared",
    "roles",
    "separable",
]
