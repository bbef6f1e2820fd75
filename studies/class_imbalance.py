"""Imbalanced classes: weights wear off where a model separates its examples, and focal loss does not help.

Expect: on separable points, and in networks that fit every image, what class weights do to the boundary wears
off with training; where classes overlap they find the decision of least balanced error, and so does ln π
subtracted after training, if that was not stopped early; focal loss finds no more of a rare class. What
weights do to probabilities is asked in `class_weights`. Costs a minute at the standard scale. Run it with
`crosscheck run class_imbalance`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from crosscheck.claims import Check, Claim, Equal, Exceeds, Theory, Unit, unit
from crosscheck.lazy import autodiff, figures, imbalance, long_tails, pd, restoring, rows, special

CLAIM = Claim(
    title="Class weights wear off where a model separates its examples, and focal loss treats classes alike",
    statement="Cross-entropy is adapted to imbalanced classes: weighted by the class, with adjusted logits, "
    "or as focal loss, it does better by the rare ones.",
    formula=r"\lVert w \rVert \cdot \text{gap} \to \tfrac12 \ln \frac{w_1}{w_0}",
    source="the chapter's introduction",
    correct="Where classes overlap, weights, adjusted logits, and ln π subtracted after training find the "
    "decision of least balanced error; of a network stopped early the subtraction falls short. Where a model "
    "separates its examples, weights move the boundary ever less (Byrd & Lipton 2019), and in networks plain "
    "training catches up with most of what they gain early. Focal loss finds no more of a rare class.",
)

SEEDS = {"smoke": 6, "standard": 24, "full": 64}
DIGITS = {"smoke": 8, "standard": 96, "full": 256}  # seeds of what is compared on them: 24 leave it open
FOCAL = 2.0  # γ, as published


# --- separable: where does the boundary go that weights have moved? -----------------------------------

WEIGHT = 20.0
LOOKS = {"smoke": 30, "standard": 40, "full": 100}  # 100 steps apart

SEPARABLE = Check(
    "separable",
    f"On separable points in the plane, how far a weight of {WEIGHT:g} moves the boundary falls as 1/‖w‖, "
    "without end: the slope of ln gap on ln ‖w‖ is −1.",
    Equal(margin=0.1),
    r"\frac{d \ln \text{gap}}{d \ln \lVert w \rVert} = -1, \quad \text{gap} \to "
    r"\frac{\ln (w_1 / w_0)}{2\,\lVert w \rVert}",
    control="margins of one class halved in place of its weight (Kini et al. 2021): a gap that stays",
    positive="a margin added for one class in place of its weight, which wears off as well",
    population="generator",
)


def follow_boundaries(seeds: tuple[int, ...], looks: int) -> Iterator[pd.DataFrame]:
    """How far each arm's boundary lies from the plain one, along descent by steps divided by the loss."""
    seen = imbalance.boundaries(seeds, WEIGHT, looks)
    arms = (imbalance.WEIGHTED, imbalance.MULTIPLIED, imbalance.ADDED)
    weighted, multiplied, added = (imbalance.power(seen.norm[arm], seen.gap[arm]) for arm in arms)
    yield SEPARABLE.rows(weighted, multiplied, -1.0, positive=added, seed=seeds)
    for arm in arms:
        for name, values in (("norm", seen.norm[arm]), ("gap", seen.gap[arm])):
            along = {"x": seen.steps[:, None], "seed": seeds, "path": arm}
            yield rows.tidy(quantity=f"boundary, {name}", value=values, **along)


def draw_boundaries(ax, rows: pd.DataFrame) -> None:
    part = rows[rows["quantity"].str.startswith("boundary, ")]
    for arm, of_arm in part.groupby("path", sort=False):
        wide = of_arm.pivot_table("value", "x", "quantity", aggfunc="median")
        dotted = {"linestyle": ":", "linewidth": 3} if arm == imbalance.ADDED else {}
        ax.plot(wide["boundary, norm"], wide["boundary, gap"], label=str(arm), **dotted)
        if arm == imbalance.WEIGHTED:
            ends = wide["boundary, norm"].iloc[[0, -1]].to_numpy()
            figures.theory_line(ax, ends, wide["boundary, gap"].iloc[-1] * ends[1] / ends, "slope −1")
    ax.set(title="Separable: weights wear off", xscale="log", yscale="log")
    ax.set(xlabel="‖w‖, as it grows in training", ylabel="how far the boundary is moved")
    ax.legend(fontsize=8)


# --- networks: the same in perceptrons that come to fit every image; and what is done afterwards --------

SETS = ("digits", "fashion_mnist")
IMAGES = SETS[1:]  # with images enough to tell a hundredth
MOST = {"digits": 60, "fashion_mnist": 200}  # images of the most frequent class
RATIO = {"digits": 20, "fashion_mnist": 100}
EPOCHS = {"digits": (30, 300), "fashion_mnist": (20, 150)}  # early, late
TESTED = 500  # held-out images of each class at most
HIDDEN, RATE = 64, 3e-3

INTERPOLATING = Check(
    "interpolating",
    "Of what weights gain a network in balanced accuracy early in training, 0.05 at least is gone once it "
    "fits every image.",
    Exceeds(margin=0.05),
    r"\text{gain}_{\text{early}} - \text{gain}_{\text{late}}",
    control="an L2 penalty of λ = 0.01, under which no network fits every image",
    positive="the recall of the five rarest classes, in place of all ten",
    population="these data sets",
    settings=SETS,
)
POST_HOC = Check(
    "post_hoc",
    "Early in training, subtracting ln π from the logits of a network trained plainly gives the balanced "
    "accuracy of one trained with adjusted logits.",
    Equal(margin=0.01),
    r"\arg\max_k\; z_k - \ln \pi_k",
    control="nothing subtracted",
    positive="the logits of the one trained so in half precision",
    population="these data sets",
    settings=IMAGES,
    scope=True,
)


def train_tails(seeds: tuple[int, ...], name: str, few: int) -> Iterator[pd.DataFrame]:
    """Balanced accuracies, early and late, of networks that differ in what is done about rare classes."""
    images = long_tails.tail(name, MOST[name], RATIO[name], TESTED)
    logits = long_tails.followed(seeds, few, images, EPOCHS[name], HIDDEN, RATE)
    even = np.full(len(images.shares), 1 / len(images.shares))
    logits["plain, ln π subtracted"] = autodiff.numbers(
        restoring.prior_corrected(logits["plain"], images.shares, even)
    )
    score = {arm: long_tails.balanced_accuracy(z, images.y_test) for arm, z in logits.items()}  # [E, S]
    rare = {arm: long_tails.recall_of_rare(logits[arm], images.y_test) for arm in ("plain", "weighted")}
    lost = lambda score, one, other: -np.diff(score[one] - score[other], axis=0)[0]
    place = {"setting": name, "seed": seeds}
    gone, rarer = (lost(at, "weighted", "plain") for at in (score, rare))
    yield INTERPOLATING.rows(gone, positive=rarer, **place)
    kept = lost(score, "weighted, L2", "plain, L2")
    yield INTERPOLATING.rows(control=kept, setting=name, seed=seeds[:few])
    if name in IMAGES:
        half = long_tails.balanced_accuracy(logits["adjusted"][0].astype("float16"), images.y_test)
        arms = (score[arm][0] for arm in ("plain, ln π subtracted", "plain", "adjusted"))
        subtracted, plain, adjusted = arms
        yield POST_HOC.rows(subtracted, plain, adjusted, positive=half, **place)
    for arm, values in score.items():
        along = {"setting": name, "seed": seeds[: values.shape[1]], "path": arm}
        yield rows.tidy(
            quantity="balanced accuracy", value=values, x=np.array(EPOCHS[name])[:, None], **along
        )


def draw_gains(ax, rows: pd.DataFrame) -> None:
    part = rows[rows["quantity"] == "balanced accuracy"]
    mean = part.groupby(["setting", "path", "x"], sort=False)["value"].mean().unstack("path")
    for style, kind in (("o-", ""), ("s:", ", L2")):
        gain = (mean[f"weighted{kind}"] - mean[f"plain{kind}"]).unstack("setting")
        for colour, name in zip(figures.PALETTE, SETS, strict=False):
            if name in gain:
                label = f"{name}{kind}"
                values = gain[name].dropna()
                ax.plot(values.index, values, style, color=colour, label=label)
    ax.set(title="In networks too", xlabel="epoch", xscale="log", ylim=(0, None))
    ticks = sorted({epoch for name in gain for epoch in EPOCHS[str(name)]})
    ax.set_xticks(ticks, [f"{epoch:g}" for epoch in ticks])
    ax.set_xticks([], minor=True)
    ax.set(ylabel="balanced accuracy gained by weights")
    ax.legend(fontsize=7)


# --- lines: two Gaussians, balanced errors in closed form ----------------------------------------------

SHARES = (0.1, 0.02)  # ρ
COUNTED = 131_072  # examples
ARMS = ("plain", "weighted", "adjusted")
DECISIONS = (*ARMS, "ln π subtracted")

BALANCED_ERROR = Check(
    "balanced_error",
    "Of two Gaussians, a line trained plainly has the balanced error of the closed form, and one trained "
    "with weights 1/π, or adjusted logits, the least there is; so has the plain one less ln π.",
    Equal(margin=0.01),
    r"\tfrac12 \Phi(-\tfrac{d}{2} + t) + \tfrac12 \Phi(-\tfrac{d}{2} - t) \;\to\; \Phi(-\tfrac{d}{2}), "
    r"\quad t = \tfrac1d \ln \tfrac{1 - \rho}{\rho}",
    control="ln of the ratio of the shares added once too often",
    positive="the same training on even classes",
    population="generator",
    settings=tuple(f"{arm}, ρ = {share:g}" for share in SHARES for arm in DECISIONS),
)
FOCAL_RECALL = Check(
    "focal_recall",
    "Focal loss (γ = 2) changes a line's balanced accuracy by 0.02 at most: it treats the classes alike.",
    Equal(margin=0.02),
    r"\mathrm{acc}_{\text{balanced}}(\text{focal}) - \mathrm{acc}_{\text{balanced}}(\text{plain}) = 0",
    control="weights in place of focal loss",
    positive="two Gaussians of even shares",
    population="generator",
    settings=tuple(f"ρ = {share:g}" for share in SHARES),
)


def train_lines(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Lines on even classes and on uneven ones: plain, weighted, adjusted, with focal loss."""
    odds = special.logit
    trainings = [
        (share, np.exp(-odds(share)) if arm == "weighted" else 1.0, odds(share) * (arm == "adjusted"), gamma)
        for share in (0.5, *SHARES)
        for arm, gamma in (*((arm, 0.0) for arm in ARMS), ("focal", FOCAL))
    ]
    counts = np.concatenate([imbalance.counted(share, seeds, COUNTED) for share, *_ in trainings])
    _, *arguments = (np.repeat(part, len(seeds)) for part in zip(*trainings, strict=True))
    lines = imbalance.fitted_lines(counts, *arguments)
    by_training = [
        imbalance.Lines(*(part[i * len(seeds) : (i + 1) * len(seeds)] for part in lines))
        for i in range(len(trainings))
    ]
    even, *uneven = (by_training[4 * i : 4 * i + 4] for i in range(3))
    for share, group in zip(SHARES, uneven, strict=True):
        yield from error_rows(share, group, even, seeds)


def error_rows(share: float, group: list, even: list, seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Balanced errors of lines trained plainly, weighted, adjusted and with focal loss, at one share ρ."""
    log_odds = float(special.logit(share))
    decisions = [*group[:3], group[0].moved(-log_odds)]
    for arm, line, of_even in zip(DECISIONS, decisions, [*even[:3], even[0]], strict=True):
        least = imbalance.balanced_error(share, 0.0 if arm == "plain" else -log_odds)
        place = {"setting": f"{arm}, ρ = {share:g}", "seed": seeds, "x": share, "path": ""}
        yield BALANCED_ERROR.rows(line.balanced_error, line.moved(log_odds).balanced_error, least, **place)
        yield BALANCED_ERROR.rows(
            positive=of_even.balanced_error, reference=imbalance.balanced_error(0.5), **place
        )
    plain, weighted, _, focal = (1 - line.balanced_error for line in group)
    place = {"setting": f"ρ = {share:g}", "seed": seeds}
    yield FOCAL_RECALL.rows(focal, weighted, plain, **place)
    of_even = [1 - line.balanced_error for line in even]
    yield FOCAL_RECALL.rows(positive=of_even[3], reference=of_even[0], **place)


def draw_errors(ax, rows: pd.DataFrame) -> None:
    part = rows[(rows["check"] == BALANCED_ERROR.id) & (rows["arm"] == "claim")]
    for marker, arm in zip("osD^", DECISIONS, strict=True):
        mean = part[part["setting"].str.startswith(arm)].groupby("x")["value"].mean()
        ax.plot(mean.index, mean, marker, label=arm)
    share = np.geomspace(0.01, 0.5, 60)
    figures.theory_line(ax, share, [imbalance.balanced_error(at) for at in share], "closed form")
    figures.theory_line(ax, share, imbalance.balanced_error(0.5), "", linestyle=":")
    ax.set(title="Two Gaussians", xlabel="share ρ of the rarer class", xscale="log")
    ax.set(ylabel="balanced error", ylim=(0, 0.5))
    ax.legend(fontsize=8)


# --- ranking: do weights change which of two examples comes first? -------------------------------------

FEATURES, RANKED = 10, 2048

AUROC = Check(
    "auroc",
    "Weights change the AUROC of a linear model by 0.01 at most.",
    Equal(margin=0.01),
    r"\mathrm{AUROC}(\text{weighted}) - \mathrm{AUROC}(\text{plain}) = 0",
    control="labels shuffled",
    positive="the rarer class drawn again and again in place of weights",
    population="generator",
)


def train_rankings(seeds: tuple[int, ...]) -> pd.DataFrame:
    """Areas under the curve over the population, of linear models of two Gaussians in ten dimensions."""
    weight = float(np.exp(-special.logit(SHARES[0])))
    area = imbalance.rankings(seeds, SHARES[0], FEATURES, RANKED, weight)
    return AUROC.rows(
        area["weighted"], area["shuffled"], area["plain"], positive=area["oversampled"], seed=seeds
    )


# --- the study -----------------------------------------------------------------------------------------

CHECKS = (
    SEPARABLE,
    INTERPOLATING,
    BALANCED_ERROR,
    POST_HOC,
    FOCAL_RECALL,
    AUROC,
)
THEORIES = (
    Theory(
        "balanced_error",
        lambda *at: imbalance.balanced_error(*at),
        lambda *at: imbalance.balanced_error_by_quadrature(*at),
        [(0.5, 0.0), (0.1, 0.0), (0.02, 0.0), (0.1, float(np.log(9))), (0.02, float(np.log(49)))],
        1e-9,
    ),
    Theory(
        "gap_of_two",
        lambda *at: imbalance.gap_of_two(*at),
        lambda *at: imbalance.gap_of_two_by_search(*at),
        [(1.0, WEIGHT), (10.0, WEIGHT), (30.0, 5.0)],
        1e-6,
    ),
)


def units(scale: str) -> list[Unit]:
    seeds = range(SEEDS[scale])
    return [
        unit(train_tails, range(DIGITS[scale]), data="digits", few=len(seeds), cost=20),
        *(unit(train_tails, seeds, data=name, few=len(seeds), cost=8) for name in IMAGES),
        unit(follow_boundaries, seeds, looks=LOOKS[scale], cost=5),
        unit(train_lines, seeds, cost=5),
        unit(train_rankings, seeds, cost=5),
    ]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Balanced accuracies of networks, early and late, by what was done about the rare classes."""
    part = rows[rows["quantity"] == "balanced accuracy"]
    look = part.groupby("setting")["x"].rank("dense").map({1.0: "early", 2.0: "late"})
    wide = part.assign(look=look).pivot_table("value", ["setting", "path"], "look", sort=False)
    titles = ["Images", "Training", "Balanced accuracy, early", "late"]
    return wide[["early", "late"]].reset_index().set_axis(titles, axis=1)


def figure(rows: pd.DataFrame):
    """What becomes of weights where classes separate, in the plane and in networks; where they overlap."""
    canvas, axes = figures.panels(3, 1, height=3.5)
    for draw, ax in zip((draw_boundaries, draw_gains, draw_errors), axes, strict=True):
        draw(ax, rows)
    return canvas
