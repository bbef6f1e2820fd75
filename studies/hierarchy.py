"""Classes in a tree: a flat softmax already is the hierarchical one, and a weight moves no reachable optimum.

Expect: cross-entropy splits along any tree; where the model falls short, a weight on the coarse part makes
mistakes a little milder, and so does deciding for the least expected distance. Costs a minute at the standard
scale. Run it with `crosscheck run hierarchy`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from crosscheck.claims import Check, Claim, Equal, Exceeds, Identity, Theory, Unit, unit
from crosscheck.lazy import autodiff, figures, losses, pd, rows, scores, tier_panels, tiers

CLAIM = Claim(
    title="A flat softmax already is the hierarchical one; a weight on the tree trades what the model lacks",
    statement="Cross-entropy is adapted to hierarchical classification: weighting the coarse part makes "
    "mistakes milder.",
    formula=r"\mathcal{L}_w = \mathrm{CE}(\text{fine}) + w\, \mathrm{CE}(\text{coarse})",
    source="Introduction; Bertinetto et al. 2020; Karthik et al. 2021",
    correct="With z_c = ln Σ_{k ∈ c} e^(z_k) any softmax is a tree of softmaxes, and both parts are least at "
    "the true probabilities: a weight can trade only what capacity or examples deny. There a small one makes "
    "mistakes a little milder; so does, without any, the decision for the least expected distance, "
    "argmax p_k + p_{c(k)}: neither is always the better.",
)
SEEDS = {"smoke": 6, "standard": 20, "full": 64}
SPLITS, FEW = {"smoke": 6, "standard": 32, "full": 64}, 16  # a sigmoid a node takes few
TREES = {"K = 6": np.arange(6) // 2, "K = 10": np.array([0, 0, 1, 1, 1, 1, 1, 1, 0, 0])}
TREES["K = 150"] = np.arange(150) // 15
EPS = float(np.finfo("float64").eps)


# --- the tree that is already there ------------------------------------------------------------------------

CHAIN_RULE = Check(
    "chain_rule",
    "The cross-entropy of a flat softmax is that of the domain plus that of the class within it.",
    Identity(ulps=8),
    r"-\ln p_k = -\ln p_{c(k)} - \ln p_{k \mid c(k)}",
    control="the domain's part by another tree, its classes shuffled",
    positive="all classes in one domain",
    settings=tuple(TREES),
    exact=True,
)
FLAT_IS_TREE = Check(
    "flat_is_tree",
    "A softmax over domains with the logits ln Σ e^z of their classes, times one within each domain, is the "
    "flat softmax (in logarithms).",
    Identity(ulps=8),
    r"z_c = \ln \textstyle\sum_{k \in c} e^{z_k}",
    control="the mean of the classes' logits as the domain's",
    positive="every class a domain of its own",
    settings=tuple(TREES),
    exact=True,
)
COARSE_GRADIENT = Check(
    "coarse_gradient",
    "The coarse part's gradient is p, less each class's share of its domain where that is the true one.",
    Identity(ulps=4),
    r"p_k - 1[k \in c^*]\, p_k / p_{c^*}",
    control="the fine part's gradient",
    positive="every class a domain of its own, where it is p − y",
    settings=tuple(TREES),
    exact=True,
)


def measure_tree(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Values, probabilities and gradients of random logits, on three tiers."""
    for setting, tree in TREES.items():
        z, label = tiers.logits_and_labels(len(tree))
        one, own = np.zeros_like(tree), np.arange(len(tree))
        theory = -tiers.log_softmax(z)[np.arange(50), label].astype("float64")
        other = np.random.default_rng(1).permutation(tree)
        values = [tiers.cost_by_tree(z, label, *pair) for pair in ((tree, tree), (tree, other), (one, one))]
        place = {"setting": setting, "resolution": EPS * np.maximum(1, theory)}
        yield CHAIN_RULE.rows(values[0], values[1], theory, positive=values[2], **place)
        theory = tiers.log_softmax(z).astype("float64")
        place["resolution"] = EPS * np.maximum(1, -theory)
        logs = [tiers.log_tree(z, tree), tiers.log_tree(z, tree, tiers.mean_logits), tiers.log_tree(z, own)]
        yield FLAT_IS_TREE.rows(logs[0], logs[1], theory, positive=logs[2], **place)
        yield from gradient_rows(z, label, tree, {"setting": setting, "resolution": EPS})


def gradient_rows(z: np.ndarray, label: np.ndarray, tree: np.ndarray, place: dict) -> Iterator[pd.DataFrame]:
    y, own = scores.one_hot(label, len(tree)), np.arange(len(tree))
    coarse = lambda tree: autodiff.logit_gradient(lambda y, z: tiers.coarse_loss(y, z, tree), y, z)
    fine = autodiff.logit_gradient(losses.categorical_crossentropy, y, z)
    yield COARSE_GRADIENT.rows(coarse(tree), fine, tiers.coarse_gradient(z, label, tree), **place)
    theory = tiers.coarse_gradient(z, label, own)
    yield COARSE_GRADIENT.rows(positive=coarse(own), reference=theory, **place)


# --- what the weight moves, where the model can reach the truth, and where it cannot -----------------------

WEIGHTS = (0.0, 1.0, 4.0, 16.0)
EXAMPLES = 32_768
EACH, HELD_OUT, EPOCHS = 10, 40, 15  # examples of each intent
COMPONENTS = {"8 components": (8, 0.2), "64 components": (64, 0.05)}  # of CLINC150, and Adam's first rate
WEIGHED = (0.0, 1.0, 4.0)

SAME_OPTIMUM = Check(
    "same_optimum",
    "Where the model is right, the weight moves nothing: predictions are as far from the truth as without it "
    "(root mean square).",
    Equal(margin=0.01),
    r"\arg\min_p \mathbb{E}\,\mathcal{L}_w = \eta \text{ for every } w",
    control="no weight, and targets softened by distance, β = 1",
    positive="the weight on a tree of shuffled classes",
    population="generator",
    settings=tuple(f"w = {w:g}" for w in WEIGHTS[1:]),
)
COARSE_RISES = Check(
    "coarse_rises",
    "On CLINC150, ten examples an intent, the weight 4 raises coarse accuracy by 0.005 at least.",
    Exceeds(margin=0.005),
    r"\mathrm{acc}_{\text{coarse}}(4) - \mathrm{acc}_{\text{coarse}}(0)",
    control="the weight on a random tree of the same sizes",
    positive="intents drawn from the weighted model's own probabilities",
    population="splits of this set",
    settings=tuple(COMPONENTS),
)
FINE_FALLS = Check(
    "fine_falls",
    "Where the model is poor, it lowers fine accuracy by 0.005 at least.",
    Exceeds(margin=0.005),
    r"\mathrm{acc}_{\text{fine}}(0) - \mathrm{acc}_{\text{fine}}(4)",
    control="coarse accuracy in place of fine",
    positive="the weight on a random tree of the same sizes",
    population="splits of this set",
    settings=("8 components",),
)
MILDER = Check(
    "milder",
    "The better weight of 1 and 4 (in hindsight) makes mistakes milder: the likeliest class's mean distance "
    "over all examples falls by 0.005 at least.",
    Exceeds(margin=0.005),
    r"d_0(\arg\max p) - \min_w d_w(\arg\max p)",
    control="a weight of 4 on a random tree of the same sizes",
    positive="intents drawn from the weighted model's own probabilities",
    population="splits of this set",
    settings=tuple(COMPONENTS),
)
DECISION = Check(
    "decision",
    "Deciding for the least expected distance lowers the mean distance over all examples, by 0.001 at least.",
    Exceeds(margin=0.001),  # a rule that changes nothing must not pass
    r"\arg\max_k\, p_k + p_{c(k)}",
    control="the domain's probability taken away rather than added",
    positive="chances 0.3, 0.3 in one domain, 0.4 in another",
    population="splits of this set",
    settings=tuple(COMPONENTS),
)
DECISION_SIZE = Check(
    "decision_size",
    "It lowers it by 0.02 at least.",
    Exceeds(margin=0.02),
    r"d(\arg\max p) - d(\arg\max_k\, p_k + p_{c(k)})",
    control="expected distance in a random tree of the same sizes",
    positive="chances 0.3, 0.3 in one domain, 0.4 in another",
    population="splits of this set",
    settings=tuple(COMPONENTS),
    scope=True,
)
DECISION_BEATS = Check(
    "decision_beats_training",
    "So decided, the unweighted model's mistakes are at least as mild as the likeliest class's of the better "
    "weight of 1 and 4 (in hindsight).",
    Exceeds(margin=0.0),
    r"\min_w d_w(\arg\max p) - d_0(\arg\max p_k + p_{c(k)}) \ge 0",
    control="decided by a random tree",
    positive="intents drawn from the unweighted model's own probabilities",
    population="splits of this set",
    settings=tuple(COMPONENTS),
    scope=True,
)


def train_gaussian(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Six Gaussian classes in three domains, of which a linear softmax can express the truth."""
    tree, order = tiers.SIX, np.array([0, 2, 4, 1, 3, 5])
    x, hard = tiers.gaussian_tree(seeds, EXAMPLES // 64)
    arms = {f"w = {w:g}": (w, hard) for w in WEIGHTS}
    arms["soft"] = (0.0, hard @ tiers.smoothed_by_distance(tree, 1.0))
    arms["shuffled"] = (WEIGHTS[2], hard[..., order])
    p = tiers.trained(seeds, arms, x, x, tree, 0.05, 1500)
    p["shuffled"] = p["shuffled"][..., np.argsort(order)]
    truth = tiers.gaussian_posterior(x)
    off = {arm: np.sqrt(np.square(at - truth).mean((1, 2))) for arm, at in p.items()}
    for setting in SAME_OPTIMUM.settings:
        place = {"reference": off["w = 0"], "setting": setting, "seed": seeds}
        yield SAME_OPTIMUM.rows(off[setting], off["soft"], positive=off["shuffled"], **place)
    for arm, value in off.items():
        yield rows.tidy(quantity="off", path=arm, value=value, seed=seeds)


def train_queries(seeds: tuple[int, ...], name: str) -> Iterator[pd.DataFrame]:
    """Linear softmaxes of intents from few components, and a sigmoid a node."""
    split = tiers.queries(seeds, 64, EACH, HELD_OUT)
    for setting, (count, rate) in COMPONENTS.items():
        few = split._replace(x=split.x[..., :count], x_test=split.x_test[..., :count])
        yield from weighed_rows(seeds, few, rate, {"setting": setting, "seed": seeds})
        if setting == "8 components":
            yield from sigmoid_rows(seeds[:FEW], tiers.Splits(*(part[:FEW] for part in few)), rate, name)


def weighed_rows(seeds: tuple[int, ...], split, rate: float, place: dict) -> Iterator[pd.DataFrame]:
    """Weights on the published tree, and on a random one."""
    tree, (orders, random) = tiers.CLINC, tiers.relabelled(seeds, tiers.CLINC)
    moved = np.take_along_axis(np.argsort(orders, 1), split.y, 1)
    arms = {f"w = {w:g}": (w, split.y) for w in WEIGHED} | {"random, w = 4": (4.0, moved)}
    p = tiers.trained(seeds, arms, split.x, split.x_test, tree, rate, EPOCHS)
    p["random, w = 4"] = tiers.reordered(p["random, w = 4"], np.argsort(orders, 1))
    yield from trade_rows(p, split.y_test, place)
    yield from decision_rows(p, split.y_test, random, place)


def trade_rows(p: dict, y: np.ndarray, place: dict) -> Iterator[pd.DataFrame]:
    """Coarse and fine accuracy without a weight, and with 4 on either tree."""
    before, after, astray = (p[arm] for arm in ("w = 0", "w = 4", "random, w = 4"))
    own, coarse = tiers.drawn_from(after), lambda p, y: tiers.coarse_accuracy(p, y, tiers.CLINC)
    gains = [coarse(at, y) - coarse(before, y) for at in (after, astray)]
    yield COARSE_RISES.rows(*gains, positive=coarse(after, own) - coarse(before, own), **place)
    if place["setting"] in FINE_FALLS.settings:
        falls, other = (scores.accuracy(before, y) - scores.accuracy(at, y) for at in (after, astray))
        yield FINE_FALLS.rows(falls, -gains[0], positive=other, **place)
    for arm, at in p.items():
        for quantity, value in {"coarse": coarse(at, y), "fine": scores.accuracy(at, y)}.items():
            yield rows.tidy(quantity=quantity, path=arm, value=value, **place)


def decision_rows(p: dict, y: np.ndarray, random: np.ndarray, place: dict) -> Iterator[pd.DataFrame]:
    """Mean distances of the likeliest class, of the nearest by the tree, and by a random one."""
    tree, flat = tiers.CLINC, p["w = 0"]
    far = lambda decided, y=y: tiers.mean_distance(decided, y, tree)
    likeliest, nearest = flat.argmax(-1), tiers.nearest(flat, tree)
    by_random = np.stack([tiers.nearest(at, t) for at, t in zip(flat, random, strict=True)])
    turned = (flat - tiers.domain_chances(flat, tree)[..., tree]).argmax(-1)
    gain, by_turned, astray = (far(likeliest) - far(at) for at in (nearest, turned, by_random))
    known = tiers.gain_of_three(place["seed"])
    yield DECISION.rows(gain, by_turned, positive=known, **place)
    yield DECISION_SIZE.rows(gain, astray, positive=known, **place)
    best = min((p["w = 1"], p["w = 4"]), key=lambda at: far(at.argmax(-1)).mean())
    chosen, own, flats = best.argmax(-1), tiers.drawn_from(best), tiers.drawn_from(flat)
    milder = [far(likeliest, at) - far(chosen, at) for at in (y, own)]
    astray = far(likeliest) - far(p["random, w = 4"].argmax(-1))
    yield MILDER.rows(milder[0], astray, **place)
    if place["setting"] == "64 components":
        yield MILDER.rows(positive=milder[1], **place)
    beaten = [far(chosen, at) - far(nearest, at) for at in (y, flats)]
    yield DECISION_BEATS.rows(beaten[0], far(chosen) - far(by_random), positive=beaten[1], **place)
    decided = {f"{arm}, likeliest": at.argmax(-1) for arm, at in p.items()}
    decided |= {"w = 0, nearest": nearest, "w = 0, nearest in a random tree": by_random}
    for how, at in decided.items():
        mistaken = tiers.mean_distance_of_mistakes(at, y, tree)
        shown = {"accuracy": (at == y).mean(-1), "distance": far(at), "of mistakes": mistaken}
        for quantity, value in shown.items():
            yield rows.tidy(quantity=quantity, path=how, value=value, **place)


# --- recipes: soft targets, and a sigmoid a node -----------------------------------------------------------

ETA, BETAS = (0.3, 0.05, 0.25, 0.1, 0.2, 0.1), {"β = 1": 1.0, "β = 4": 4.0}
LOGITS = (1.0, -0.5, 0.3, 2.0, -1.0, 0.0)

SOFT_LABELS = Check(
    "soft_labels",
    "Targets softened by distance, in proportion to e^(−βd), are learned with the softening, not taken back.",
    Equal(margin=0.02),
    r"p_k = \textstyle\sum_j \eta_j\, s_j(k), \quad s_j(k) \propto e^{-\beta d(j,k)}",
    control="the other β",
    positive="hard labels, whose law is η",
    population="generator",
    settings=tuple(BETAS),
)
VIOLATIONS = Check(
    "violations",
    "With a sigmoid a node, some intent's probability exceeds its own domain's: by 0.01 at least, on the "
    "mean over examples of the largest excess.",
    Exceeds(margin=0.01),
    r"\mathbb{E} \max_k\,(p_k - p_{c(k)})",
    control="a flat softmax and the sums over its domains",
    positive="sigmoids over the domains of a random tree",
    population="splits of this set",
    settings=("clinc_oos",),
)


def softened(eta: np.ndarray, beta: float) -> np.ndarray:
    """Σ_j η_j s_j, [K]."""
    return eta @ tiers.smoothed_by_distance(tiers.SIX, beta)


def train_soft(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Biases trained on classes softened by their distance."""
    eta = np.array(ETA)
    counts = np.stack([np.random.default_rng(seed).multinomial(EXAMPLES, eta) for seed in seeds])
    targets = [tiers.smoothed_by_distance(tiers.SIX, beta) for beta in BETAS.values()]
    *soft, hard = tiers.biases(seeds, counts, [*targets, np.eye(6)])
    off = lambda p, law: np.abs(p - law).max(-1)
    for (setting, beta), p, other in zip(BETAS.items(), soft, soft[::-1], strict=True):
        law = softened(eta, beta)
        yield SOFT_LABELS.rows(
            off(p, law), off(other, law), positive=off(hard, eta), setting=setting, seed=seeds
        )


def sigmoid_rows(seeds: tuple[int, ...], split, rate: float, name: str) -> Iterator[pd.DataFrame]:
    """A sigmoid for each intent and each domain, of the published tree and of a random one."""
    tree = tiers.CLINC
    _, random = tiers.relabelled(seeds, tree)
    own = np.broadcast_to(tree, random.shape)
    p, flat = tiers.sigmoids_and_softmax(seeds, split, (own, random), rate, EPOCHS)
    excess = [
        tiers.excess_of_children(at[..., :150], at[..., 150:], t)
        for at, t in zip(p, (own, random), strict=True)
    ]
    control, none = tiers.excess_of_children(flat, tiers.domain_chances(flat, tree), own)
    yield VIOLATIONS.rows(excess[0][0], control, positive=excess[1][0], setting=name, seed=seeds)
    for how, share in (("sigmoids", excess[0][1]), ("softmax", none)):
        yield rows.tidy(quantity="share of violations", path=how, value=share, seed=seeds)


# --- the study ---------------------------------------------------------------------------------------------

CHECKS = (
    SAME_OPTIMUM,
    MILDER,
    DECISION,
    DECISION_BEATS,
    DECISION_SIZE,
    COARSE_RISES,
    FINE_FALLS,
    CHAIN_RULE,
    FLAT_IS_TREE,
    COARSE_GRADIENT,
    SOFT_LABELS,
    VIOLATIONS,
)


THEORIES = (
    Theory(
        "same_optimum",
        lambda w, k: ETA[k],
        lambda w, k: float(tiers.least_weighted(np.array(ETA), w, tiers.SIX)[k]),
        [(w, k) for w in WEIGHTS for k in (0, 1)],
        1e-5,
    ),
    Theory(
        "coarse_gradient",
        lambda k: float(tiers.coarse_gradient(np.array([LOGITS]), np.array([1]), tiers.SIX)[0, k]),
        lambda k: float(tiers.coarse_gradient_by_differences(np.array(LOGITS), 1, tiers.SIX)[k]),
        [(k,) for k in range(6)],
        1e-8,
    ),
    Theory(
        "nearest",
        lambda *p: float(tiers.nearest(np.array(p), tiers.SIX)),
        lambda *p: float(tiers.nearest_by_enumeration(np.array(p), tiers.SIX)),
        [ETA, (0.3, 0.29, 0.41, 0.0, 0.0, 0.0), (0.1, 0.1, 0.15, 0.25, 0.39, 0.01)],
    ),
    Theory(
        "soft_labels",
        lambda beta, k: float(softened(np.array(ETA), beta)[k]),
        lambda beta, k: float(tiers.softened_by_search(np.array(ETA), beta, tiers.SIX)[k]),
        [(beta, k) for beta in BETAS.values() for k in (0, 1)],
        1e-5,
    ),
)


def units(scale: str) -> list[Unit]:
    seeds = range(SEEDS[scale])
    return [
        unit(measure_tree),
        unit(train_gaussian, seeds, cost=6),
        unit(train_queries, range(SPLITS[scale]), data="clinc_oos", cost=50),
        unit(train_soft, seeds, cost=3),
    ]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Held-out accuracy, and mean distances over all examples and over mistakes; means over seeds."""
    names = {"accuracy": "Accuracy", "distance": "Mean distance", "of mistakes": "of mistakes"}
    wide = rows[rows["quantity"].isin(names)].pivot_table(
        "value", ["setting", "path"], "quantity", sort=False
    )
    wide = wide.reindex(columns=list(names)).rename(columns=names).rename_axis(None, axis=1)
    return wide.rename_axis(["CLINC150 by", "Model and decision"]).reset_index()


def figure(rows: pd.DataFrame):
    """How mild mistakes are, by the weight and by the decision; what the weight trades."""
    canvas, (left, right) = figures.panels(2, 1, height=3.8)
    tier_panels.draw_distances(left, rows)
    tier_panels.draw_trade(right, rows)
    return canvas
