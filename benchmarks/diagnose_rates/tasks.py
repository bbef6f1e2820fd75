"""Random data that can be learned, in the shapes of real ones, each with the score that a good model reaches.

Of the synthetic classes the distribution is known, so that this score is the accuracy of Bayes' rule on the
held-out rows; elsewhere it is stated.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import log_softmax

from crosscheck.data import load

Array = np.ndarray
Kind = Literal["classes", "labels", "values"]
Form = Literal["numbers", "tokens", "signal", "image"]
HELD_OUT = 300  # rows that no program sees
SHARE = 0.7  # of the way from a constant prediction to a good model, which a healthy program goes
PAD = -1  # the class of positions that are padding


@dataclass(frozen=True, eq=False)
class Target:
    """What is to be predicted.

    Attributes:
        kind: one of K classes, an int a row (or a position); L labels of 0 and 1; or values.
        y: [N], [N, T] or [N, H, W] for classes, [N, L] for labels, [N, …] for values; held-out rows are last.
        classes: K or L; 1 for values.
        reachable: the share of right answers, or R², that a good model reaches on the held-out rows.
    """

    kind: Kind
    y: Array
    classes: int
    reachable: float

    @property
    def constant(self) -> float:
        """The score of the best constant prediction on the held-out rows."""
        y = self.y[-HELD_OUT:]
        if self.kind == "values":
            return 0.0
        if self.kind == "labels":
            return float(np.mean(np.maximum(y.mean(0), 1 - y.mean(0))))
        return float(np.bincount(y[y != PAD].ravel()).max() / (y != PAD).sum())

    @property
    def goal(self) -> float:
        """The score from which on a program counts as healthy."""
        return self.constant + SHARE * (self.reachable - self.constant)


@dataclass(frozen=True, eq=False)
class Task:
    """Inputs, their forms, and the targets; the last `HELD_OUT` rows are for judging.

    Attributes:
        name: in words.
        x: one array an input.
        forms: of each input.
        targets: one an output.
        words: how many tokens there are; 0 without tokens.
    """

    name: str
    x: tuple[Array, ...]
    forms: tuple[Form, ...]
    targets: tuple[Target, ...]
    words: int = 0

    @property
    def rows(self) -> int:
        """That a program trains on."""
        return len(self.x[0]) - HELD_OUT


def classes_of(log_likelihood: Array, y: Array, prior: Array | None = None) -> Target:
    """The target of known log-likelihoods, [N, K]: Bayes' rule says what can be reached."""
    if prior is not None:
        log_likelihood = log_likelihood + np.log(prior)
    right = log_likelihood[-HELD_OUT:].argmax(1) == y[-HELD_OUT:]
    return Target("classes", y.astype("int64"), log_likelihood.shape[1], float(right.mean()))


def around(rng: np.random.Generator, y: Array, centres: Array) -> tuple[Array, Array]:
    """Rows around the centre of their class, with unit noise, and their log-likelihoods [N, K]."""
    x = centres[y] + rng.normal(size=(len(y), *centres.shape[1:]))
    distances = [((x - centre) ** 2).reshape(len(x), -1).sum(1) for centre in centres]
    return x, -np.stack(distances, 1) / 2


def row_count(rng: np.random.Generator) -> int:
    return int(rng.integers(250, 900))


def drawn_classes(rng: np.random.Generator, n: int, k: int, prior: Array | None = None) -> Array:
    """Classes of n rows for training and the held-out ones; every class occurs in training."""
    y = rng.choice(k, size=n + HELD_OUT, p=prior)
    y[: 2 * k] = np.tile(np.arange(k), 2)
    y[:n] = rng.permutation(y[:n])
    return y


# --- rows of numbers ---------------------------------------------------------------------------------------


def gaussian(rng: np.random.Generator) -> Task:
    k, d = int(rng.integers(2, 21)), int(rng.integers(6, 33))
    n = max(row_count(rng), 30 * k)
    y = drawn_classes(rng, n, k)
    x, fit = around(rng, y, rng.normal(size=(k, d)) * rng.uniform(1.2, 2.0))
    return Task(f"{k} Gaussian classes", (x.astype("float32"),), ("numbers",), (classes_of(fit, y),))


def two_classes(rng: np.random.Generator) -> Task:
    d, n = int(rng.integers(4, 25)), row_count(rng)
    y = drawn_classes(rng, n, 2)
    x, fit = around(rng, y, rng.normal(size=(2, d)) * rng.uniform(1.0, 1.6))
    return Task("two Gaussian classes", (x.astype("float32"),), ("numbers",), (classes_of(fit, y),))


def unscaled(rng: np.random.Generator) -> Task:
    """Columns in the units of a spreadsheet: each with its own scale and origin."""
    task = gaussian(rng) if rng.random() < 0.5 else two_classes(rng)
    d = task.x[0].shape[1]
    scale, origin = 10 ** rng.uniform(-0.5, 1.2, d), rng.normal(size=d) * 5
    x = (task.x[0] * scale + origin).astype(str(rng.choice(["float32", "float64"])))
    return Task(f"{task.name}, unscaled", (x,), task.forms, task.targets)


def imbalanced(rng: np.random.Generator) -> Task:
    k, d, n = int(rng.integers(2, 5)), int(rng.integers(6, 21)), int(rng.integers(500, 1000))
    rare = rng.uniform(0.06, 0.15, k - 1)
    prior = np.array([1 - rare.sum(), *rare])
    y = drawn_classes(rng, n, k, prior)
    x, fit = around(rng, y, rng.normal(size=(k, d)) * 2)
    name = f"{k} classes, {prior[0]:.0%} of them one"
    return Task(name, (x.astype("float32"),), ("numbers",), (classes_of(fit, y, prior),))


def tiny(rng: np.random.Generator) -> Task:
    k, d, n = int(rng.integers(2, 4)), int(rng.integers(3, 9)), int(rng.integers(24, 61))
    y = drawn_classes(rng, n, k)
    x, fit = around(rng, y, rng.normal(size=(k, d)) * 3)
    return Task(f"{n} rows of {k} classes", (x.astype("float32"),), ("numbers",), (classes_of(fit, y),))


def multi_label(rng: np.random.Generator) -> Task:
    """Half-spaces, a twentieth of the labels flipped."""
    d, labels, n = int(rng.integers(6, 17)), int(rng.integers(2, 7)), row_count(rng)
    x = rng.normal(size=(n + HELD_OUT, d))
    y = x @ rng.normal(size=(d, labels)) + rng.normal(size=labels) > 0
    y = np.where(rng.random(y.shape) < 0.05, ~y, y).astype("float32")
    target = Target("labels", y, labels, 0.95)
    return Task(f"{labels} labels", (x.astype("float32"),), ("numbers",), (target,))


def regression(rng: np.random.Generator) -> Task:
    d, n = int(rng.integers(3, 13)), row_count(rng)
    x = rng.normal(size=(n + HELD_OUT, d))
    direction = x @ rng.normal(size=d) / np.sqrt(d)
    y = direction + 0.5 * np.tanh(direction) + 0.2 * rng.normal(size=len(x))
    y = (y * rng.uniform(0.5, 3) + rng.normal())[:, None].astype("float32")
    return Task("regression", (x.astype("float32"),), ("numbers",), (Target("values", y, 1, 0.9),))


# --- digits ------------------------------------------------------------------------------------------------


@functools.cache
def digits() -> tuple[Array, Array]:
    found = load("digits")
    return np.concatenate([found.x_train, found.x_test]), np.concatenate([found.y_train, found.y_test])


def some_digits(rng: np.random.Generator) -> tuple[Array, Array]:
    """x in [0, 1], [N, 64], and classes."""
    x, y = digits()
    rows = rng.permutation(len(x))[: int(rng.integers(500, 1100)) + HELD_OUT]
    return x[rows], y[rows].astype("int64")


def flat_digits(rng: np.random.Generator) -> Task:
    x, y = some_digits(rng)
    return Task("digits", (x,), ("numbers",), (Target("classes", y, 10, 0.93),))


def pictured_digits(rng: np.random.Generator) -> Task:
    x, y = some_digits(rng)
    pixels, word = as_pixels(rng, x.reshape(-1, 8, 8, 1))
    return Task(f"digits, {word}", (pixels,), ("image",), (Target("classes", y, 10, 0.93),))


def autoencoder(rng: np.random.Generator) -> Task:
    x, _ = some_digits(rng)
    return Task("digits to themselves", (x,), ("numbers",), (Target("values", x, 64, 0.8),))


def as_pixels(rng: np.random.Generator, x: Array) -> tuple[Array, str]:
    """Pixels in [0, 1] as they are, or as files have them."""
    form = str(rng.choice(["0…1", "0…255", "uint8"]))
    if form == "0…1":
        return x.astype("float32"), form
    return np.round(255 * x).astype("uint8" if form == "uint8" else "float32"), form


# --- images, signals, texts --------------------------------------------------------------------------------


def pictures(rng: np.random.Generator) -> Task:
    k, side, n = int(rng.integers(2, 9)), int(rng.integers(8, 15)), row_count(rng)
    channels = int(rng.choice([1, 3]))
    y = drawn_classes(rng, n, k)
    blocks = rng.normal(size=(k, 4, 4, channels)) * rng.uniform(0.7, 1.2)
    centres = np.repeat(np.repeat(blocks, 4, 1), 4, 2)[:, :side, :side]
    x, fit = around(rng, y, centres)
    pixels, word = as_pixels(rng, np.clip(0.5 + x / 8, 0, 1))
    return Task(f"{k} kinds of pictures, {word}", (pixels,), ("image",), (classes_of(fit, y),))


def signals(rng: np.random.Generator) -> Task:
    """Waves of a frequency a class, of random phase, in noise."""
    k, t, n = int(rng.integers(2, 5)), int(rng.integers(24, 41)), row_count(rng)
    y = drawn_classes(rng, n, k)
    time, phase = np.arange(t), rng.uniform(0, 2 * np.pi, (len(y), 1))
    x = np.sin(2 * np.pi * (0.04 + 0.08 * y[:, None]) * time + phase) + 0.3 * rng.normal(size=(len(y), t))
    return Task(
        f"{k} waves", (x[..., None].astype("float32"),), ("signal",), (Target("classes", y, k, 0.95),)
    )


def word_counts(rng: np.random.Generator, y: Array, k: int, words: int, t: int) -> tuple[Array, Array]:
    """Texts of up to t words, 0 behind their end, and their log-likelihoods [N, K]."""
    log_p = log_softmax(rng.normal(size=(k, words - 1)) * 1.2, axis=1)
    texts = np.stack([1 + rng.choice(words - 1, size=t, p=np.exp(log_p[c])) for c in y])
    texts[np.arange(t) >= rng.integers(t // 2, t + 1, len(y))[:, None]] = 0
    known = np.concatenate([np.zeros((k, 1)), log_p], 1)
    return texts.astype("int32"), known[:, texts].sum(-1).T


def texts(rng: np.random.Generator) -> Task:
    k, words, t = int(rng.integers(2, 7)), int(rng.integers(40, 200)), int(rng.integers(10, 31))
    y = drawn_classes(rng, row_count(rng), k)
    x, fit = word_counts(rng, y, k, words, t)
    return Task(f"{k} kinds of texts", (x,), ("tokens",), (classes_of(fit, y),), words)


def tags(rng: np.random.Generator) -> Task:
    """A class a word; behind the end of the text there is none."""
    k, words, t, n = (
        int(rng.integers(2, 6)),
        int(rng.integers(20, 60)),
        int(rng.integers(8, 17)),
        row_count(rng),
    )
    x, _ = word_counts(rng, np.zeros(n + HELD_OUT, int), 1, words, t)
    tag = rng.permutation(np.arange(words) % k)
    y = np.where(rng.random(x.shape) < 0.03, rng.integers(k, size=x.shape), tag[x])
    y = np.where(x == 0, PAD, y)
    return Task(f"{k} tags a word", (x,), ("tokens",), (Target("classes", y, k, 0.97),), words)


def segments(rng: np.random.Generator) -> Task:
    """A bright rectangle on noise; every pixel is in it or is not."""
    n, side = int(rng.integers(150, 300)) + HELD_OUT, 12
    low, size = rng.integers(0, 6, (n, 2)), rng.integers(4, 7, (n, 2))
    at = np.arange(side)
    inside = (at >= low[..., None]) & (at < (low + size)[..., None])
    y = (inside[:, 0, :, None] & inside[:, 1, None, :]).astype("int64")
    pixels, word = as_pixels(rng, np.clip(0.3 + 0.4 * y + 0.1 * rng.normal(size=y.shape), 0, 1)[..., None])
    return Task(f"rectangles, {word}", (pixels,), ("image",), (Target("classes", y, 2, 0.97),))


# --- several inputs, several outputs -----------------------------------------------------------------------


def two_inputs(rng: np.random.Generator) -> Task:
    k, words, t = int(rng.integers(2, 6)), int(rng.integers(40, 120)), int(rng.integers(6, 15))
    y = drawn_classes(rng, row_count(rng), k)
    numbers, fit = around(rng, y, rng.normal(size=(k, 8)))
    tokens, fit_of_words = word_counts(rng, y, k, words, t)
    x = (numbers.astype("float32"), tokens)
    return Task(
        f"{k} classes of numbers and text",
        x,
        ("numbers", "tokens"),
        (classes_of(fit + fit_of_words, y),),
        words,
    )


def two_outputs(rng: np.random.Generator) -> Task:
    """A class, and a value of the same row."""
    task = gaussian(rng)
    x = task.x[0]
    value = (x @ rng.normal(size=x.shape[1]) / np.sqrt(x.shape[1]) / 2)[:, None].astype("float32")
    return Task(
        f"{task.name} and a value", task.x, task.forms, (*task.targets, Target("values", value, 1, 0.9))
    )


TASKS: tuple[Callable[[np.random.Generator], Task], ...] = (
    gaussian,
    two_classes,
    unscaled,
    imbalanced,
    tiny,
    multi_label,
    regression,
    flat_digits,
    pictured_digits,
    autoencoder,
    pictures,
    signals,
    texts,
    tags,
    segments,
    two_inputs,
    two_outputs,
)
