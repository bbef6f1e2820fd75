"""Overconfidence out of distribution: far away, on other real data, and with no "none of these".

Expect: along any ray a ReLU network grows certain; on other data it is sure of a good part of what belongs to
no class; the softmax always names one. Bounded logits, distances and separate sigmoids do otherwise.
Costs fifteen seconds at the standard scale. Run it by `crosscheck run ood_overconfidence`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np

from crosscheck.claims import Check, Claim, Equal, Exceeds, Identity, Theory, Unit, unit
from crosscheck.lazy import data, figures, keras, losses, models, pd, replicates, rows, special

CLAIM = Claim(
    title="A softmax classifier is overconfident where it knows nothing",
    statement="Cross-entropy only separates the K known classes, and so partitions the whole input space. An "
    "out-of-distribution input may fall deep within a class's region and be given a probability near 1.",
    formula=r"\max_k \mathrm{softmax}(z(\alpha x))_k \to 1 \quad (\alpha \to \infty)",
    source="Advanced Perspectives and Applications; problem 3103448",
    correct="The limit is a property of piecewise-linear networks (Hein et al. 2019), not of cross-entropy: "
    "with logits that are bounded, or that depend on distances, the same loss gives no certainty far away.",
)

SEEDS = {"smoke": 8, "standard": 16, "full": 64}
IMAGE_SEEDS = {
    "mnist": {"smoke": 8, "standard": 16, "full": 64},
    "fashion_mnist": {"smoke": 8, "standard": 40, "full": 64},  # close to its margin
}
MOST = {"smoke": 640, "standard": 1500, "full": 20_000}  # examples of a role, at most; 640: whole batches
KINDS = ("classes 8, 9", "gaussian noise", "rotated", "inverted")  # test outliers of the digits
IMAGES = tuple(IMAGE_SEEDS)  # each against the other
SETS = (*KINDS, *IMAGES)
CERTAIN, SURE = 0.99, 0.9


# --- the networks: all heads are trained as one --------------------------------------------------------

LINES, DISTANCES = ("softmax", "bounded", "sigmoids"), ("softmax", "sigmoids")  # heads, trained at once
NETS = {"softmax": "ReLU", "bounded": "logits within ± 1.5", "radial": "radial basis"}
HIDDEN, CENTRES, EPOCHS, BATCH = [64, 64], 128, 40, 64
LIMIT = 1.5  # of the bounded logits c tanh(z / c): of six classes none has a probability over 0.81


def train_digits(seeds: tuple[int, ...], most: int) -> Iterator[pd.DataFrame]:
    """Networks of the digits' classes 0 to 5: ReLU, bounded, radial; a softmax, or separate sigmoids."""
    roles = data.roles("digits", most)
    inputs, classes = roles.x_train.shape[1], len(roles.cast.classes)
    lines = trained(models.perceptron(inputs, HIDDEN, classes), roles, seeds, LINES)
    distances = trained(models.radial(inputs, CENTRES, classes), roles, seeds, DISTANCES)
    yield from ray_rows(lines, distances, roles.x_test, seeds)
    yield from asymptote_rows([array[: len(seeds)] for array in lines.get_weights()], roles.x_test)
    for net, z in by_net(lines, distances, roles.x_test).items():
        correct = (z.argmax(-1) == roles.y_test).mean(1)
        yield rows.tidy(quantity=f"accuracy, {net}", seed=seeds, value=correct)
    for kind in KINDS:
        yield from confidence_rows(lines, roles, kind, kind, seeds)
    for kind in KINDS:
        yield from region_rows(lines, distances, roles, kind, seeds)


def train_images(seeds: tuple[int, ...], name: str, most: int) -> Iterator[pd.DataFrame]:
    """MNIST against Fashion-MNIST, or the other way round, at 16 × 16 pixels."""
    roles = data.roles(name, most)
    build = models.perceptron(roles.x_train.shape[1], HIDDEN, len(roles.cast.classes))
    lines = trained(build, roles, seeds, LINES[:2])
    yield from confidence_rows(lines, roles, roles.cast.outliers[0], name, seeds)


def trained(build, roles, seeds: tuple[int, ...], heads: tuple[str, ...]):
    """Replicates on one set, head by head: "softmax", "bounded" or "sigmoids"."""
    replicas = replicates.Replicates(build, seeds * len(heads), paired=True)
    switches = {
        name: np.repeat([float(head == name) for head in heads], len(seeds)).astype("float32")
        for name in ("bounded", "sigmoids")
    }
    replicas.compile(keras.optimizers.Adam(2e-3), head_loss, loss_arguments=switches)
    y = np.eye(len(roles.cast.classes), dtype="float32")[roles.y_train]
    replicas.fit(roles.x_train, y, batch_size=BATCH, epochs=EPOCHS * 600 // max(600, len(y)))
    return replicas


def head_loss(y_true, outputs, bounded, sigmoids):
    """Cross-entropy of the softmax, of bounded logits, or of K sigmoids, summed: nats per example, [...].

    `bounded` and `sigmoids` are 1 where they apply, else 0.
    """
    capped = LIMIT * keras.ops.tanh(outputs / LIMIT)
    together = losses.categorical_crossentropy(y_true, bounded * capped + (1 - bounded) * outputs)
    apart = losses.binary_crossentropy(y_true, outputs) * y_true.shape[-1]
    return (1 - sigmoids) * together + sigmoids * apart


def by_head(replicas, x: np.ndarray, heads: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The logits of every head, float64 [S, N, K]."""
    parts = np.split(replicas.predict(x, batch_size=len(x)).astype("float64"), len(heads))
    logits = dict(zip(heads, parts, strict=True))
    return logits | {"bounded": LIMIT * np.tanh(logits["bounded"] / LIMIT)} if "bounded" in logits else logits


def by_net(lines, distances, x: np.ndarray) -> dict[str, np.ndarray]:
    """The logits of the ReLU networks by head, and of the radial ones under a softmax, float64 [S, N, K]."""
    return by_head(lines, x, LINES) | {"radial": by_head(distances, x, DISTANCES)["softmax"]}


# --- far: is a ReLU network certain far away? ----------------------------------------------------------

RAYS = ("through test digits", "in random directions")
ALPHAS = np.round(10 ** np.arange(-1, 4.1, 0.5), 6)
FAR = 1000.0  # α
FAR_AWAY = Check(
    "far",
    f"At α = {FAR:g}, at least 95 % of the rays αx have a largest probability over {CERTAIN}.",
    Exceeds(margin=0.95),
    r"\max_k p_k(\alpha x) \to 1",
    control="radial basis functions in place of ReLU: far from all centres the logits are the biases",
    settings=RAYS,
)


def certainty(gap: float, alpha: float, classes: int) -> float:
    """Confidence where one logit grows with slope `gap` above all others: 1 / (1 + (K − 1) e^(−gap α))."""
    return 1 / (1 + (classes - 1) * math.exp(-gap * alpha))


def certainty_in_digits(gap: float, alpha: float, classes: int) -> float:
    parts = [mpmath.exp(mpmath.mpf(gap) * alpha), *[mpmath.mpf(1)] * (classes - 1)]
    return float(parts[0] / mpmath.fsum(parts))


def ray_rows(lines, distances, x_test: np.ndarray, seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Share of certain rays, and minus the mean energy, against α."""
    directions = np.random.default_rng(0).normal(size=(len(x_test), x_test.shape[1]))
    for setting, x in zip(RAYS, (x_test, directions), strict=True):
        along = np.concatenate([alpha * x for alpha in ALPHAS]).astype("float32")
        logits = by_net(lines, distances, along)
        for net in NETS:
            z = logits[net].reshape(len(seeds), len(ALPHAS), len(x), -1)
            share = (special.softmax(z, axis=-1).max(-1) > CERTAIN).mean(-1)  # [R, A]
            depth = special.logsumexp(z, axis=-1).mean(-1)
            columns: dict[str, Any] = {"setting": setting, "seed": np.array(seeds)[:, None], "x": ALPHAS}
            yield rows.tidy(quantity=f"certain, {net}", value=share, **columns)
            yield rows.tidy(quantity=f"depth, {net}", value=depth, **columns)
            if arm := {"softmax": "claim", "radial": "control"}.get(net):
                far = share[:, list(ALPHAS).index(FAR)]
                error = np.sqrt(far * (1 - far) / len(x))
                columns = {"setting": setting, "seed": seeds, "x": FAR, "resolution": error}
                yield FAR_AWAY.rows(**{arm: far}, **columns)


def draw_along(ax, rows: pd.DataFrame, quantity: str) -> None:
    """Every replicate as a thin line, their mean as a thick one."""
    for (net, label), colour in zip(NETS.items(), figures.PALETTE, strict=False):
        part = rows[(rows["quantity"] == f"{quantity}, {net}") & (rows["setting"] == RAYS[0])]
        wide = part.pivot_table("value", "x", "seed")
        ax.plot(wide.index, wide, color=colour, alpha=0.25, linewidth=0.7)
        accuracy = rows.loc[rows["quantity"] == f"accuracy, {net}", "value"].mean()
        label = f"{label} (accuracy {accuracy:.2f})" if quantity == "certain" else label
        ax.plot(wide.index, wide.mean(axis=1), color=colour, label=label)
    ax.set(xlabel="α, of rays αx through test digits", xscale="log")
    ax.axvline(1, color="0.75", linewidth=1, zorder=0)


def draw_certain(ax, rows: pd.DataFrame) -> None:
    draw_along(ax, rows, "certain")
    figures.theory_line(ax, ALPHAS, 1.0, "limit of a ReLU network")
    ax.set(title="Rays with a probability over 0.99", ylabel="share of rays", ylim=(-0.04, 1.12))
    ax.legend(fontsize=8, loc="center right")


# --- asymptote: with what slope do the logits grow along a ray? ----------------------------------------

BEYOND = 1e9  # α past which no unit switches on or off any more
ASYMPTOTE = Check(
    "asymptote",
    "Past the last kink the logits' slope along a ray is what the network gives at x without its biases.",
    Identity(ulps=64),  # of the largest slope: three layers of up to 64 rounded products each
    r"\frac{z(2\alpha x) - z(\alpha x)}{\alpha} = z_{b = 0}(x)",
    control="the network with its biases",
    exact=True,
)


def asymptote_rows(weights, x: np.ndarray) -> Iterator[pd.DataFrame]:
    """Slopes of the logits at the end of every ray through `x`, in float64, one row a replicate."""
    x = x.astype("float64")
    slope = (forward(weights, 2 * BEYOND * x) - forward(weights, BEYOND * x)) / BEYOND  # [R, N, K]
    bare = forward(weights, x, biases=False)
    ulp = np.finfo("float64").eps * np.abs(bare).max((1, 2), keepdims=True)
    off = [np.abs(slope - theory) / ulp for theory in (bare, forward(weights, x))]
    yield rows.tidy(quantity="slope", setting=RAYS[0], value=bare.max(-1).mean())
    yield ASYMPTOTE.rows(*(deviation.max((1, 2)) for deviation in off), resolution=1.0)


def forward(weights, x: np.ndarray, biases: bool = True) -> np.ndarray:
    """The perceptrons' logits in float64: [R, N, K], for `x` [N, D]."""
    h = x
    for layer in range(0, len(weights), 2):
        h = np.maximum(h, 0) if layer else h
        h = h @ weights[layer].astype("float64") + (biases * weights[layer + 1].astype("float64"))[:, None]
    return h


def draw_energy(ax, rows: pd.DataFrame) -> None:
    draw_along(ax, rows, "depth")
    slope = rows.loc[rows["quantity"] == "slope", "value"].mean()
    far = ALPHAS[ALPHAS > 1]
    figures.theory_line(ax, far, slope * far, "α × slope without biases")
    ax.set(title="Minus the energy, mean over rays", ylabel="−E (nats)", yscale="symlog")
    ax.set_yticks([0, 1, 10, 100, 1000, 10_000, 100_000])
    ax.legend(fontsize=8, loc="upper left")


# --- real: is it sure of real data that belong to no class? --------------------------------------------

REAL = Check(
    "real",
    f"At least one outlier in ten is given a probability over {SURE}.",
    Exceeds(margin=0.1),
    rf"P\left(\max_k p_k > {SURE}\right) \ge 0.1",
    control=f"logits bounded by ± {LIMIT:g}, trained alike",
    settings=SETS,
    scope=True,  # the chapter says that a classifier can be overconfident, not that every one is
)


def cap(classes: int, limit: float) -> float:
    """The largest probability that logits within ± c can give: 1 / (1 + (K − 1) e^(−2c))."""
    return 1 / (1 + (classes - 1) * math.exp(-2 * limit))


def cap_by_search(classes: int, limit: float) -> float:
    corners = np.array(np.meshgrid(*[[-limit, limit]] * classes)).reshape(classes, -1)
    return float(special.softmax(corners, axis=0).max())


def confidence_rows(lines, roles, kind: str, setting: str, seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Shares of outliers of a kind, and of test examples, with a confidence over each threshold."""
    heads = LINES[: len(lines) // len(seeds)]
    inside, outside = (by_head(lines, x, heads) for x in (roles.x_test, roles.outliers[kind]))
    columns = {"setting": setting, "seed": seeds}
    for arm, head in (("claim", "softmax"), ("control", "bounded")):
        share = over(outside[head], SURE)
        error = np.sqrt(share * (1 - share) / outside[head].shape[1])
        yield REAL.rows(**{arm: share}, resolution=error, **columns)
    for role, logits in (("in", inside), ("out", outside)):
        for threshold in (SURE, CERTAIN):
            share = over(logits["softmax"], threshold)
            yield rows.tidy(quantity=f"{role}, over", x=threshold, value=share, **columns)
    accuracy = (inside["softmax"].argmax(-1) == roles.y_test).mean(1)
    yield rows.tidy(quantity="accuracy", value=accuracy, **columns)


def over(logits: np.ndarray, threshold: float) -> np.ndarray:
    """Share of inputs whose largest probability exceeds the threshold: [R]."""
    return (special.softmax(logits, axis=-1).max(-1) > threshold).mean(1)


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
    "Every outlier falls into the region of one class, whose probability exceeds all others'.",
    Equal(margin=0.01),
    r"P\left(\exists!\, k: p_k = \max_j p_j\right) = 1",
    control="K sigmoids of distances under binary cross-entropy, a region being where p > ½",
    settings=KINDS,
)


def region_rows(lines, distances, roles, kind: str, seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Share of outliers in the region of a class, by the softmax and by separate sigmoids."""
    straight = by_head(lines, roles.outliers[kind], LINES)
    apart = by_head(distances, roles.outliers[kind], DISTANCES)["sigmoids"]
    ranked = np.sort(straight["softmax"], axis=-1)
    claimed = (ranked[..., -1] > ranked[..., -2]).mean(1)
    of_lines, of_distances = ((z > 0).any(-1).mean(1) for z in (straight["sigmoids"], apart))
    yield PARTITION.rows(claimed, of_distances, 1.0, setting=kind, seed=seeds)
    yield rows.tidy(quantity="claimed by sigmoids", value=of_lines, setting=kind, seed=seeds)


def draw_regions(ax, rows: pd.DataFrame) -> None:
    judged, places = rows[rows["check"] == PARTITION.id], np.arange(len(KINDS))
    shown = {
        "softmax": judged[judged["arm"] == "claim"],
        "K sigmoids": rows[rows["quantity"] == "claimed by sigmoids"],
        "K sigmoids of distances": judged[judged["arm"] == "control"],
    }
    for i, (label, part) in enumerate(shown.items()):
        height = part.groupby("setting")["value"].mean()[list(KINDS)]
        ax.bar(places + 0.27 * (i - 1), height, 0.25, label=label, color=figures.PALETTE[i])
    ax.set_xticks(places, [kind.replace(" ", "\n", 1) for kind in KINDS], fontsize=8)
    ax.set(title="Outliers that some class claims", ylabel="share of outliers", ylim=(0, 1.3))
    ax.set_yticks(np.linspace(0, 1, 6))
    ax.legend(fontsize=8, ncol=2, loc="upper center")


# --- all of it -----------------------------------------------------------------------------------------

CHECKS = (FAR_AWAY, ASYMPTOTE, REAL, PARTITION)
THEORIES = (
    Theory("cap", cap, cap_by_search, [(2, 0.5), (6, 2.0), (10, 2.0)]),
    Theory("certainty", certainty, certainty_in_digits, [(0.1, 10.0, 10), (0.01, 1000.0, 6)]),
)


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
    """Along rays: certainty and energy. On other data: confidence; and whom the regions claim."""
    canvas, axes = figures.panels(2, 2)
    for panel, ax in zip((draw_certain, draw_energy, draw_real, draw_regions), axes, strict=True):
        panel(ax, rows)
    return canvas
