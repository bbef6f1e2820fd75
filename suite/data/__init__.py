"""Data: real sets by name (`catalogue`), and seeded generators whose posterior is known (`synthetic`)."""

from suite.data.catalogue import Dataset, data_dir, identity, load, prepare, prepared
from suite.data.entries import CATALOGUE, Entry, lookup
from suite.data.features import principal_components, standardised
from suite.data.synthetic import CommonCause, GaussianMixture, overlapping, separable

__all__ = [
    "CATALOGUE",
    "CommonCause",
    "Dataset",
    "Entry",
    "GaussianMixture",
    "data_dir",
    "identity",
    "load",
    "lookup",
    "overlapping",
    "prepare",
    "prepared",
    "principal_components",
    "separable",
    "standardised",
]
