"""Labels of CIFAR-10's images by people, or made up, beside the right ones."""

from __future__ import annotations

import numpy as np

from crosscheck import data
from crosscheck.lab import noise

BY_PEOPLE = {
    "most of three": "aggre_label",
    "the worst of three": "worse_label",
    "one person": "random_label1",
    "another person": "random_label2",
}
BY_CHANCE, AS_OFTEN_WRONG = "by chance", "wrong as often as the worst"
ARMS = (*BY_PEOPLE, BY_CHANCE, AS_OFTEN_WRONG)
DRAWN = 0.8  # the share of labels that are drawn at random where labels are `BY_CHANCE`
CLASSES = 10


def labelled(y: np.ndarray, arm: str, seed: int) -> np.ndarray:
    """The labels [N] that an arm trains on, of the columns `data.CIFAR10N_LABELS` of y [N, J].

    What is made up is drawn from the right labels, every wrong class alike.
    """
    column = {name: y[:, data.CIFAR10N_LABELS.index(label)] for name, label in BY_PEOPLE.items()}
    if arm in column:
        return column[arm]
    right = y[:, 0]
    as_often = float((column["the worst of three"] != right).mean())
    share = DRAWN * (CLASSES - 1) / CLASSES if arm == BY_CHANCE else as_often
    return noise.relabelled(right, noise.uniform(CLASSES, share), np.random.default_rng([seed, 5]))


def wrong_shares(name: str, seed: int) -> dict[str, float]:
    """Of each arm the share of the labels trained on that are not the right ones.

    Raises:
        UsageError: the set is not prepared.
    """
    y = data.load(name).y_train
    return {arm: float((labelled(y, arm, seed) != y[:, 0]).mean()) for arm in ARMS}
