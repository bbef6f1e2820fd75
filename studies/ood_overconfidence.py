"""Overconfidence out of distribution: far away, on other real data, and with no "none of these".

Expect: along any ray a ReLU network grows certain, whatever loss it was trained on; averaged over a Laplace
approximation of its last layer it does not. On other data it is sure of a good part of what belongs to no
class, and the softmax always names one.
Costs twenty seconds at the standard scale. Run it by `crosscheck run ood_overconfidence`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import mpmath
import numpy as np

from crosscheck.claims import Check, Claim, Equal, Exceeds, Identity, Theory, Unit, unit
from crosscheck.lazy import (
    data,
    figures,
    keras,
    losses,
    models,
    pd,
    perceptrons,
    replicates,
    rows,
    special,
)

CLAIM = Claim(
    title="A softmax classifier is overconfident where it knows nothing",
    statement="Cross-entropy only separates the K known classes, and so partitions the whole input space. An "
    "out-of-distribution input may fall deep within a class's region and be given a probability near 1.",
    formula=r"\max_k \mathrm{softmax}(z(\alpha x))_k \to 1 \quad (\alpha \to \infty)",
    source="Advanced Perspectives and Applications; problem 3103448",
    correct="The limit is a property of piecewise-linear networks (Hein et al. 2019), not of cross-entropy: "
    "trained on the Brier score, or with a sigmoid a class, they grow certain on most rays too. Where logits "
    "depend on distances, or where predictions are averaged over a posterior of the last layer (Kristiadi et "
    "al. 2020), the same loss gives no certainty far away.",
)

SEEDS = {"smoke": 8, "standard": 18, "full": 64}  # shares of examples want two more than others
IMAGE_SEEDS = {
    "mnist": {"smoke": 6, "standard": 16, "full": 64},
    "fashion_mnist": {"smoke": 6, "standard": 96, "full": 128},  # close to its margin
}
MOST = {"smoke": 640, "standard": 1500, "full": 20_000}  # examples of a role, at most; 640: whole batches
KINDS = ("classes 8, 9", "gaussian noise", "rotated", "inverted")  # test outliers of the digits
IMAGES = tuple(IMAGE_SEEDS)  # each against the other
SETS = (*KINDS, *IMAGES)
CERTAIN, SURE = 0.99, 0.9
THESE = "these data sets"


# --- the networks: all heads are trained as one --------------------------------------------------------

HEADS = ("softmax", "brier", "sigmoids", "smoothed")  # one network each, told apart by its loss alone
HIDDEN, CENTRES, EPOCHS, BATCH = [64, 64], 128, 40, 64
SMOOTHING = 0.5  # α of the smoothed labels: the largest is ½ + α/K at the least


def train_digits(seeds: tuple[int, ...], most: int) -> Iterator[pd.DataFrame]:
    """Networks of the digits' classes 0 to 5: ReLU under each loss; and of radial basis functions."""
    roles = data.roles("digits", most)
    inputs, classes = roles.x_train.shape[1], len(roles.cast.classes)
    lines = trained(models.perceptron(inputs, HIDDEN, classes), roles, seeds, HEADS)
    radial = replicas_of(models.radial(inputs, CENTRES, classes), roles, seeds, HEADS[:1])
    layers = perceptrons.drawn_layers(lines["softmax"], roles.x_train, seeds)
    predicted = {
        **{name: partial(confidence, name, lines[name]) for name in HEADS},
        "averaged": lambda x: perceptrons.averaged(lines["softmax"], layers, x).max(-1),
        "radial": lambda x: largest(radial.predict(x.astype("float32"), batch_size=len(x))),
    }
    digits = np.concatenate([roles.x_train, roles.x_validation, roles.x_test]).astype("float64")
    yield from ray_rows(predicted, digits, seeds)
    yield from curve_rows(predicted, roles.x_test[::3].astype("float64"), seeds)
    yield from asymptote_rows(lines["softmax"], roles.x_test)
    for name in HEADS:
        correct = perceptrons.logits(lines[name], roles.x_test).argmax(-1) == roles.y_test
        yield rows.tidy(quantity=f"accuracy, {name}", seed=seeds, value=correct.mean(1))
    for kind in KINDS:
        yield from confidence_rows(lines, roles, kind, kind, seeds)
    yield from region_rows(lines, roles, seeds)


def train_images(seeds: tuple[int, ...], name: str, most: int) -> Iterator[pd.DataFrame]:
    """MNIST against Fashion-MNIST, or the other way round, at 16 × 16 pixels."""
    roles = data.roles(name, most)
    build = models.perceptron(roles.x_train.shape[1], HIDDEN, len(roles.cast.classes))
    few = seeds[: SEEDS["standard"]]  # it takes more to tell the claim's share from its margin
    lines = trained(build, roles, seeds, ("softmax",)) | trained(build, roles, few, ("smoothed",))
    yield from confidence_rows(lines, roles, roles.cast.outliers[0], name, seeds)


def trained(build, roles, seeds: tuple[int, ...], heads: tuple[str, ...]) -> dict[str, list[np.ndarray]]:
    """The weights of a network a seed, by head."""
    weights = replicas_of(build, roles, seeds, heads).get_weights()
    parts = [np.split(array, len(heads)) for array in weights]
    return {head: [part[i] for part in parts] for i, head in enumerate(heads)}


def replicas_of(build, roles, seeds: tuple[int, ...], heads: tuple[str, ...]):
    """Replicates trained on one set, head by head; all heads of a seed share start and batches."""
    replicas = replicates.Replicates(build, seeds * len(heads), paired=True)
    switches = {
        name: np.repeat([float(head == name) for head in heads], len(seeds)).astype("float32")
        for name in ("brier", "sigmoids", "smoothed")
    }
    replicas.compile(keras.optimizers.Adam(2e-3), head_loss, loss_arguments=switches)
    y = np.eye(len(roles.cast.classes), dtype="float32")[roles.y_train]
    replicas.fit(roles.x_train, y, batch_size=BATCH, epochs=EPOCHS * 600 // max(600, len(y)))
    return replicas


def head_loss(y_true, outputs, brier, sigmoids, smoothed):
    """Cross-entropy of the softmax, the same on smoothed labels, its Brier score, or cross-entropy of K
    sigmoids, summed: per example, [...]. Of the last three arguments one may be 1, else they are 0.
    """
    soft = smoothed * SMOOTHING
    entropy = losses.categorical_crossentropy(y_true * (1 - soft) + soft / y_true.shape[-1], outputs)
    apart = losses.binary_crossentropy(y_true, outputs) * y_true.shape[-1]
    squared = losses.categorical_brier(y_true, outputs)
    return (1 - brier - sigmoids) * entropy + brier * squared + sigmoids * apart


def confidence(head: str, weights: list[np.ndarray], x: np.ndarray) -> np.ndarray:
    """The largest probability that a network gives to a class, [S, N]."""
    z = perceptrons.logits(weights, x)
    return special.expit(z).max(-1) if head == "sigmoids" else largest(z)


def largest(logits: np.ndarray) -> np.ndarray:
    return special.softmax(np.asarray(logits, "float64"), axis=-1).max(-1)


# --- far, other_losses, bayes_last_layer: is a ReLU network certain far away? --------------------------

RAYS = ("through digits", "in random directions")
DIRECTIONS = 1000
ALPHAS = 10.0 ** np.arange(-1, 5)
FAR = 1000.0  # α
NETS = {
    "softmax": "cross-entropy",
    "brier": "Brier score",
    "sigmoids": "K sigmoids",
    "averaged": "last layer averaged",
    "radial": "radial basis",
}
LOSSES = {"brier": "Brier score", "sigmoids": "K sigmoids"}
FAR_AWAY = Check(
    "far",
    f"At α = {FAR:g}, at least 95 % of the rays αx have a largest probability over {CERTAIN}.",
    Exceeds(margin=0.95),
    r"\max_k p_k(\alpha x) \to 1",
    control="the same rays at α = ½",
    positive=f"the same rays at α = {10 * FAR:g}",
    settings=RAYS,
    population=THESE,
)
OTHER_LOSSES = Check(
    "other_losses",
    "So it is on most rays under other losses: the Brier score, and cross-entropy with a sigmoid a class.",
    Exceeds(margin=0.5),
    r"P\left(\max_k p_k(\alpha x) > 0.99\right) \ge \tfrac12",
    control="the same networks at α = ¼",
    positive="cross-entropy with a softmax",
    settings=tuple(f"{loss}, {ray}" for loss in LOSSES.values() for ray in RAYS),
    scope=True,
    population=THESE,
)
BAYES_LAST_LAYER = Check(
    "bayes_last_layer",
    "Averaged over a Laplace approximation of the last layer, it is certain at α = 1000 on at most 5 % of "
    "the rays.",
    Equal(margin=0.05),
    r"P\left(\max_k \mathbb{E}_{\mathbf{W} \mid \mathcal{D}}\, p_k(\alpha x) > 0.99\right) = 0",
    control="the last layer as it was trained, a single set of weights",
    positive="radial basis functions in place of ReLU: far from all centres the logits are the biases",
    settings=RAYS,
    scope=True,
    population=THESE,
)


def certainty(gap: float, alpha: float, classes: int) -> float:
    """Confidence where one logit grows with slope `gap` above all others: 1 / (1 + (K − 1) e^(−gap α))."""
    return 1 / (1 + (classes - 1) * math.exp(-gap * alpha))


def certainty_in_digits(gap: float, alpha: float, classes: int) -> float:
    parts = [mpmath.exp(mpmath.mpf(gap) * alpha), *[mpmath.mpf(1)] * (classes - 1)]
    return float(parts[0] / mpmath.fsum(parts))


def ray_rows(predicted, digits: np.ndarray, seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Shares of rays on which each network is certain."""
    directions = np.random.default_rng(0).normal(size=(DIRECTIONS, digits.shape[1]))
    for ray, x in zip(RAYS, (digits, directions), strict=True):
        certain = lambda name, alpha=FAR, x=x: (predicted[name](alpha * x) > CERTAIN).mean(1)
        columns: dict[str, Any] = {"setting": ray, "seed": seeds, "x": FAR, "trials": len(x)}
        far, averaged = certain("softmax"), certain("averaged")
        yield FAR_AWAY.rows(far, certain("softmax", 0.5), positive=certain("softmax", 10 * FAR), **columns)
        yield BAYES_LAST_LAYER.rows(averaged, far, positive=certain("radial"), **columns)
        for head, loss in LOSSES.items():
            columns = {**columns, "setting": f"{loss}, {ray}"}
            yield OTHER_LOSSES.rows(certain(head), certain(head, 0.25), positive=far, **columns)


def curve_rows(predicted, x: np.ndarray, seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Share of certain rays against α, and the mean of the largest probabilities, through test digits."""
    for net, alpha in itertools.product(NETS, ALPHAS):
        p = predicted[net](alpha * x)
        for quantity, value in (("certain", (p > CERTAIN).mean(1)), ("confidence", p.mean(1))):
            yield rows.tidy(quantity=f"{quantity}, {net}", seed=seeds, x=alpha, value=value)


def draw_along(ax, rows: pd.DataFrame, quantity: str) -> None:
    """Every replicate as a thin line, their mean as a thick one."""
    for (net, label), colour in zip(NETS.items(), figures.PALETTE, strict=False):
        wide = rows[rows["quantity"] == f"{quantity}, {net}"].pivot_table("value", "x", "seed")
        ax.plot(wide.index, wide, color=colour, alpha=0.2, linewidth=0.6)
        ax.plot(wide.index, wide.mean(axis=1), color=colour, label=label)
    ax.set(xlabel="α, of rays αx through test digits", xscale="log", ylim=(-0.04, 1.12))
    ax.axvline(1, color="0.75", linewidth=1, zorder=0)


def draw_certain(ax, rows: pd.DataFrame) -> None:
    draw_along(ax, rows, "certain")
    figures.theory_line(ax, ALPHAS, 1.0, "limit of a ReLU network")
    ax.set(title="Rays with a probability over 0.99", ylabel="share of rays")
    ax.legend(fontsize=8, loc="center right")


def draw_confidence(ax, rows: pd.DataFrame) -> None:
    draw_along(ax, rows, "confidence")
    ax.set(title="Largest probability, mean over rays", ylabel="probability")


# --- asymptote: with what slope do the logits grow along a ray? ----------------------------------------

BEYOND = 1e9  # α past which no unit switches on or off any more
ASYMPTOTE = Check(
    "asymptote",
    "Past the last kink the logits' slope along a ray is what the network gives at x without its biases.",
    Identity(ulps=64),  # of the largest slope: three layers of up to 64 rounded products each
    r"\frac{z(2\alpha x) - z(\alpha x)}{\alpha} = z_{b = 0}(x)",
    control="the network with its biases",
    positive="the product of the layers of the last piece",
    exact=True,
)


def asymptote_rows(weights, x: np.ndarray) -> Iterator[pd.DataFrame]:
    """Slopes of the logits at the end of every ray through `x`, one row a replicate."""
    x = x.astype("float64")
    ends = (perceptrons.logits(weights, times * BEYOND * x) for times in (2, 1))
    slope = (next(ends) - next(ends)) / BEYOND  # [R, N, K]
    bare = perceptrons.logits(weights, x, biases=False)
    piece = perceptrons.slope_of_piece(weights, BEYOND * x) / BEYOND
    ulp = np.finfo("float64").eps * np.abs(bare).max((1, 2))
    pairs = ((slope, bare), (slope, perceptrons.logits(weights, x)), (piece, bare))
    claim, control, positive = (np.abs(a - b).max((1, 2)) / ulp for a, b in pairs)
    yield ASYMPTOTE.rows(claim, control, positive=positive, resolution=1.0)


# --- real: is it sure of real data that belong to no class? --------------------------------------------

REAL = Check(
    "real",
    f"At least one outlier in ten is given a probability over {SURE}.",
    Exceeds(margin=0.1),
    rf"P\left(\max_k p_k > {SURE}\right) \ge 0.1",
    control=f"trained alike on labels smoothed by {SMOOTHING:g}",
    positive="test examples of the known classes in place of outliers",
    settings=SETS,
    scope=True,  # the chapter says that a classifier can be overconfident, not that every one is
    population=THESE,
)


def confidence_rows(lines, roles, kind: str, setting: str, seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Shares of outliers of a kind, and of test examples, with a confidence over each threshold."""
    outliers = roles.outliers[kind]
    inside, outside = (confidence("softmax", lines["softmax"], x) for x in (roles.x_test, outliers))
    smoothed = confidence("smoothed", lines["smoothed"], outliers)
    for arm, p in (("claim", outside), ("control", smoothed), ("positive", inside)):
        share = (p > SURE).mean(1)
        error = np.sqrt(share * (1 - share) / p.shape[1])
        yield REAL.rows(**{arm: share}, resolution=error, setting=setting, seed=seeds[: len(p)])
    columns = {"setting": setting, "seed": seeds}
    for (role, p), x in itertools.product((("in", inside), ("out", outside)), (SURE, CERTAIN)):
        yield rows.tidy(quantity=f"{role}, over", x=x, value=(p > x).mean(1), **columns)
    correct = perceptrons.logits(lines["softmax"], roles.x_test).argmax(-1) == roles.y_test
    yield rows.tidy(quantity="accuracy", value=correct.mean(1), **columns)


def draw_real(ax, rows: pd.DataFrame) -> None:
    settings = [setting for setting in SETS if (rows["setting"] == setting).any()]
    places = np.arange(len(settings))
    for shift, role, colour in ((-0.2, "in", figures.PALETTE[0]), (0.2, "out", figures.PALETTE[1])):
        for threshold, alpha in ((SURE, 0.4), (CERTAIN, 1.0)):
            part = rows[(rows["quantity"] == f"{role}, over") & (rows["x"] == threshold)]
            height = part.groupby("setting")["value"].mean()[settings]
            label = f"{role}: over {threshold:g}"
            ax.bar(places + shift, height, 0.38, color=colour, alpha=alpha, label=label)
    names = {"mnist": "MNIST:\nFashion", "fashion_mnist": "Fashion:\nMNIST"}
    labels = [names.get(setting, setting.replace(" ", "\n", 1)) for setting in settings]
    ax.set_xticks(places, labels, fontsize=8)
    ax.set(title="Confident predictions", ylabel="share of inputs", ylim=(0, 1.3))
    ax.set_yticks(np.linspace(0, 1, 6))
    ax.legend(fontsize=8, ncol=2, loc="upper center")


# --- partition: does some class always claim the input? ------------------------------------------------

PARTITION = Check(
    "partition",
    "Every outlier falls into the region of one class, whose logit exceeds all others', as it does with "
    "every largest output (share of the outliers of all kinds and networks).",
    Equal(margin=0.01),
    r"P\left(\exists!\, k: p_k = \max_j p_j\right) = 1",
    control="the same network with a sigmoid a class, a region being where p > ½",
    positive="the same network trained on the Brier score",
    exact=True,
)


def region_rows(lines, roles, seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Shares of outliers in the region of a class: where an output is the largest, or a sigmoid over ½."""
    shares = []
    for kind in KINDS:
        logits = {head: perceptrons.logits(lines[head], roles.outliers[kind]) for head in HEADS}
        ranked = (np.sort(logits[head], axis=-1) for head in ("softmax", "brier"))
        claimed = [(z[..., -1] > z[..., -2]).mean(1) for z in ranked]
        shares.append([claimed[0], (logits["sigmoids"] > 0).any(-1).mean(1), claimed[1]])
        for label, share in zip(("softmax", "K sigmoids"), shares[-1], strict=False):
            yield rows.tidy(quantity=f"claimed by {label}", value=share, setting=kind, seed=seeds)
    claim, control, positive = np.mean(shares, axis=(0, 2))
    yield PARTITION.rows(claim, control, 1.0, positive=positive)


def draw_regions(ax, rows: pd.DataFrame) -> None:
    places = np.arange(len(KINDS))
    for i, label in enumerate(("softmax", "K sigmoids")):
        part = rows[rows["quantity"] == f"claimed by {label}"]
        height = part.groupby("setting")["value"].mean()[list(KINDS)]
        ax.bar(places + 0.4 * (i - 0.5), height, 0.38, label=label, color=figures.PALETTE[i])
    ax.set_xticks(places, [kind.replace(" ", "\n", 1) for kind in KINDS], fontsize=8)
    ax.set(title="Outliers that some class claims", ylabel="share of outliers", ylim=(0, 1.3))
    ax.set_yticks(np.linspace(0, 1, 6))
    ax.legend(fontsize=8, ncol=2, loc="upper center")


# --- all of it -----------------------------------------------------------------------------------------

CHECKS = (FAR_AWAY, OTHER_LOSSES, BAYES_LAST_LAYER, ASYMPTOTE, REAL, PARTITION)
THEORIES = (Theory("certainty", certainty, certainty_in_digits, [(0.1, 10.0, 10), (0.01, 1000.0, 6)]),)


def units(scale: str) -> list[Unit]:
    most = MOST[scale]
    images = [
        unit(train_images, range(counts[scale]), data=data.CASTS[name].reads, cost=10, name=name, most=most)
        for name, counts in IMAGE_SEEDS.items()
    ]
    return [unit(train_digits, range(SEEDS[scale]), data=("digits",), cost=12, most=most), *images]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Shares of confident predictions, in distribution and out, mean over seeds."""
    mean = lambda part: part.groupby("setting", sort=False)["value"].mean()
    shares = {
        f"{role}, over {x:g}": mean(part)
        for role in ("in", "out")
        for x, part in rows[rows["quantity"] == f"{role}, over"].groupby("x")
    }
    accuracy = mean(rows[rows["quantity"] == "accuracy"])
    wide = pd.DataFrame({"Accuracy in distribution": accuracy, **shares})
    wide.index = [against(setting) for setting in wide.index]
    return wide.rename_axis("In distribution against outliers").reset_index()


def against(setting: str) -> str:
    names = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}
    if setting in names:
        return " against ".join([names[setting], *(n for s, n in names.items() if s != setting)])
    return f"digits 0–5 against {setting}"


def figure(rows: pd.DataFrame):
    """Along rays: certainty and confidence. On other data: confidence; and whom the regions claim."""
    canvas, axes = figures.panels(2, 2)
    for panel, ax in zip((draw_certain, draw_confidence, draw_real, draw_regions), axes, strict=True):
        panel(ax, rows)
    return canvas
