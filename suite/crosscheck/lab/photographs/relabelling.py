"""Networks on CIFAR-10's images with labels by people, or made up, judged by the right ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from crosscheck import data
from crosscheck.data.outliers.colour import coloured
from crosscheck.lab import noise
from crosscheck.lab.photographs import checkpoints, image_training
from crosscheck.models.wide_resnet import wide_resnet

BY_PEOPLE = {
    "most of three": "aggre_label",
    "the worst of three": "worse_label",
    "one person": "random_label1",
    "another person": "random_label2",
}
BY_CHANCE, AS_OFTEN_WRONG = "by chance", "wrong as often as the worst"
ARMS = (*BY_PEOPLE, BY_CHANCE, AS_OFTEN_WRONG)
DRAWN = 0.8  # the share of labels that are drawn at random where labels are `BY_CHANCE`
CLASSES, RATE, BATCH = 10, 0.1, 128


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


def accuracies(name: str, seed: int, depth: int, width: int, epochs: int, policy: str) -> dict[str, float]:
    """Of each arm the share of held-out images that its network takes for what they are.

    All arms of a seed begin with the same weights and see the same images in the same order.

    Raises:
        UsageError: the set is not prepared, or a checkpoint cannot be written.
    """
    own = data.load(name)
    x, x_test = (coloured(part, own.shape) for part in (own.x_train, own.x_test))
    settings = {"read": data.identity(name), "network": [depth, width, policy], "epochs": epochs}
    right = own.y_test[:, 0]

    def accuracy(arm: str) -> float:
        with checkpoints.place(arm=arm, seed=seed, **settings) as folder:
            model = trained(x, labelled(own.y_train, arm, seed), seed, folder, settings)
        return float((model.predict(x_test, batch_size=500, verbose=0).argmax(-1) == right).mean())

    return {arm: accuracy(arm) for arm in ARMS}


def trained(x: np.ndarray, y: np.ndarray, seed: int, folder: Any, settings: dict[str, Any]) -> Any:
    """A wide residual network on images x, uint8 [N, 32, 32, 3], and labels y [N], resumed where it was."""
    import keras

    depth, width, policy = settings["network"]
    keras.utils.set_random_seed(seed)
    model = wide_resnet(x.shape[1:], CLASSES, depth, width, policy=policy)()
    phase = image_training.Phase(RATE, settings["epochs"], BATCH)
    return image_training.fit(model, phase, x, np.eye(CLASSES, dtype="float32")[y], seed, folder)
