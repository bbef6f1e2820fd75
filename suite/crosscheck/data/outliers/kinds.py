"""Kinds of outliers: noise, and images spoilt in one way each, made from images by a random generator.

Images are rows of pixels in [0, 1], float [N, D], with D the product of `shape` (height, width, channels).
Every maker returns N images of its kind, float32 [N, D], pixels in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Maker = Callable[[np.random.Generator, np.ndarray, tuple[int, ...]], np.ndarray]
PATCHES = 4  # a side


def uniform_noise(rng: np.random.Generator, x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Pixels uniform on [0, 1], each on its own."""
    return rng.random(x.shape, dtype=np.float32)


def gaussian_noise(rng: np.random.Generator, x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Pixels normal with the mean and standard deviation of all of the images' pixels, cut to [0, 1]."""
    return clipped(rng.normal(x.mean(), x.std(), x.shape))


def pixels_shuffled(rng: np.random.Generator, x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The pixels of each image in a random order of its own."""
    return clipped(rng.permuted(x, axis=1))


def patches_shuffled(rng: np.random.Generator, x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """4 × 4 patches of each image in a random order of its own; inside a patch all stays.

    Raises:
        ValueError: if height or width is no multiple of 4.
    """
    height, width, channels = shape
    if height % PATCHES or width % PATCHES:
        raise ValueError(f"Images of {height} × {width} do not divide into {PATCHES} × {PATCHES} patches.")
    cut = (len(x), PATCHES, height // PATCHES, PATCHES, width // PATCHES, channels)
    patches = x.reshape(cut).swapaxes(2, 3)  # [N, 4, 4, h, w, c]
    order = rng.permuted(np.tile(np.arange(PATCHES**2), (len(x), 1)), axis=1)
    flat = patches.reshape(len(x), PATCHES**2, -1)
    moved = np.take_along_axis(flat, order[..., None], axis=1).reshape(patches.shape)
    return clipped(moved.swapaxes(2, 3).reshape(x.shape))


def rotated(rng: np.random.Generator, x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Each image by a quarter turn, left or right. Some shapes, such as a 0, look the same afterwards.

    Raises:
        ValueError: if height and width differ.
    """
    if shape[0] != shape[1]:
        raise ValueError(f"A quarter turn needs square images, not {shape[0]} × {shape[1]}.")
    images = x.reshape(-1, *shape)
    left = rng.random((len(x), 1, 1, 1)) < 0.5
    turned = np.where(left, np.rot90(images, axes=(1, 2)), np.rot90(images, -1, axes=(1, 2)))
    return clipped(turned.reshape(x.shape))


def mirrored(rng: np.random.Generator, x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Left and right exchanged; nothing is random."""
    return clipped(x.reshape(-1, *shape)[:, :, ::-1].reshape(x.shape))


def inverted(rng: np.random.Generator, x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """1 − x; nothing is random."""
    return clipped(1 - x)


def blurred(rng: np.random.Generator, x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The mean over 3 × 3 pixels, twice, the edge repeated; nothing is random."""
    images = x.reshape(-1, *shape)
    for _ in range(2):
        images = box_mean(images)
    return clipped(images.reshape(x.shape))


def box_mean(images: np.ndarray) -> np.ndarray:
    """Mean over 3 × 3 pixels: [N, h, w, c]."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    height, width = images.shape[1:3]
    shifted = [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return np.mean(shifted, axis=0)


def pooled(x: np.ndarray, shape: tuple[int, ...], side: int = 2) -> np.ndarray:
    """The mean over blocks of `side` × `side` pixels: float32 [N, D / side²].

    Raises:
        ValueError: if height or width is no multiple of `side`.
    """
    height, width, channels = shape
    if height % side or width % side:
        raise ValueError(f"Images of {height} × {width} do not divide into blocks of {side} × {side}.")
    blocks = x.reshape(len(x), height // side, side, width // side, side, channels)
    return blocks.mean((2, 4)).reshape(len(x), -1).astype(np.float32)


def clipped(x: np.ndarray) -> np.ndarray:
    """The pixels cut to [0, 1], float32."""
    return np.clip(x, 0, 1).astype(np.float32)


MAKERS: dict[str, Maker] = {
    "uniform noise": uniform_noise,
    "gaussian noise": gaussian_noise,
    "pixels shuffled": pixels_shuffled,
    "patches shuffled": patches_shuffled,
    "rotated": rotated,
    "mirrored": mirrored,
    "inverted": inverted,
    "blurred": blurred,
}
# Kinds of one family are not disjoint: who has trained on one has seen the other.
FAMILIES = {
    "uniform noise": "noise",
    "gaussian noise": "noise",
    "pixels shuffled": "shuffled",
    "patches shuffled": "shuffled",
    "rotated": "turned",
    "mirrored": "turned",
    "inverted": "inverted",
    "blurred": "blurred",
}


def make_outliers(kind: str, seed: int, x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Outliers of a kind by name, from images [N, D] of a shape and a seed: float32 [N, D].

    Raises:
        KeyError: for a kind that is not among `MAKERS`.
        ValueError: for a shape that the maker cannot take.
    """
    return MAKERS[kind](np.random.default_rng([seed, list(MAKERS).index(kind)]), x, shape)
