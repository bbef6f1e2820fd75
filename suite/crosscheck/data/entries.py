"""The catalogue: what is known of every real data set before it is there, by name."""

from __future__ import annotations

import difflib

from crosscheck.data.embedded import DIGITS
from crosscheck.data.preparing import words
from crosscheck.data.preparing.entry import Entry
from crosscheck.data.preparing.forms import Classes, Label, Labels, Numbers, Pixels, Shares, Unlabelled, Words
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
CIFAR10N = f"{CIFAR}, beside CIFAR-10_human.pt from https://github.com/UCSC-REAL/cifar-10-100n (CC BY-NC 4.0)"
CIFAR10N_LABELS = (  # CIFAR-10's own; of three people's the majority, a wrong one if any, and each
    *("label", "aggre_label", "worse_label"),
    *("random_label1", "random_label2", "random_label3"),
)

BUILDERS = "crosscheck.data.builders"  # of what TFDS's own catalogue lacks

CATALOGUE: dict[str, Entry] = {
    "digits": Entry(
        "1.0.0",
        classes=10,
        shape=(8, 8, 1),
        x=Pixels(16),
        y=Label(),
        licence="CC BY 4.0",
        origin=DIGITS,
        builder=f"{BUILDERS}.digits",
    ),
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
        builder=f"{BUILDERS}.fashion_mnist_h",
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
        "1.0.0",
        classes=6,
        shape=(72,),
        x=Numbers(),
        y=Labels(),
        licence="none stated",
        folders=("mulan",),
        archive=MULAN,
        builder=f"{BUILDERS}.mulan",
    ),
    "yeast": Entry(
        "1.0.0",
        classes=14,
        shape=(103,),
        x=Numbers(),
        y=Labels(),
        licence="none stated",
        folders=("mulan",),
        archive=MULAN,
        builder=f"{BUILDERS}.mulan",
    ),
    "cifar10_train": Entry(
        "1.0.0",
        classes=10,
        shape=COLOUR,
        x=Pixels(255),
        y=Label(),
        licence="none stated",
        folders=("cifar10",),
        archive=CIFAR,
        builder=f"{BUILDERS}.cifar10_train",
    ),
    "cifar10n": Entry(
        "1.0.0",
        classes=10,
        shape=COLOUR,
        x=Pixels(255),
        y=Classes(CIFAR10N_LABELS),
        licence="people's labels CC BY-NC 4.0; images none stated",
        folders=("cifar10",),
        archive=CIFAR10N,
        builder=f"{BUILDERS}.cifar10n",
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
        UsageError: the catalogue has none of that name.
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    close = difflib.get_close_matches(name, CATALOGUE, n=1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    raise UsageError(f"Unknown data set '{name}'.{hint} Known: {', '.join(CATALOGUE)}.")
