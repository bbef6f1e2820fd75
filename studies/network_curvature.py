"""How cross-entropy bends in a network: less and less as it is trained, and downwards in some weights.

Expect: on real data the mean curvature in the logits falls in the end, though on the digits it first rises;
in its weights the loss of a network is not convex, as a linear model's is. It costs half a minute at the
standard scale. Run it with `crosscheck run network_curvature`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from crosscheck.claims import Check, Claim, Exceeds, Theory, Trend, Unit, unit
from crosscheck.lazy import data, figures, landscape, pd, rows

CLAIM = Claim(
    title="In a network the loss flattens as training goes on, and is not convex in the weights",
    statement="Cross-entropy is smooth and bends upwards wherever one stands, less where the model is sure: "
    "so it lends itself to optimisation where the 0-1 loss does not.",
    formula=r"\nabla^2_{\mathbf{z}} \mathcal{L} \succeq 0, \qquad \nabla^2_{\mathbf{w}} \mathcal{L} "
    r"\not\succeq 0",
    source="Properties of the Loss Landscape; problem 3166266",
    correct="It bends upwards in the logits, and in the weights of a linear model. In the weights of a "
    "network there are directions in which it bends down.",
)


# --- weights: is the loss convex in them? ---

WEIGHTS_SEEDS = {"smoke": 6, "standard": 16, "full": 128}
MIXTURE_OF, EXAMPLES_OF = (2.0, 4), 200  # separation and features; examples a seed

WEIGHTS = Check(
    "weights",
    "In a network's weights the loss is not convex: its Hessian has an eigenvalue below minus a hundredth of "
    "the largest.",
    Exceeds(margin=0.01),
    r"-\lambda_{\min}(\nabla^2_{\mathbf{w}} \mathcal{L}) / \lambda_{\max} > 0",
    control="a linear model",
    positive="the same network without its ReLU",
    population="generator",
)


def measure_weights(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """The Hessian of 200 examples' mean loss in all weights of small models, at random weights."""
    x, y = data.samples([data.GaussianMixture(*MIXTURE_OF)], seeds, EXAMPLES_OF)
    kinds = {"claim": "network", "control": "linear", "positive": "network without ReLU"}
    for arm, kind in kinds.items():
        bend = landscape.bends_down(seeds, x, y, kind)
        yield WEIGHTS.rows(**{arm: bend}, quantity=kind, seed=seeds)


def draw_weights(ax, rows: pd.DataFrame) -> None:
    part = rows[rows["check"] == WEIGHTS.id]
    for i, (kind, shown) in enumerate(part.groupby("quantity", sort=False)):
        ax.plot(np.full(len(shown), i), shown["value"], "o", alpha=0.5, label=kind)
    figures.theory_line(ax, [-0.5, 2.5], 0.0, "convex")
    ax.set(title="In weights: the most that it bends down", ylabel="−λ_min / λ_max")
    ax.set_xticks([])
    ax.legend(fontsize=8)


# --- training: does the curvature in the logits fall? ---

SETS = ("digits", "mnist", "fashion_mnist")
SEEDS = {"smoke": 8, "standard": 20, "full": 64}
EXAMPLES = {"smoke": 960, "standard": 2_500, "full": 60_000}
LOOKS = (0, 1, 2, 5, 10, 20, 40)  # epochs after which the Hessians of training examples are looked at
LOOKED_AT = 300  # examples
EVEN_ON = "digits"  # where the control that must hold is run

TRAINING = Check(
    "training",
    "From the first epoch to the last the mean largest eigenvalue falls by 0.05; the uniform's is 0.1.",
    Exceeds(margin=0.05),
    r"\frac{1}{N} \sum_n \lambda_{\max}(\mathbf{H}_n)",
    control="the same training on shuffled labels",
    positive="the same network asked only whether the class's number is even",
    settings=SETS,
    population="these data sets",
)
TRAINING_STEADILY = Check(
    "training_steadily",
    "From the first epoch on it falls from each look to the next.",
    Trend(increasing=False),
    r"\frac{1}{N} \sum_n \lambda_{\max}(\mathbf{H}_n)",
    control="the same training on shuffled labels",
    positive="the same network asked only whether the class's number is even",
    settings=SETS,
    population="these data sets",
    scope=True,
)


def train_curvature(seeds: tuple[int, ...], name: str, examples: int) -> Iterator[pd.DataFrame]:
    """The mean largest eigenvalue over training examples, before training and after some epochs."""
    images = data.load(name, examples)
    x, y = images.x_train, images.y_train
    shuffled = np.stack([np.random.default_rng(seed).permutation(y) for seed in seeds])
    arms = [("claim", y, 10), ("control", shuffled, 10)]
    if name == EVEN_ON:
        arms.append(("positive", y % 2, 2))
    for arm, labels, classes in arms:
        seen = landscape.curvature_in_training(seeds, x, labels, LOOKS, x[:LOOKED_AT], classes)  # [looks, S]
        looks, shared = np.array(LOOKS)[:, None], {"setting": name, "seed": seeds}
        yield TRAINING.rows(**{arm: seen[1]}, reference=seen[-1], **shared)
        yield TRAINING_STEADILY.rows(**{arm: seen[1:]}, x=looks[1:], **shared)
        yield rows.tidy(quantity="λ", arm=arm, x=looks, value=seen, **shared)


def draw_training(ax, rows: pd.DataFrame) -> None:
    looks = rows[rows["quantity"] == "λ"]
    for name in SETS:
        part = looks[looks["setting"] == name]
        if len(part):
            figures.curve(ax, part[part["arm"] == "claim"], name)
            colour = ax.lines[-1].get_color()
            figures.curve(ax, part[part["arm"] == "control"], "", color=colour, linestyle=":")
    ax.plot([], [], color="0.4", linestyle=":", label="shuffled labels")
    ax.set(title="In training on ten classes", xlabel="epoch", ylabel="mean largest λ", ylim=(0, None))
    ax.legend(fontsize=8)


# --- the whole study ---

CHECKS = (WEIGHTS, TRAINING, TRAINING_STEADILY)


def largest(p: float) -> float:
    return 2 * p * (1 - p)


def largest_by_eigenvalues(p: float) -> float:
    return float(np.linalg.eigvalsh(np.diag([p, 1 - p]) - np.outer([p, 1 - p], [p, 1 - p]))[-1])


THEORIES = (Theory("two classes", largest, largest_by_eigenvalues, [(0.5,), (0.1,), (0.999,)]),)


def units(scale: str) -> list[Unit]:
    seeds = range(SEEDS[scale])
    return [
        unit(measure_weights, range(WEIGHTS_SEEDS[scale])),
        *(unit(train_curvature, seeds, data=name, examples=EXAMPLES[scale], cost=20) for name in SETS),
    ]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """The mean largest eigenvalue through training."""
    looks = rows[rows["quantity"] == "λ"]
    wide = looks.pivot_table("value", ["setting", "arm"], "x", sort=False)
    wide.columns = [f"epoch {x:g}" for x in wide.columns]
    labels = {"claim": "true", "control": "shuffled", "positive": "even or odd"}
    named = wide.rename(index=labels, level="arm").reset_index()
    return named.rename(columns={"setting": "Data", "arm": "Labels"})


def figure(rows: pd.DataFrame):
    """Curvature in training, and in weights."""
    canvas, axes = figures.panels(2, 1, height=3.5)
    for draw, ax in zip((draw_training, draw_weights), axes, strict=True):
        draw(ax, rows)
    return canvas
