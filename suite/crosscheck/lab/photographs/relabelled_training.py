"""Networks on CIFAR-10's images with labels by people, or made up, judged by the right ones."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from crosscheck import data
from crosscheck.data.outliers.colour import coloured
from crosscheck.lab.photographs import checkpoints, image_training, relabelling
from crosscheck.models.wide_resnet import wide_resnet

RATE, BATCH = 0.1, 128


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
            model = trained(x, relabelling.labelled(own.y_train, arm, seed), seed, folder, settings)
        return float((model.predict(x_test, batch_size=500, verbose=0).argmax(-1) == right).mean())

    return {arm: accuracy(arm) for arm in relabelling.ARMS}


def trained(x: np.ndarray, y: np.ndarray, seed: int, folder: Any, settings: dict[str, Any]) -> Any:
    """A wide residual network on images x, uint8 [N, 32, 32, 3], and labels y [N], resumed where it was."""
    depth, width, policy = settings["network"]
    keras.utils.set_random_seed(seed)
    model = wide_resnet(x.shape[1:], relabelling.CLASSES, depth, width, policy=policy)()
    phase = image_training.Phase(RATE, settings["epochs"], BATCH)
    return image_training.fit(model, phase, x, np.eye(relabelling.CLASSES, dtype="float32")[y], seed, folder)
