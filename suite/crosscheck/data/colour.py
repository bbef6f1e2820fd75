"""Colour photographs in three roles that share no kind of data, for networks that take images as bytes.

Two casts. `cifar10` is the published one as far as its sets can be had: the published auxiliary set, 80
Million Tiny Images, was withdrawn in 2020, and LSUN-Crop, LSUN-Resize and iSUN are not among TFDS's sets in
that form. `cifar10_train` needs CIFAR-10's training images alone: six classes against the other four, noise
and grey sets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crosscheck.data.catalogue import Dataset, load
from crosscheck.data.entries import CATALOGUE, COLOUR
from crosscheck.data.outliers import made
from crosscheck.data.preparing.forms import resized
from crosscheck.data.roles import TEST, Cast

PHOTOGRAPHS: dict[str, Cast] = {
    "cifar10": Cast(
        classes=tuple(range(10)),
        auxiliary=("cifar100",),  # drawn, like CIFAR-10, from 80 Million Tiny Images; other classes
        mixed=("cifar100",),
        outliers=("dtd", "svhn_cropped", "places365_small"),
        reads=("cifar10", "cifar100", "dtd", "svhn_cropped", "places365_small"),
    ),
    "cifar10_train": Cast(
        classes=tuple(range(6)),
        auxiliary=("classes 6, 7",),
        mixed=("classes 6, 7",),
        outliers=("classes 8, 9", "gaussian noise", "mnist", "fashion_mnist"),
        reads=("cifar10_train", "mnist", "fashion_mnist"),
    ),
}


@dataclass(frozen=True, eq=False)
class Photographs:
    """Images are uint8 [N, 32, 32, 3], labels int [N] in 0…K−1; outliers are of one kind.

    Training examples and auxiliary outliers come from training splits; test examples and test outliers from
    test splits, or from classes that are trained on nowhere.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    auxiliary: np.ndarray
    outliers: np.ndarray


def photographs(name: str, kind: str, most: int) -> Photographs:
    """The examples of a cast, with its test outliers of a kind.

    Args:
        name: one of `PHOTOGRAPHS`.
        kind: one of its kinds of test outliers.
        most: examples of a role, at most.

    Raises:
        KeyError: for another name.
        ValueError: for a kind that the cast does not test on.
        UsageError: if a data set is not prepared.
    """
    cast, found = PHOTOGRAPHS[name], load(name)
    if kind not in cast.outliers:
        raise ValueError(f"{name} is tested on {', '.join(cast.outliers)}, not on {kind!r}.")
    inside = [np.isin(y, cast.classes) for y in (found.y_train, found.y_test)]
    x, x_test = (
        coloured(part[keep][:most], found.shape)
        for part, keep in zip((found.x_train, found.x_test), inside, strict=True)
    )
    y, y_test = found.y_train[inside[0]][:most], found.y_test[inside[1]][:most]
    auxiliary = np.concatenate([trained_on(each, found, most) for each in cast.mixed])
    return Photographs(x, y, x_test, y_test, auxiliary, tested_on(kind, found, x_test, most))


def photographs_read(name: str, kind: str = "") -> tuple[str, ...]:
    """The data sets that a cast needs: to train; with a kind, to be tested on it too."""
    wanted = (name, *PHOTOGRAPHS[name].mixed, kind)
    return tuple(each for each in wanted if each in CATALOGUE)


def trained_on(kind: str, found: Dataset, most: int) -> np.ndarray:
    if kind.startswith("classes"):
        return coloured(found.x_train[of_classes(kind, found.y_train)][:most], found.shape)
    other = load(kind)
    return coloured(other.x_train[:most], other.shape)


def tested_on(kind: str, found: Dataset, x_test: np.ndarray, most: int) -> np.ndarray:
    """Classes that are trained on nowhere come from both splits: the held-out one alone has few."""
    if kind.startswith("classes"):
        pairs = ((found.x_test, found.y_test), (found.x_train, found.y_train))
        both = np.concatenate([x[of_classes(kind, y)] for x, y in pairs])
        return coloured(both[:most], found.shape)
    if kind in CATALOGUE:
        other = load(kind)
        return coloured(other.x_test[:most], other.shape)
    flat = x_test.reshape(len(x_test), -1).astype("float32") / 255
    return coloured(made(kind, TEST, flat, COLOUR), COLOUR)


def of_classes(kind: str, y: np.ndarray) -> np.ndarray:
    return np.isin(y, [int(each) for each in kind.removeprefix("classes").split(",")])


def coloured(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Pixels in [0, 1], [N, D], as bytes; grey images three times over, other sizes brought to 32 × 32."""
    images = np.rint(255 * x).astype("uint8").reshape(-1, *shape)
    if images.shape[1:3] != COLOUR[:2]:
        images = np.stack([resized(image, COLOUR[0]) for image in images])
    return np.broadcast_to(images, (len(images), *COLOUR)).copy() if shape[-1] == 1 else images
