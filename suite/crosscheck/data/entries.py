"""What is known of every real data set before it is there, by name: the one place that lists them."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass

from crosscheck.data.builders import bundled
from crosscheck.data.preparing import words
from crosscheck.data.preparing.forms import (
    Inputs,
    Label,
    Labels,
    Numbers,
    Pixels,
    Shares,
    Targets,
    Unlabelled,
    Words,
)
from crosscheck.errors import UsageError

CIFAR = "https://www.cs.toronto.edu/~kriz/cifar.html"
MULAN = "http://mulan.sourceforge.net/datasets-mlc.html"
COLOUR = (32, 32, 3)
EMOTIONS_OF_COMMENTS = (  # in the order of GoEmotions' own numbers
    *("admiration", "amusement", "anger", "annoyance", "approval", "caring", "confusion", "curiosity"),
    *("desire", "disappointment", "disapproval", "disgust", "embarrassment", "excitement", "fear"),
    *("gratitude", "grief", "joy", "love", "nervousness", "optimism", "pride", "realization", "relief"),
    *("remorse", "sadness", "surprise", "neutral"),
)


@dataclass(frozen=True)
class Entry:
    """What is known of a set before it is there; where to fetch it from is the TFDS builder's knowledge."""

    version: str  # of the TFDS builder
    classes: int  # K, or L where an example may have several labels
    shape: tuple[int, ...]  # height, width, channels of an image; else D alone
    x: Inputs
    y: Targets
    licence: str
    origin: Callable[[], bytes] | None = None  # original bytes of a set that needs no download
    outside: tuple[str, ...] = ()  # TFDS's splits of examples of no class, to train on and to test on
    folders: tuple[str, ...] = ()  # where original files may lie besides the folder of the set's own name
    archive: str = ""  # page that offers the original files in a form that TFDS cannot fetch
    splits: tuple[str, str] = ("train", "test")  # TFDS's splits, or parts of them
    side: int = 0  # of images that come in other sizes: their shorter side is brought to it, the rest cut off


CATALOGUE: dict[str, Entry] = {
    "digits": Entry("1.0.0", 10, (8, 8, 1), Pixels(16), Label(), "CC BY 4.0", bundled.digits),
    "mnist": Entry("3.0.1", 10, (28, 28, 1), Pixels(255), Label(), "commonly stated as CC BY-SA 3.0"),
    "fashion_mnist": Entry("3.0.1", 10, (28, 28, 1), Pixels(255), Label(), "MIT"),
    "fashion_mnist_h": Entry(
        "1.0.0",
        classes=10,
        shape=(28, 28, 1),
        x=Pixels(255),
        y=Shares(),
        licence="images MIT; counts none stated, their repository GPL-3.0",
        folders=("fashion_mnist",),
    ),
    "clinc_oos": Entry(
        "0.1.0",
        classes=150,
        shape=(words.SIZE,),
        x=Words("text"),
        y=Label("intent"),
        licence="CC BY 3.0",
        outside=("train_oos", "test_oos"),
    ),
    "goemotions": Entry(
        "0.1.0",
        classes=28,
        shape=(words.SIZE,),
        x=Words("comment_text"),
        y=Labels(EMOTIONS_OF_COMMENTS),
        licence="Apache-2.0",
    ),
    "emotions": Entry(
        "1.0.0", 6, (72,), Numbers(), Labels(), "none stated", folders=("mulan",), archive=MULAN
    ),
    "yeast": Entry(
        "1.0.0", 14, (103,), Numbers(), Labels(), "none stated", folders=("mulan",), archive=MULAN
    ),
    "cifar10_train": Entry(
        "1.0.0", 10, COLOUR, Pixels(255), Label(), "none stated", folders=("cifar10",), archive=CIFAR
    ),
    "cifar10": Entry("3.0.2", 10, COLOUR, Pixels(255), Label(), "none stated"),
    "cifar100": Entry("3.0.2", 100, COLOUR, Pixels(255), Label(), "none stated"),
    "svhn_cropped": Entry("3.1.0", 10, COLOUR, Pixels(255), Label(), "non-commercial use"),
    "dtd": Entry(
        "3.0.1",
        classes=47,
        shape=COLOUR,
        x=Pixels(255),
        y=Unlabelled(),
        licence="research purposes",
        splits=("validation", "train+test"),
        side=32,
    ),
    "places365_small": Entry(
        "2.1.0",
        classes=365,
        shape=COLOUR,
        x=Pixels(255),
        y=Unlabelled(),
        licence="research and education",
        splits=("validation[:1000]", "validation[1000:11000]"),
        side=32,
    ),
}


def lookup(name: str) -> Entry:
    """The entry of that name.

    Raises:
        UsageError: there is none.
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    close = difflib.get_close_matches(name, CATALOGUE, n=1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    raise UsageError(f"Unknown data set '{name}'.{hint} Known: {', '.join(CATALOGUE)}.")
