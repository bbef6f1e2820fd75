"""Neural collapse: do the features of a softmax come to separate the classes, and all of them alike?

Expect: the spread within classes falls, with sigmoids as with a softmax; the angles between the classes of a
perceptron do not become equal, as they do where every example has features of its own. Costs a quarter of a
minute at the standard scale. Run it with `crosscheck run neural_collapse`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from crosscheck.claims import Check, Claim, Equal, Exceeds, Theory, Unit, unit
from crosscheck.lazy import collapse, data, figures, losses, pd, rows

CLAIM = Claim(
    title="Features come to separate the classes, but not at equal angles, and not because they compete",
    statement="As the classes compete for probability, the features that are learnt come not only to tell "
    "the right class but to set it apart from all others.",
    formula=r"\cos(\mu_j - \mu,\, \mu_k - \mu) \to -\frac{1}{K - 1} \quad (j \ne k)",
    source="The Mechanism of Categorical Cross-Entropy; problem 3103379",
    correct="Trained features gather around the means of their classes; ten sigmoids, which do not compete, "
    "do the same. That every class comes to be as far from every other is a limit (Papyan et al. 2020), "
    "which features that are free for each example reach and perceptrons on digits do not.",
)

SEEDS = {"smoke": 6, "standard": 16, "full": 64}
EPOCHS = {"smoke": 10, "standard": 100, "full": 300}
FREE_EXAMPLES, FREE_STEPS = 100, 1000

SPREAD = Check(
    "spread",
    "In training, the spread of unseen images' features within classes, over that between them, halves.",
    Exceeds(margin=float(np.log(2))),
    r"\ln \frac{\mathrm{tr}\,\Sigma_W}{\mathrm{tr}\,\Sigma_B}\Big|_0 - \ln "
    r"\frac{\mathrm{tr}\,\Sigma_W}{\mathrm{tr}\,\Sigma_B}\Big|_T \ge \ln 2",
    control="the same training on shuffled labels",
    positive="ten sigmoids, whose classes do not compete",
    population="these data sets",
)
ANGLES = Check(
    "angles",
    "Trained far beyond the last error, a perceptron keeps each class as far from every other: the cosines "
    "of centred class means are −1/(K − 1), to 0.1 on the root mean square.",
    Equal(margin=0.1),
    r"\cos(\mu_j - \mu, \mu_k - \mu) = -\tfrac{1}{K - 1}",
    control="the same network before training",
    positive="features of its own for each example, with a penalty: the theory's case",
    population="these data sets",
)


def cosine(classes: int) -> float:
    return -1 / (classes - 1)


def cosine_of_corners(classes: int) -> float:
    """Of two corners of the probability simplex, seen from its middle."""
    one, other = (np.eye(classes) - 1 / classes)[:2]
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))


def train_features(seeds: tuple[int, ...], epochs: int) -> Iterator[pd.DataFrame]:
    """Spread and angles of perceptrons' last features on digits, under a softmax and its contrasts."""
    digits = data.load("digits")
    y, classes = digits.y_train, np.concatenate([digits.y_test, digits.y_train])
    looked_at, unseen = np.concatenate([digits.x_test, digits.x_train]), len(digits.y_test)
    shuffled = np.stack([np.random.default_rng(seed).permutation(y) for seed in seeds])
    softmax = losses.sparse_categorical_crossentropy
    for arm, loss, labels in (
        ("claim", softmax, y),
        ("control", softmax, shuffled),
        ("positive", losses.binary_crossentropy, np.eye(10)[y]),
    ):
        seen = collapse.of_perceptrons(seeds, digits.x_train, labels, loss, epochs, looked_at)
        spread = [collapse.spread(h[:, :unseen], classes[:unseen]) for h in seen]
        angles = [collapse.unequal_angles(h[:, unseen:], y) for h in seen]
        yield SPREAD.rows(**{arm: np.log(spread[0])}, reference=np.log(spread[1]), seed=seeds)
        if arm == "claim":
            yield ANGLES.rows(angles[1], angles[0], seed=seeds)
        for what, pair in (("spread", spread), ("angles", angles)):
            yield rows.tidy(quantity=what, arm=arm, x=np.array([[0], [epochs]]), seed=seeds, value=pair)
    few = np.arange(FREE_EXAMPLES) % 10
    free = collapse.unequal_angles(collapse.that_are_free(seeds, few, softmax, FREE_STEPS), few)
    yield ANGLES.rows(positive=free, quantity="free", seed=seeds)


# --- the whole study ---

CHECKS = (SPREAD, ANGLES)
THEORIES = (Theory("cosine", cosine, cosine_of_corners, [(2,), (3,), (10,)]),)
TRAINED_ON = {"claim": "softmax", "positive": "sigmoids", "control": "softmax, shuffled labels"}
WHAT = {
    "spread": "spread within classes over that between",
    "angles": "RMS of cos + 1/(K − 1)",
}


def units(scale: str) -> list[Unit]:
    return [unit(train_features, range(SEEDS[scale]), data=("digits",), epochs=EPOCHS[scale], cost=12)]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Spread and angles before training and after it, medians over seeds."""
    shown = rows[rows["quantity"].isin(WHAT)]
    wide = shown.pivot_table("value", ["quantity", "arm"], "x", "median", sort=False)
    wide.columns = ["before", "after"]
    wide = wide.rename(index=WHAT, level="quantity").rename(index=TRAINED_ON, level="arm").reset_index()
    return wide.rename(columns={"quantity": "Last features", "arm": "Trained on"})


def draw_change(ax, rows: pd.DataFrame, what: str) -> None:
    """A line a seed, from before training to after it, beside each other for each kind of training."""
    shown = rows[rows["quantity"] == what]
    for i, (arm, label) in enumerate(TRAINED_ON.items()):
        wide = shown[shown["arm"] == arm].pivot_table("value", "seed", "x")
        lines = ax.plot([i - 0.25, i + 0.25], wide.to_numpy().T, "o-", color=figures.PALETTE[i], alpha=0.4)
        lines[0].set_label(label)
    ax.set(ylabel=WHAT[what], xlabel="before and after training")
    ax.set_xticks([])


def figure(rows: pd.DataFrame):
    """How the spread within classes and the angles between them change in training."""
    canvas, axes = figures.panels(2, 1, height=3.5)
    draw_change(axes[0], rows, "spread")
    axes[0].set(title="Features of unseen digits", ylim=(0, None))
    axes[0].legend(fontsize=8, loc="upper left")
    draw_change(axes[1], rows, "angles")
    free = rows[rows["quantity"] == "free"]["value"]
    axes[1].plot(np.full(len(free), 3), free, "o", color=figures.PALETTE[3], alpha=0.4, label="free features")
    figures.theory_line(axes[1], [-0.4, 3.4], 0.0, "equal angles")
    axes[1].set(title="Angles between classes", ylim=(-0.03, None))
    axes[1].legend(fontsize=8, loc="center", bbox_to_anchor=(0.4, 0.35))
    return canvas
