"""Data: real sets by name (`catalogue`), and seeded generators whose posterior is known (`synthetic`).

`linear` says what linear scores are worth on one of them.
"""

from suite.data.catalogue import (
    CATALOGUE,
    Dataset,
    Entry,
    data_dir,
    identity,
    load,
    lookup,
    prepare,
    prepared,
)
from suite.data.linear import hinge_slope, line, reliability, worth
from suite.data.synthetic import CommonCause, GaussianMixture, overlapping, samples, separable, separator_norm

__all__ = [
    "CATALOGUE",
    "CommonCause",
    "Dataset",
    "Entry",
    "GaussianMixture",
    "data_dir",
    "hinge_slope",
    "identity",
    "line",
    "load",
    "lookup",
    "overlapping",
    "prepare",
    "prepared",
    "reliability",
    "samples",
    "separable",
    "separator_norm",
    "worth",
]
