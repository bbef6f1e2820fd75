"""Three roles that never share a kind of data: in-distribution, auxiliary outliers, test outliers.

A detector that trained on outliers may be judged only on outliers of another kind. `CASTS` says who plays
what; `family` says which kinds are too alike to count as two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from crosscheck.data.catalogue import load
from crosscheck.data.entries import lookup
from crosscheck.data.outliers.kinds import FAMILIES, make_outliers, pooled

AUXILIARY, TEST, VALIDATION = 0, 1, 2  # seeds of what is made or drawn at random for each role
POOL = 1500  # auxiliary outliers of a kind, at most
HELD_BACK = 0.2  # of the in-distribution training examples, for setting margins: validation


@dataclass(frozen=True)
class Cast:
    """Who plays which role; kinds by name.

    Attributes:
        classes: the classes that are in distribution.
        auxiliary: kinds of outliers to train on; `mixed` are those that make up the standing mixture.
        outliers: kinds of outliers to test on.
        reads: the data sets it takes.
    """

    classes: tuple[int, ...]
    auxiliary: tuple[str, ...]
    mixed: tuple[str, ...]
    outliers: tuple[str, ...]
    reads: tuple[str, ...]

    def pairs(self) -> Iterator[tuple[str, str]]:
        """(auxiliary, test) kinds of different families: the only ones on which a detector may be judged."""
        return ((a, t) for a in self.auxiliary for t in self.outliers if family(a) != family(t))


TESTED_ON = ("gaussian noise", "rotated", "inverted")
TRAINED_ON = ("uniform noise", "patches shuffled")
CASTS: dict[str, Cast] = {
    "digits": Cast(
        classes=tuple(range(6)),
        auxiliary=(*TRAINED_ON, "classes 6, 7"),
        mixed=("patches shuffled", "classes 6, 7"),
        outliers=("classes 8, 9", *TESTED_ON),
        reads=("digits",),
    ),
    "mnist": Cast(
        classes=tuple(range(10)),
        auxiliary=(*TRAINED_ON, "fashion_mnist"),
        mixed=TRAINED_ON,
        outliers=("fashion_mnist", *TESTED_ON),
        reads=("mnist", "fashion_mnist"),
    ),
    "fashion_mnist": Cast(
        classes=tuple(range(10)),
        auxiliary=(*TRAINED_ON, "mnist"),
        mixed=TRAINED_ON,
        outliers=("mnist", *TESTED_ON),
        reads=("fashion_mnist", "mnist"),
    ),
    "clinc_oos": Cast(
        classes=tuple(range(30)),
        auxiliary=("words at random", "intents 30–49"),
        mixed=("words at random", "intents 30–49"),
        outliers=("out of scope", "intents 50–69"),
        reads=("clinc_oos",),
    ),
}


@dataclass(frozen=True, eq=False)
class Roles:
    """The examples of a cast. Inputs are float32 [N, D], labels int [N] in 0…K−1.

    Training and validation examples, auxiliary outliers and what they are made of come from the set's
    training split; test examples and test outliers from its test split, or from classes never trained on.
    """

    cast: Cast
    x_train: np.ndarray
    y_train: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    auxiliary: dict[str, np.ndarray]
    outliers: dict[str, np.ndarray]


def family(kind: str) -> str:
    """What a kind of data is an instance of: a family of `FAMILIES`, or else its own name."""
    return FAMILIES.get(kind, kind)


def roles(name: str, most: int) -> Roles:
    """The examples of a cast by name.

    Args:
        name: one of `CASTS`.
        most: examples to train on (validation included), and to test on of each kind, at most.

    Raises:
        KeyError: for any other name.
        UsageError: if a data set is not prepared.
    """
    cast = CASTS[name]
    read, outliers_of = (queries, query_kinds) if name == "clinc_oos" else (images, image_kinds)
    sets = {source: read(source, most) for source in cast.reads}
    x, y, x_test, y_test = sets[name]
    inside, tested = (np.flatnonzero(np.isin(labels, cast.classes)) for labels in (y, y_test))
    order = np.random.default_rng(VALIDATION).permutation(inside)[:most]
    keep = len(order) - int(HELD_BACK * len(order))
    train, validation, test = order[:keep], order[keep:], tested[:most]
    auxiliary = {kind: outliers_of(kind, sets, name, train, AUXILIARY)[:POOL] for kind in cast.auxiliary}
    outliers = {kind: outliers_of(kind, sets, name, test, TEST)[:most] for kind in cast.outliers}
    parts = (x[train], y[train], x[validation], y[validation], x_test[test], y_test[test])
    whole = Roles(cast, *parts, auxiliary, outliers)
    return reduced(whole) if name == "clinc_oos" else whole


Content = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # x_train, y_train, x_test, y_test


def images(name: str, most: int) -> Content:
    """Images of 8 × 8 as they are; the first of 28 × 28 framed in black and pooled to 16 × 16.

    That is a third of the work; TFDS has shuffled them.
    """
    if lookup(name).shape[0] == 8:
        small = load(name)
        return small.x_train, small.y_train, small.x_test, small.y_test
    large = load(name, most)
    return framed(large.x_train), large.y_train, framed(large.x_test), large.y_test


def framed(x: np.ndarray) -> np.ndarray:
    """Images of 28 × 28 in a black frame, pooled to 16 × 16: [N, 784] to [N, 256]."""
    whole = np.pad(x.reshape(-1, 28, 28, 1), ((0, 0), (2, 2), (2, 2), (0, 0)))
    return pooled(whole, (32, 32, 1))


def image_kinds(kind: str, sets: dict[str, Content], name: str, rows: np.ndarray, role: int) -> np.ndarray:
    """Outliers of a kind: another set, classes left out, or made from in-distribution images of that role."""
    x, y, x_test, y_test = sets[name]
    if kind in sets:
        return sets[kind][0 if role == AUXILIARY else 2]
    if kind.startswith("classes"):
        classes = classes_named(kind)
        return np.concatenate([x[np.isin(y, classes)], x_test[np.isin(y_test, classes)]])
    side = int(np.sqrt(x.shape[1]))
    return make_outliers(kind, role, (x if role == AUXILIARY else x_test)[rows], (side, side, 1))


def classes_named(kind: str) -> list[int]:
    """The classes that a kind such as "classes 6, 7" names."""
    return [int(number) for number in kind.removeprefix("classes").split(",")]


def queries(name: str, most: int) -> Content:
    """Bags of words; those of the test split that are out of scope have the label −1."""
    texts = load(name)
    outside = texts.x_outside_test
    assert outside is not None
    x_test = np.concatenate([texts.x_test, outside])
    return texts.x_train, texts.y_train, x_test, np.append(texts.y_test, np.full(len(outside), -1))


def query_kinds(kind: str, sets: dict[str, Content], name: str, rows: np.ndarray, role: int) -> np.ndarray:
    """Outliers of a kind: out of scope, of other intents, or words drawn one by one."""
    x, y, x_test, y_test = sets[name]
    if kind == "out of scope":
        return x_test[y_test == -1]
    if kind == "words at random":
        often = x[rows].mean(0)
        return (np.random.default_rng(role).random((POOL, len(often))) < often).astype("float32")
    first, last = (int(number) for number in kind.removeprefix("intents").split("–"))
    x, y = (x, y) if role == AUXILIARY else (x_test, y_test)
    return x[(first <= y) & (y <= last)]


def reduced(roles: Roles, count: int = 100) -> Roles:
    """Bags of words on the directions in which the training queries vary most: [N, count] (latent semantics).

    Scaled so that a training query's coordinates have the mean square 1; directions come from the training
    queries alone.
    """
    centre = roles.x_train.mean(0)
    moved = (roles.x_train - centre).astype("float64")
    # Not scikit-learn's PCA, as in `features.principal_components`: it would move what has been measured.
    variances, directions = np.linalg.eigh(moved.T @ moved / len(moved))  # in rising order
    directions = directions[:, : -count - 1 : -1] / np.sqrt(variances[-count:].mean())

    def on(x: np.ndarray) -> np.ndarray:
        return ((x - centre) @ directions).astype("float32")

    return Roles(
        roles.cast,
        *(on(roles.x_train), roles.y_train, on(roles.x_validation), roles.y_validation),
        *(on(roles.x_test), roles.y_test),
        {kind: on(x) for kind, x in roles.auxiliary.items()},
        {kind: on(x) for kind, x in roles.outliers.items()},
    )
