"""People's wrong labels of photographs: what they cost, and beside it what chance would cost as often.

Expect: nothing at the smoke and standard scales, which train nothing. The full scale trains six wide
residual networks a seed, 30 epochs each, with a checkpoint an epoch, and wants a GPU. It needs `cifar10n`,
which its licence forbids to ship: `crosscheck data cifar10n` says where it is and how it comes in; without it
the check says so. No sentence of the chapter rests on it, and it has not been run yet.
Run it by `make human_noise SCALE=full GPU=1`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from crosscheck.claims import Check, Claim, Exceeds, Theory, Unit, unit
from crosscheck.lazy import figures, pd, relabelled_training, relabelling, rows

CLAIM = Claim(
    title="People's wrong labels of photographs cost accuracy, the more of them the more",
    statement="Cross-entropy is adapted to noisy labels.",
    formula=r"a_{\text{most of three}} - a_{\text{worst of three}}, "
    r"\quad a = \Pr(\hat y = y \text{ on held-out images})",
    source="the chapter's introduction",
)

SEEDS = {"full": 16}  # the least that decide
NETWORK: dict[str, Any] = {"depth": 16, "width": 2, "epochs": 30}

CIFAR10N = Check(
    "cifar10n",
    "A network that learns what most of three people say of CIFAR-10's images takes 0.03 more of 5,000 "
    "held-out ones for what they are than one that learns the worst that the three say.",
    Exceeds(margin=0.03),
    r"a_{\text{most of three}} - a_{\text{worst of three}}",
    control="one person's labels and another's, who err about as often",
    positive="in place of the worst, labels of which four in five are drawn at random",
    population="these data sets",
    settings=("cifar10n",),
    scope=True,
    scales=("full",),
)


def train_on_people(seeds: tuple[int, ...], name: str, **network: Any) -> Iterator[pd.DataFrame]:
    """Networks on labels by people and by chance; the accuracy of each is shown beside what is judged."""
    for seed in seeds:
        right = relabelled_training.accuracies(name, seed, **network)
        place = {"setting": name, "seed": (seed,)}
        best = right["most of three"]
        yield CIFAR10N.rows(
            best - right["the worst of three"],
            right["one person"] - right["another person"],
            positive=best - right[relabelling.BY_CHANCE],
            **place,
        )
        for quantity, values in {"accuracy": right, "wrong": relabelling.wrong_shares(name, seed)}.items():
            for arm, value in values.items():
                yield rows.tidy(quantity=quantity, path=arm, value=value, **place)


# --- all of it ---------------------------------------------------------------------------------------------

CHECKS: tuple[Check, ...] = (CIFAR10N,)
THEORIES: tuple[Theory, ...] = ()


def units(scale: str) -> list[Unit]:
    """One a seed: its networks are compared with one another."""
    policy = "mixed_bfloat16" if os.environ.get("GPU") == "1" else "float32"
    return [
        unit(train_on_people, (seed,), data="cifar10n", cost=1000, **NETWORK, policy=policy)
        for seed in range(SEEDS.get(scale, 0))
    ]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """How many labels are wrong, and held-out accuracy by what was learnt from: mean and SD over seeds."""
    by_arm = pd.DataFrame(index=pd.Index(relabelling.ARMS, name="Labels by"))
    for quantity, how, title in (
        ("wrong", "mean", "Wrong labels"),
        ("accuracy", "mean", "Held-out accuracy"),
        ("accuracy", "std", "SD over seeds"),
    ):
        part = rows[rows["quantity"] == quantity]
        by_arm[title] = part.groupby("path")["value"].agg(how)
    return by_arm.reset_index()


def figure(rows: pd.DataFrame):
    """Held-out accuracy by what was learnt from."""
    canvas, (ax,) = figures.panels(1, 1, height=3.2)
    part = rows[rows["quantity"] == "accuracy"].assign(what="accuracy")
    figures.intervals(ax, part.set_index(["what", "path", "seed"])["value"])
    ax.set(title="CIFAR-10N", xlabel="accuracy on held-out images")
    return canvas
