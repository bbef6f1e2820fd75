"""An L2 penalty is a Gaussian prior: on what, with which λ, and how near the evidence bound.

Expect: the identities hold; λ = 1/(2τ²N) finds scikit-learn's maximum a posteriori, λ = 1/(2τ²) does not; a
prior on the logits is another model than one on the weights; the chapter's objective leaves out ½ s² tr H,
which no longer is small once the width s of the variational distribution is optimised. Costs twenty seconds.
"""

from __future__ import annotations

import itertools
from typing import Any

import mpmath
import numpy as np

from crosscheck.claims import Check, Claim, Equal, Identity, Theory, Unit
from crosscheck.lazy import (
    autodiff,
    data,
    figures,
    keras,
    losses,
    optimize,
    pd,
    posteriors,
    regularizers,
    rows,
    special,
    variational,
)

CLAIM = Claim(
    title="An L2 penalty is a Gaussian prior, with the number of examples in its λ",
    statement="With a Gaussian prior N(0, τ²I) on the logits and a variational posterior of mean m, "
    "minimising the negative evidence lower bound is, under certain approximations, minimising "
    "cross-entropy at m plus ‖m‖²/(2τ²): an L2 penalty is a zero-mean Gaussian prior on the logits, or the "
    "weights.",
    formula=r"-\mathcal{L}_{\text{ELBO}} \approx \mathcal{L}_{\text{CCE}}(\mathbf{m}) + "
    r"\frac{1}{2\tau^2}\|\mathbf{m}\|_2^2",
    source="Advanced Perspectives and Applications; problem 3103388",
    correct="The sum of the losses over N examples plus ‖w‖²/(2τ²) is minus the log posterior under a prior "
    "on the weights; a loss that is averaged wants λ = 1/(2τ²N). A prior on the logits is another model: for "
    "linear logits z = Xw it is the prior N(0, τ²(XᵀX)⁻¹) on the weights. The evidence bound has ½ s² tr H "
    "besides, which vanishes with the width s of the variational distribution, but not at the best s.",
)

SEEDS = {"smoke": 8, "standard": 16, "full": 64}
DRAWN = {"smoke": 64, "standard": 64, "full": 512}  # weights drawn from the prior
TAUS = (0.3, 1.0, 3.0)
SIZES = (40, 100, 300)  # N
FEATURES = 6
DIGITS, DIGIT_TAUS = 300, (0.3, 1.0)
CLOSE = 0.01  # of the length of the weights
LOGITS = np.array([(0.0, 0, 0), (1.5, 0, -1), (-2, 1, 0.5), (4, -1, -2)])  # m; the true class is the first
SMALL = (0.03, 0.1)  # s at which ½ s² tr H is all that is left out
WIDTH = 2.0  # τ where the bound is sampled
DRAWS = 200_000
WIDTHS = np.geomspace(0.03, 3, 13)  # s of the figure
OPTIMISED = (0.1, 0.3, 1.0, 3.0)  # τ where s is optimised
TRUE_TAUS, OCTAVES = (0.5, 1.0), np.arange(-4, 6)  # τ is sought at τ₀ 2^octave
HELD_OUT, EXAMPLES, DIMENSIONS = 2000, 64, 20
ARMS = np.array([["claim"], ["control"]])

CHECKS = (
    Check(
        "identity",
        "N times the penalty is −ln N(m; 0, τ²I) without its constant; so is its gradient.",
        Identity(ulps=16),  # sums of twenty squares
        r"-\ln \mathcal{N}(\mathbf{m}; 0, \tau^2 \mathbf{I}) - \tfrac{D}{2}\ln 2\pi\tau^2",
        control="λ = 1/(2τ²), without the N",
        settings=("penalty", "gradient"),
        exact=True,
    ),
    Check(
        "map",
        "Trained with λ = 1/(2τ²N), weights are scikit-learn's maximum a posteriori (distance over length).",
        Equal(margin=CLOSE),
        r"\|\mathbf{w} - \mathbf{w}_{\text{MAP}}\| \,/\, \|\mathbf{w}_{\text{MAP}}\| = 0",
        control="λ = 1/(2τ²), without the N",
        settings=(
            *(f"τ = {tau:g}, N = {n}" for tau in TAUS for n in SIZES),
            *(f"digits, τ = {tau:g}" for tau in DIGIT_TAUS),
        ),
    ),
    Check(
        "logits",
        "A prior on the logits needs no N, and is the prior N(0, τ²(XᵀX)⁻¹) on the weights.",
        Equal(margin=CLOSE),
        r"\|\mathbf{z} - \mathbf{z}_{\text{MAP}}\| \,/\, \|\mathbf{z}_{\text{MAP}}\| = 0",
        control="the prior N(0, τ²I) on the weights",
    ),
    Check(
        "elbo",
        "Over the chapter's objective the negative bound has ½ s² tr H for small s: their ratio is 1.",
        Equal(margin=0.01),
        r"\frac{\mathbb{E}_q \mathcal{L}(\mathbf{z}) - \mathcal{L}(\mathbf{m})}"
        r"{\frac12 s^2\, \mathrm{tr}\, \mathbf{H}} = 1",
        control="s = 1, which is not small",
        settings=tuple(f"s = {s:g}" for s in SMALL),
        exact=True,
    ),
    Check(
        "elbo_sampled",
        "The bound by Monte Carlo is cross-entropy by quadrature plus the divergence in closed form (nats).",
        Equal(margin=0.02),
        r"-\mathcal{L}_{\text{ELBO}} = \mathbb{E}_q \mathcal{L} + "
        r"\mathrm{KL}(q \,\|\, \mathcal{N}(0, \tau^2 \mathbf{I}))",
        control="cross-entropy at m, as in the chapter's objective",
        settings=("s = 1", "s = 2"),
    ),
    Check(
        "elbo_optimised",
        "With s optimised too, the bound's best m is the chapter's (distance over length, one example).",
        Equal(margin=0.05),
        r"\arg\min_{\mathbf{m}} \min_s -\mathcal{L}_{\text{ELBO}} = "
        r"\arg\min_{\mathbf{m}} \mathcal{L}(\mathbf{m}) + \tfrac{1}{2\tau^2}\|\mathbf{m}\|^2",
        control="twice the λ in the chapter's objective",
        settings=tuple(f"τ = {tau:g}" for tau in OPTIMISED),
        scope=True,
        exact=True,
    ),
    Check(
        "bayes_optimal",
        "With weights drawn from N(0, τ₀²I), held-out loss is least within a factor 2 of τ₀ (octaves).",
        Equal(margin=1.0),
        r"\log_2 \hat\tau / \tau_0 = 0",
        control="λ = 1/(2τ²), without the N",
        settings=tuple(f"τ₀ = {tau:g}" for tau in TRUE_TAUS),
    ),
)


# --- theory -----------------------------------------------------------------------------------------


def divergence_by_integration(m: float, s: float, tau: float) -> float:
    q = lambda z: mpmath.npdf(z, m, s)  # noqa: E731
    integrand = lambda z: q(z) * (mpmath.log(q(z)) - mpmath.log(mpmath.npdf(z, 0, tau)))  # noqa: E731
    return float(mpmath.quad(integrand, mpmath.linspace(m - 12 * s, m + 12 * s, 9)))


def trace(m: np.ndarray) -> float:
    """tr H = 1 − Σ p² of cross-entropy at logits m."""
    return float(1 - (special.softmax(m) ** 2).sum())


def trace_by_autodiff(m: np.ndarray) -> float:
    return float(np.trace(autodiff.logit_hessian(losses.categorical_crossentropy, np.eye(3)[:1], m[None])[0]))


POINTS = [(0.0, 1.0, 1.0), (1.5, 0.1, 2.0), (-1, 2, 0.7)]
THEORIES = (
    Theory("divergence", lambda m, *at: variational.divergence([m], *at), divergence_by_integration, POINTS),
    Theory("trace", trace, trace_by_autodiff, [(m,) for m in LOGITS]),
)


# --- experiments: the penalty and the posterior -----------------------------------------------------


def units(scale: str) -> list[Unit]:
    seeds, drawn = tuple(range(SEEDS[scale])), tuple(range(DRAWN[scale]))
    return [
        Unit("gaussian_prior", "measure_identity"),
        Unit("gaussian_prior", "measure_elbo"),
        Unit("gaussian_prior", "draw_elbo", {}, seeds),
        Unit("gaussian_prior", "train_map", {}, seeds, cost=4),
        Unit("gaussian_prior", "train_digits", {}, seeds, ("digits",), cost=6),
        Unit("gaussian_prior", "train_logits", {}, seeds, cost=3),
        Unit("gaussian_prior", "train_drawn", {}, drawn, cost=6),
    ]


def measure_identity(seeds: tuple[int, ...]) -> pd.DataFrame:
    """N times the penalty and its gradient against the density's logarithm, at 50 digits."""
    parts = []
    for i, (tau, n) in enumerate(itertools.product((0.1, 1.0, 10.0), (7, 50, 1000))):
        m = np.random.default_rng(i).normal(size=20) * tau
        arms = [posteriors.penalties(regularizers.GaussianPrior(tau, each), n, m) for each in (n, 1)]
        for name, true in posteriors.gaussian(m, tau).items():
            shared = {"reference": true, "resolution": np.finfo("float64").eps * np.abs(true)}
            shared |= {"check": "identity", "setting": name}
            parts.append(rows.both_arms("value", *(each[name] for each in arms), **shared))
    return pd.concat(parts)


def in_both_arms(x: np.ndarray, y: np.ndarray, loss, taus: Any, sizes: Any, outputs: int = 1, weight=None):
    """Models trained with the λ of priors τ [R] and of N [R] examples, then without the N: [2, R, …] each."""
    cases = [*zip(taus, sizes, strict=True), *((tau, 1) for tau in taus)]
    strengths = [regularizers.GaussianPrior(tau, n).l2 for tau, n in cases]
    twice: list[Any] = [None if each is None else np.concatenate([each, each]) for each in (x, y, weight)]
    found = posteriors.trained(twice[0], twice[1], loss, strengths, outputs, twice[2])
    return [each.reshape(2, len(taus), *each.shape[1:]) for each in found]


def posterior_rows(kernels: np.ndarray, true: list[np.ndarray], **shared: Any) -> pd.DataFrame:
    """How far the kernels of both arms, [2, R, …], are from the posterior's modes, [R, …]."""
    off = [[posteriors.distance(*pair) for pair in zip(arm, true, strict=True)] for arm in kernels]
    return rows.tidy(check="map", arm=ARMS, value=off, **shared)


def train_map(seeds: tuple[int, ...]) -> pd.DataFrame:
    """Every τ, N, seed and arm as one; of the largest set, those of N examples have weights."""
    cases = list(itertools.product(TAUS, SIZES, seeds))
    taus, sizes, seed = zip(*cases, strict=True)
    x, y = linear_sets(seed, max(SIZES), FEATURES)
    weight = np.stack([(np.arange(max(SIZES)) < n) * max(SIZES) / n for n in sizes]).astype("float32")
    kernels, _ = in_both_arms(x, y, losses.binary_crossentropy, taus, sizes, weight=weight)
    true = [posteriors.mode(x[i, :n], y[i, :n], tau) for i, (tau, n, _) in enumerate(cases)]
    settings, names = [f"τ = {tau:g}, N = {n}" for tau, n, _ in cases], [f"τ = {tau:g}" for tau in taus]
    return posterior_rows(kernels[..., 0], true, setting=settings, seed=seed, x=sizes, quantity=names)


def linear_sets(seeds: tuple[int, ...], n: int, dim: int) -> list[np.ndarray]:
    """Features [R, N, D] and labels [R, N, 1], a set a seed."""
    sets = [data.logistic(np.random.default_rng(seed), n, dim)[:2] for seed in seeds]
    return [np.stack(each) for each in zip(*sets, strict=True)]


def train_digits(seeds: tuple[int, ...]) -> pd.DataFrame:
    """Softmax regression on `DIGITS` images, drawn anew each seed.

    Centred pixels change the biases alone, which have no prior; training then is far better conditioned.
    """
    digits = data.load("digits")
    pixels = digits.x_train.reshape(len(digits.x_train), -1)
    pixels = pixels - pixels.mean(0)
    cases = list(itertools.product(DIGIT_TAUS, seeds))
    picks = [np.random.default_rng(seed).permutation(len(pixels))[:DIGITS] for _, seed in cases]
    x, y = (np.stack([given[pick] for pick in picks]) for given in (pixels, digits.y_train))
    taus, seed = zip(*cases, strict=True)
    loss, sizes = losses.sparse_categorical_crossentropy, [DIGITS] * len(cases)
    kernels, _ = in_both_arms(x, y, loss, taus, sizes, outputs=10)
    true = [posteriors.mode(*each) for each in zip(x, y, taus, strict=True)]
    return posterior_rows(kernels, true, setting=[f"digits, τ = {tau:g}" for tau in taus], seed=seed)


def train_logits(seeds: tuple[int, ...]) -> pd.DataFrame:
    """A penalty z²/(2τ²) an example on the logits of features of unequal scales, τ = 1, no N in it."""
    x, y = linear_sets(seeds, max(SIZES), FEATURES)
    x = x * np.geomspace(0.1, 3, FEATURES).astype("float32")
    loss = lambda y, z: losses.binary_crossentropy(y, z) + keras.ops.square(z[:, 0]) / 2  # noqa: E731
    kernels, biases = posteriors.trained(x, y, loss, np.zeros(len(seeds)))
    parts = []
    for seed, features, labels, kernel, bias in zip(seeds, x, y, kernels, biases, strict=True):
        full = np.hstack([features, np.ones((len(features), 1))])  # the prior is on all of z, its bias too
        on_weights = full @ posteriors.mode(full, labels, 1.0, bias=False)
        modes = posteriors.mode_of_logits(full, labels, 1.0), on_weights
        off = (posteriors.distance(features @ kernel[:, 0] + bias, mode) for mode in modes)
        parts.append(rows.both_arms("value", *off, check="logits", seed=seed))
    return pd.concat(parts)


# --- experiments: the evidence lower bound ----------------------------------------------------------


def crossentropy(z: np.ndarray) -> np.ndarray:
    """Our Keras loss in float64 at logits [N, 3], the first class being true."""
    y, logits = autodiff.tensors(np.broadcast_to(np.eye(3)[0], z.shape).copy(), z)
    return autodiff.numbers(losses.categorical_crossentropy(y, logits))


def without_keras(z: np.ndarray) -> np.ndarray:
    """The same; called some thousand times by a search."""
    return np.logaddexp.reduce(z, axis=1) - z[:, 0]


def measure_elbo(seeds: tuple[int, ...]) -> pd.DataFrame:
    """What the chapter's objective leaves out, along s, and at the best s."""
    parts = []
    for i, m in enumerate(LOGITS):
        left_out = {s: variational.excess(crossentropy, m, s) for s in (*SMALL, 1.0, *WIDTHS)}
        ratio = {s: left_out[s] / (s**2 * trace_by_autodiff(m) / 2) for s in (*SMALL, 1.0)}
        for s in SMALL:
            shared = {"check": "elbo", "setting": f"s = {s:g}", "reference": 1.0}
            parts.append(rows.both_arms("value", ratio[s], ratio[1.0], **shared))
        parts.append(rows.tidy(quantity=f"excess {i}", x=WIDTHS, value=[left_out[s] for s in WIDTHS]))
    return pd.concat([*parts, *map(optimised_rows, OPTIMISED)])


def optimised_rows(tau: float) -> pd.DataFrame:
    """The bound's best m and s beside the chapter's best m, one example."""
    chapters = lambda m, times: without_keras(m[None])[0] + times * m @ m / (2 * tau**2)  # noqa: E731
    means = [optimize.minimize(chapters, np.zeros(3), (times,), tol=1e-10).x for times in (1, 2)]
    m, s = variational.best(without_keras, tau, logits=3)
    told = {"best s": s, "left out": variational.excess(crossentropy, m, s), "½ s² tr H": s**2 / 2 * trace(m)}
    told |= {"m of the bound": m[0], "m of the chapter": means[0][0]}
    off = (posteriors.distance(m, mean) for mean in means)
    judged = rows.both_arms("value", *off, check="elbo_optimised", setting=f"τ = {tau:g}", x=tau)
    return pd.concat([judged, rows.tidy(quantity=list(told), x=tau, value=list(told.values()))])


def draw_elbo(seeds: tuple[int, ...]) -> pd.DataFrame:
    """The bound from draws of q; the control takes cross-entropy at m instead of at the draws."""
    parts, m = [], LOGITS[1]
    for seed, s in itertools.product(seeds, (1.0, 2.0)):
        z, log_ratio = variational.drawn(m, s, WIDTH, np.random.default_rng(seed).normal(size=(DRAWS, 3)))
        cost = np.stack([crossentropy(z) + log_ratio, crossentropy(m[None]) + log_ratio])  # [arms, draws]
        shared = {"check": "elbo_sampled", "setting": f"s = {s:g}", "seed": seed, "arm": ["claim", "control"]}
        shared |= {"value": cost.mean(1), "resolution": cost.std(1) / np.sqrt(DRAWS)}
        reference = variational.negative_elbo(crossentropy, m, s, WIDTH)
        parts.append(rows.tidy(reference=reference, **shared))
    return pd.concat(parts)


def train_drawn(seeds: tuple[int, ...]) -> pd.DataFrame:
    """Held-out loss over τ, each seed with weights of its own drawn from N(0, τ₀²I)."""
    pairs = list(itertools.product(TRUE_TAUS, seeds))
    rng = lambda tau, seed: np.random.default_rng([seed, round(10 * tau)])  # noqa: E731
    sets = [data.logistic(rng(*pair), EXAMPLES + HELD_OUT, DIMENSIONS, pair[0]) for pair in pairs]
    x, y = (np.repeat([each[i][:EXAMPLES] for each in sets], len(OCTAVES), axis=0) for i in (0, 1))
    taus = [tau * 2.0**octave for tau, _ in pairs for octave in OCTAVES]
    kernels, biases = in_both_arms(x, y, losses.binary_crossentropy, taus, [EXAMPLES] * len(taus))
    each = [one for one in sets for _ in OCTAVES]
    arms = zip(kernels, biases, strict=True)
    found = [[held_out(*of) for of in zip(each, *arm, strict=True)] for arm in arms]
    cost = np.reshape(found, (2, len(TRUE_TAUS), len(seeds), len(OCTAVES)))
    arm, named = ARMS[..., None], np.array([[f"τ₀ = {tau:g}"] for tau in TRUE_TAUS])
    best, names = OCTAVES[cost.argmin(-1)], np.char.add("held-out loss, ", named)[..., None]
    judged = rows.tidy(check="bayes_optimal", arm=arm, setting=named, seed=seeds, value=best)
    shared = {"seed": np.array(seeds)[:, None], "x": 2.0**OCTAVES, "value": cost}
    return pd.concat([judged, rows.tidy(arm=arm[..., None], quantity=names, **shared)])


def held_out(examples: tuple, w: np.ndarray, b: np.ndarray) -> float:
    """Expected cross-entropy at the examples that were held out: labels averaged over, not drawn."""
    x, _, truth = examples
    fresh = x[EXAMPLES:].astype("float64")
    q, z = special.expit(fresh @ truth), fresh @ w[:, 0] + b
    return float((np.logaddexp(0, z) - q * z).mean())


# --- table and figure -------------------------------------------------------------------------------


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """The chapter's approximations in numbers: for each τ, at the best s, one example of three classes."""
    heads = {"best s": "best s", "left out": "E CCE − CCE(m)", "½ s² tr H": "½ s² tr H"}
    heads |= {"m of the bound": "true class's m", "m of the chapter": "m, chapter"}
    wide = rows[rows["quantity"].isin(heads)].pivot_table("value", "x", "quantity")[list(heads)]
    return wide.rename(columns=heads).rename_axis("τ").rename_axis(None, axis=1).reset_index()


def figure(rows: pd.DataFrame):
    """Distance to the posterior's mode; what the objective leaves out; the shift of m; the best τ."""
    canvas, axes = figures.panels(2, 2)
    for panel, ax in zip((draw_map, draw_excess, draw_shift, draw_best), axes, strict=True):
        panel(ax, rows)
    return canvas


def draw_map(ax, rows: pd.DataFrame) -> None:
    part = rows[(rows["check"] == "map") & rows["x"].notna()]
    for (i, tau), (arm, style) in itertools.product(enumerate(TAUS), (("claim", "o-"), ("control", "x:"))):
        each = part[(part["arm"] == arm) & (part["quantity"] == f"τ = {tau:g}")]
        name = f"τ = {tau:g}" if arm == "claim" else "without the N" if i == 0 else None
        means = each.groupby("x")["value"].mean()
        ax.plot(means.index, means, style, label=name, color=figures.PALETTE[i])
    ax.axhline(CLOSE, color=figures.THEORY, linewidth=0.8)
    ax.set(title="Keras against the posterior's mode", xlabel="examples N", xscale="log", yscale="log")
    ax.set(ylabel="distance / length", xticks=SIZES, xticklabels=SIZES)
    ax.minorticks_off()
    ax.legend(fontsize=8, ncols=2, loc="center", bbox_to_anchor=(0.5, 0.42))


def draw_excess(ax, rows: pd.DataFrame) -> None:
    for i, m in enumerate(LOGITS):
        part = rows[rows["quantity"] == f"excess {i}"]
        name = ", ".join(f"{v:g}" for v in m).replace("-", "−")
        ax.loglog(part["x"], part["value"], "o", label=f"m = ({name})")
        figures.theory_line(ax, WIDTHS, WIDTHS**2 * trace(m) / 2, "½ s² tr H" if i == 0 else "")
    ax.set(title="What the objective leaves out", xlabel="width s of q", ylabel="E CCE(z) − CCE(m), nats")
    ax.legend(fontsize=7)


def draw_shift(ax, rows: pd.DataFrame) -> None:
    names = {"m of the bound": "bound's best m", "m of the chapter": "chapter's best m", "best s": "best s"}
    for (name, label), style in zip(names.items(), ("o-", "s--", "^:"), strict=True):
        part = rows[rows["quantity"] == name]
        ax.plot(part["x"], part["value"], style, label=label)
    ax.set(title="With s optimised", xlabel="prior's τ", ylabel="true class's logit, or s", xscale="log")
    ax.legend(fontsize=8)


def draw_best(ax, rows: pd.DataFrame) -> None:
    for (i, tau), (arm, style) in itertools.product(enumerate(TRUE_TAUS), (("claim", "-"), ("control", ":"))):
        part = rows[(rows["quantity"] == f"held-out loss, τ₀ = {tau:g}") & (rows["arm"] == arm)]
        name = f"τ₀ = {tau:g}" + (", without N" if arm == "control" else "")
        figures.curve(ax, part, name, linestyle=style, color=figures.PALETTE[i])
    ax.axvline(1, color=figures.THEORY, linewidth=0.8)
    ax.set(title="Weights drawn from the prior", xlabel="τ / τ₀", ylabel="held-out loss, nats")
    ax.set_xscale("log", base=2)
    ax.legend(fontsize=7)
