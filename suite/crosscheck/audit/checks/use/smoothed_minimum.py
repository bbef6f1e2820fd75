"""What `label_smoothing` does where labels between 0 and 1 cannot be passed, by where the loss is least.

Of a proper loss, smoothed labels are the probabilities that it teaches: p = y (1 − K c) + c is stationary.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from crosscheck.audit.contract import Subject
from crosscheck.audit.probe import Probe, hard_labels
from crosscheck.audit.theories import over

STATIONARY = 1e-4  # of the largest gradient of a hard label there


def conventions(subject: Subject, alpha: float, constants: Mapping[str, float]) -> Sequence[str] | None:
    """The names of the constants c at which the smoothed loss is stationary; None where it cannot be told.

    That is where the loss is of labels that are not classes, or is not proper: then the share of each class
    is not where its mean over whole labels is least.
    """
    if over(subject.kind) != "classes" or subject.values != "one each":
        return None
    make = functools.partial(subject.make, label_smoothing=alpha)
    smoothed, plain = Probe(replace(subject, make=make)), Probe(subject)
    named = []
    for name, c in constants.items():
        labels = hard_labels(subject.kind)
        shares = labels * (1 - len(labels) * c) + c  # [K, K]
        if shares.min() <= 0:
            continue
        z, k = np.log(shares), len(labels)
        of_hard = plain(np.repeat(z, k, axis=0), np.tile(labels, (k, 1)), plain.precise).gradient
        of_hard = of_hard.reshape(k, k, k)  # at the shares of one label, for another, by each logit
        size = np.abs(of_hard).max()
        if not np.abs(np.einsum("ij,ijk->ik", shares, of_hard)).max() <= STATIONARY * size:
            return None
        if np.abs(smoothed(z, labels, smoothed.precise).gradient).max() <= STATIONARY * size:
            named.append(name)
    return named
