"""An L2 penalty is a Gaussian prior: on what, with which λ, and how near the evidence bound.

Expect: the identities hold; λ = 1/(2τ²N) finds scikit-learn's maximum a posteriori, λ = 1/(2τ²) does not; a
prior on the logits is another model than one on the weights; the chapter's objective leaves out ½ s² tr H,
which is not small once the width s of q is optimised. Twenty seconds: `crosscheck run gaussian_prior`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from crosscheck.claims import Check, Claim, Equal, Exceeds, Identity, Theory, Unit, unit
from crosscheck.lazy import (
    autodiff,
    averaged,
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

SEEDS = {"smoke": 6, "standard": 32, "full": 64}
CLOSE = 0.01  # of the length of the weights


# --- identity: is the penalty the logarithm of the prior's density? ----------------------------------

IDENTITY = Check(
    "identity",
    "N times the penalty is −ln N(m; 0, τ²I) without its constant; so is its gradient.",
    Identity(ulps=16),  # sums of twenty squares
    r"-\ln \mathcal{N}(\mathbf{m}; 0, \tau^2 \mathbf{I}) - \tfrac{D}{2}\ln 2\pi\tau^2",
    control="λ = 1/(2τ²(N − 1)), one example short",
    positive="the formula in NumPy",
    settings=("penalty", "gradient"),
    exact=True,
)


def measure_identity(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """N times the penalty and its gradient against the density's logarithm, at 50 digits."""
    for i, (tau, n) in enumerate(itertools.product((0.1, 1.0, 10.0), (7, 50, 1000))):
        m = np.random.default_rng(i).normal(size=20) * tau
        claim, short = (posteriors.penalties(regularizers.GaussianPrior(tau, k), n, m) for k in (n, n - 1))
        formula = {"penalty": (m**2).sum() / (2 * tau**2), "gradient": m / tau**2}
        for name, true in posteriors.gaussian(m, tau).items():
            place = {"setting": name, "resolution": np.finfo("float64").eps * np.abs(true)}
            yield IDENTITY.rows(claim[name], short[name], true, positive=formula[name], **place)


# --- map: does training find the posterior's mode? ---------------------------------------------------

TAUS = (0.3, 1.0, 3.0)
SIZES = (40, 100, 300)  # N
FEATURES = 6
DIGITS, DIGIT_TAUS = 300, (0.3, 1.0)
MAP = Check(
    "map",
    "Trained with λ = 1/(2τ²N), weights are scikit-learn's maximum a posteriori (distance over length).",
    Equal(margin=CLOSE),
    r"\|\mathbf{w} - \mathbf{w}_{\text{MAP}}\| \,/\, \|\mathbf{w}_{\text{MAP}}\| = 0",
    control="λ = 1/(2τ²), without the N",
    positive="Newton's method in NumPy, at one τ and N",
    settings=(
        *(f"τ = {tau:g}, N = {n}" for tau in TAUS for n in SIZES),
        *(f"digits, τ = {tau:g}" for tau in DIGIT_TAUS),
    ),
    population="splits of this set",
)


def train_map(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Every τ, N, seed and arm as one; of the largest set, those of N examples have weights."""
    cases = list(itertools.product(TAUS, SIZES, seeds))
    taus, sizes, seed = zip(*cases, strict=True)
    x, y = posteriors.linear_sets(seed, max(SIZES), FEATURES)
    weight = np.stack([(np.arange(max(SIZES)) < n) * max(SIZES) / n for n in sizes]).astype("float32")
    kernels, _ = posteriors.with_n_and_without(x, y, losses.binary_crossentropy, taus, sizes, weight=weight)
    modes = [posteriors.mode(x[i, :n], y[i, :n], tau) for i, (tau, n, _) in enumerate(cases)]
    settings, names = [f"τ = {tau:g}, N = {n}" for tau, n, _ in cases], [f"τ = {tau:g}" for tau in taus]
    yield map_rows(kernels[..., 0], modes, setting=settings, seed=seed, x=sizes, quantity=names)
    for i, (tau, n, own) in enumerate(cases):
        if (tau, n) == (TAUS[1], SIZES[1]):
            off = posteriors.distance(posteriors.mode_by_newton(x[i, :n], y[i, :n], tau), modes[i])
            yield MAP.rows(positive=off, setting=settings[i], seed=own)


def train_digits(seeds: tuple[int, ...]) -> pd.DataFrame:
    """Softmax regression on `DIGITS` images, drawn anew each seed."""
    digits = data.load("digits")
    pixels = digits.x_train.reshape(len(digits.x_train), -1)
    pixels = pixels - pixels.mean(0)  # changes the biases alone, which have no prior, and is well conditioned
    cases = list(itertools.product(DIGIT_TAUS, seeds))
    picks = [np.random.default_rng(seed).permutation(len(pixels))[:DIGITS] for _, seed in cases]
    x, y = (np.stack([array[pick] for pick in picks]) for array in (pixels, digits.y_train))
    taus, seed = zip(*cases, strict=True)
    loss, sizes = losses.sparse_categorical_crossentropy, [DIGITS] * len(cases)
    kernels, _ = posteriors.with_n_and_without(x, y, loss, taus, sizes, outputs=10)
    modes = [posteriors.mode(*case) for case in zip(x, y, taus, strict=True)]
    return map_rows(kernels, modes, setting=[f"digits, τ = {tau:g}" for tau in taus], seed=seed)


def map_rows(kernels: np.ndarray, modes: list[np.ndarray], **columns: Any) -> pd.DataFrame:
    """How far the kernels of both arms, [2, R, …], are from the posterior's modes, [R, …]."""
    off = [[posteriors.distance(*pair) for pair in zip(arm, modes, strict=True)] for arm in kernels]
    return MAP.rows(*off, **columns)


def draw_map(ax, rows: pd.DataFrame) -> None:
    judged = rows[(rows["check"] == MAP.id) & rows["x"].notna()]
    for (i, tau), (arm, style) in itertools.product(enumerate(TAUS), (("claim", "o-"), ("control", "x:"))):
        part = judged[(judged["arm"] == arm) & (judged["quantity"] == f"τ = {tau:g}")]
        name = f"τ = {tau:g}" if arm == "claim" else "without the N" if i == 0 else None
        means = part.groupby("x")["value"].mean()
        ax.plot(means.index, means, style, label=name, color=figures.PALETTE[i])
    ax.axhline(CLOSE, color=figures.THEORY, linewidth=0.8)
    ax.set(title="Keras against the posterior's mode", xlabel="examples N", xscale="log", yscale="log")
    ax.set(ylabel="distance / length", xticks=SIZES, xticklabels=SIZES)
    ax.minorticks_off()
    ax.legend(fontsize=8, ncols=2, loc="center", bbox_to_anchor=(0.5, 0.42))


# --- logits: is a prior on the logits one on the weights? --------------------------------------------

LOGITS = Check(
    "logits",
    "A prior on the logits needs no N, and is the prior N(0, τ²(XᵀX)⁻¹) on the weights.",
    Equal(margin=CLOSE),
    r"\|\mathbf{z} - \mathbf{z}_{\text{MAP}}\| \,/\, \|\mathbf{z}_{\text{MAP}}\| = 0",
    control="the prior N(0, τ²I) on the weights",
    positive="SciPy's search for the least Σ ℓ + ‖z‖²/(2τ²) over the weights",
    population="generator",
)


def train_logits(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """A penalty z²/(2τ²) an example on the logits of features of unequal scales, τ = 1, no N in it."""
    x, y = posteriors.linear_sets(seeds, max(SIZES), FEATURES)
    x = x * np.geomspace(0.1, 3, FEATURES).astype("float32")
    loss = lambda y, z: losses.binary_crossentropy(y, z) + keras.ops.square(z[:, 0]) / 2
    kernels, biases = posteriors.trained(x, y, loss, np.zeros(len(seeds)))
    for seed, features, labels, kernel, bias in zip(seeds, x, y, kernels, biases, strict=True):
        full = np.hstack([features, np.ones((len(features), 1))])  # the prior is on all of z, its bias too
        on_logits = posteriors.mode_of_logits(full, labels, 1.0)
        on_weights = full @ posteriors.mode(full, labels, 1.0, bias=False)
        z = features @ kernel[:, 0] + bias
        claim, control = (posteriors.distance(z, mode) for mode in (on_logits, on_weights))
        found = posteriors.mode_of_logits_by_search(full, labels, 1.0)
        yield LOGITS.rows(claim, control, positive=posteriors.distance(found, on_logits), seed=seed)


# --- elbo, elbo_sampled: what does the chapter's objective leave out of the evidence bound? ------------

MEANS = np.array([(0.0, 0, 0), (1.5, 0, -1), (-2, 1, 0.5), (4, -1, -2)])  # m; the true class is the first
SMALL = (0.03, 0.1)  # s at which ½ s² tr H is all that is left out
WIDTHS = np.geomspace(0.03, 3, 13)  # s of the figure
ELBO = Check(
    "elbo",
    "Over the chapter's objective the negative bound has ½ s² tr H for small s: their ratio is 1.",
    Equal(margin=0.01),
    r"\frac{\mathbb{E}_q \mathcal{L}(\mathbf{z}) - \mathcal{L}(\mathbf{m})}"
    r"{\frac12 s^2\, \mathrm{tr}\, \mathbf{H}} = 1",
    control="s = 1, which is not small",
    positive="the squared error of the logits, for which it is 1 at every s",
    settings=tuple(f"s = {s:g}" for s in SMALL),
    exact=True,
)


def trace(m: np.ndarray) -> float:
    """tr H = 1 − Σ p² of cross-entropy at logits m."""
    return float(1 - (special.softmax(m) ** 2).sum())


def trace_by_autodiff(m: np.ndarray) -> float:
    return float(np.trace(autodiff.logit_hessian(losses.categorical_crossentropy, np.eye(3)[:1], m[None])[0]))


def crossentropy(z: np.ndarray) -> np.ndarray:
    """Our Keras loss in float64 at logits [N, 3], the first class being true."""
    y, logits = autodiff.tensors(np.broadcast_to(np.eye(3)[0], z.shape).copy(), z)
    return autodiff.numbers(losses.categorical_crossentropy(y, logits))


def measure_elbo(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """What the chapter's objective leaves out, along s, and at the best s."""
    for i, m in enumerate(MEANS):
        left_out = {s: variational.excess(crossentropy, m, s) for s in (*SMALL, 1.0, *WIDTHS)}
        ratio = {s: left_out[s] / (s**2 * trace_by_autodiff(m) / 2) for s in (*SMALL, 1.0)}
        for s in SMALL:
            squared = variational.excess(variational.squared_error, m, s) / (s**2 * 3 / 2)
            yield ELBO.rows(ratio[s], ratio[1.0], 1.0, positive=squared, setting=f"s = {s:g}")
        yield rows.tidy(quantity=f"excess {i}", x=WIDTHS, value=[left_out[s] for s in WIDTHS])
    yield from map(optimised_rows, OPTIMISED)


def draw_excess(ax, rows: pd.DataFrame) -> None:
    for i, m in enumerate(MEANS):
        part = rows[rows["quantity"] == f"excess {i}"]
        name = ", ".join(f"{v:g}" for v in m).replace("-", "−")
        ax.loglog(part["x"], part["value"], "o", label=f"m = ({name})")
        figures.theory_line(ax, WIDTHS, WIDTHS**2 * trace(m) / 2, "½ s² tr H" if i == 0 else "")
    ax.set(title="What the objective leaves out", xlabel="width s of q", ylabel="E CCE(z) − CCE(m), nats")
    ax.legend(fontsize=7)


WIDTH, DRAWS = 2.0, 200_000  # τ where the bound is sampled, and how often
ELBO_SAMPLED = Check(
    "elbo_sampled",
    "The bound by Monte Carlo is cross-entropy by quadrature plus the divergence in closed form (nats).",
    Equal(margin=0.02),
    r"-\mathcal{L}_{\text{ELBO}} = \mathbb{E}_q \mathcal{L} + "
    r"\mathrm{KL}(q \,\|\, \mathcal{N}(0, \tau^2 \mathbf{I}))",
    control="cross-entropy at m, as in the chapter's objective",
    positive="a quarter of the logits' squared error, whose mean is known: L(m) + 3/8 s²",
    settings=("s = 1", "s = 2"),
    population="generator",
)


def draw_elbo(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """The bound from draws of q; the control takes cross-entropy at m instead of at the draws."""
    m = MEANS[1]
    for seed, s in itertools.product(seeds, (1.0, 2.0)):
        z, log_ratio = variational.drawn(m, s, WIDTH, np.random.default_rng(seed).normal(size=(DRAWS, 3)))
        reference = variational.negative_elbo(crossentropy, m, s, WIDTH)
        exact = variational.squared_error(m[None])[0] / 4 + 3 / 8 * s**2 + variational.divergence(m, s, WIDTH)
        squared = variational.squared_error(z) / 4
        cases = (("claim", crossentropy(z), reference), ("control", crossentropy(m[None]), reference))
        for arm, loss, theory in (*cases, ("positive", squared, exact)):
            cost = loss + log_ratio
            columns = {"setting": f"s = {s:g}", "seed": seed, "resolution": cost.std() / np.sqrt(DRAWS)}
            yield ELBO_SAMPLED.rows(**{arm: cost.mean()}, reference=theory, **columns)


# --- elbo_optimised: and with the width s at its best? -----------------------------------------------

OPTIMISED = (0.1, 0.3, 1.0, 3.0)  # τ where s is optimised
ELBO_OPTIMISED = Check(
    "elbo_optimised",
    "With s optimised too, the bound's best m is the chapter's (distance over length, one example).",
    Equal(margin=0.05),
    r"\arg\min_{\mathbf{m}} \min_s -\mathcal{L}_{\text{ELBO}} = "
    r"\arg\min_{\mathbf{m}} \mathcal{L}(\mathbf{m}) + \tfrac{1}{2\tau^2}\|\mathbf{m}\|^2",
    control="twice the λ in the chapter's objective",
    positive="s held at 0.03 in place of its best",
    settings=tuple(f"τ = {tau:g}" for tau in OPTIMISED),
    scope=True,
    exact=True,
)
QUANTITIES = ["best s", "left out", "½ s² tr H", "m of the bound", "m of the chapter"]


def optimised_rows(tau: float) -> pd.DataFrame:
    """The bound's best m and s beside the chapter's best m, one example."""
    chapters = lambda m, times: variational.log_loss(m[None])[0] + times * m @ m / (2 * tau**2)
    means = [optimize.minimize(chapters, np.zeros(3), (times,), tol=1e-10).x for times in (1, 2)]
    m, s = variational.best(variational.log_loss, tau, logits=3)
    narrow = variational.best_mean(variational.log_loss, SMALL[0], tau, logits=3)
    off = (posteriors.distance(m, mean) for mean in means)
    held = posteriors.distance(narrow, means[0])
    judged = ELBO_OPTIMISED.rows(*off, positive=held, setting=f"τ = {tau:g}", x=tau)
    values = [s, variational.excess(crossentropy, m, s), s**2 / 2 * trace(m), m[0], means[0][0]]
    return pd.concat([judged, rows.tidy(quantity=QUANTITIES, x=tau, value=values)])


def draw_shift(ax, rows: pd.DataFrame) -> None:
    names = {"m of the bound": "bound's best m", "m of the chapter": "chapter's best m", "best s": "best s"}
    for (name, label), style in zip(names.items(), ("o-", "s--", "^:"), strict=True):
        part = rows[rows["quantity"] == name]
        ax.plot(part["x"], part["value"], style, label=label)
    ax.set(title="With s optimised", xlabel="prior's τ", ylabel="true class's logit, or s", xscale="log")
    ax.legend(fontsize=8)


# --- bayes_mean_loss, bayes_plug_in: is the prior's τ the best on data from that prior? -----------------

TRUE_TAU, DRAWS_A_MEAN = 1.0, 100  # τ₀; weights drawn a mean
MEANS_OF = {"smoke": 6, "standard": 32, "full": 64}
WIDER, NARROWER = "2 τ₀", "½ τ₀"
BAYES_MEAN_LOSS = Check(
    "bayes_mean_loss",
    "With weights drawn from N(0, τ₀²I), predictions averaged over the posterior of the prior N(0, τ²I) lose "
    "less on the mean with τ = τ₀ than with twice or half of it.",
    Exceeds(margin=0.0, group=DRAWS_A_MEAN),
    r"\mathbb{E}\, L(\tau) - \mathbb{E}\, L(\tau_0) > 0",
    control="weights drawn from a prior four times as wide, or as narrow",
    positive="four times τ₀ in place of twice",
    settings=(WIDER, NARROWER),
    population="generator",
)
BAYES_PLUG_IN = replace(
    BAYES_MEAN_LOSS,
    id="bayes_plug_in",
    statement="So do predictions of the posterior's maximum alone, which training with the penalty finds.",
    theory=r"\mathbb{E}\, L(\hat{\mathbf{w}}_\tau) - \mathbb{E}\, L(\hat{\mathbf{w}}_{\tau_0}) > 0",
    scope=True,
)


def train_drawn(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Mean losses over τ, each seed with weights of its own, drawn from N(0, τ₀²I) or from another prior."""
    tau, factors = TRUE_TAU, {WIDER: 2.0, NARROWER: 0.5}
    taus = [tau, 2 * tau, tau / 2, 4 * tau]
    for name, cost in averaged.losses_of(averaged.drawn(seeds, tau), taus).items():
        check = {"predictive": BAYES_MEAN_LOSS, "plug-in": BAYES_PLUG_IN}[name]
        for setting, other in zip(factors, cost[1:3], strict=True):
            yield check.rows(claim=other, reference=cost[0], setting=setting, seed=seeds)
        yield check.rows(positive=cost[3], reference=cost[0], setting=WIDER, seed=seeds)
        place = {"seed": seeds, "x": np.array(taus)[:, None] / tau}
        yield rows.tidy(quantity=f"held-out loss, {name}", value=cost - cost[0], **place)
    for setting, factor in factors.items():
        elsewhere = averaged.drawn(seeds, factor**2 * tau)
        true = averaged.losses_of(elsewhere, [tau, factor * tau])
        for check, name in ((BAYES_MEAN_LOSS, "predictive"), (BAYES_PLUG_IN, "plug-in")):
            at, there = true[name]
            yield check.rows(control=there, reference=at, setting=setting, seed=seeds)


def draw_best(ax, rows: pd.DataFrame) -> None:
    """Mean over all draws, with three standard errors."""
    for name in ("predictive", "plug-in"):
        part = rows[rows["quantity"] == f"held-out loss, {name}"]
        by_tau = part.groupby("x")["value"]
        label = {"predictive": "posterior averaged", "plug-in": "maximum alone"}[name]
        ax.errorbar(by_tau.mean().index, by_tau.mean(), 3 * by_tau.sem(), marker="o", capsize=3, label=label)
    ax.axhline(0, color=figures.THEORY, linewidth=0.8)
    ax.set(title="Weights drawn from the prior", xlabel="τ / τ₀", ylabel="mean loss over that at τ₀, nats")
    ax.set_xscale("log", base=2)
    ax.legend(fontsize=8)


# --- all of it ----------------------------------------------------------------------------------------

CHECKS = (IDENTITY, MAP, LOGITS, ELBO, ELBO_SAMPLED, ELBO_OPTIMISED, BAYES_MEAN_LOSS,
          BAYES_PLUG_IN)  # fmt: skip
THEORIES = (
    Theory(
        "divergence",
        lambda m, *at: variational.divergence([m], *at),
        lambda *at: variational.divergence_by_integration(*at),
        [(0.0, 1.0, 1.0), (1.5, 0.1, 2.0), (-1, 2, 0.7)],
    ),
    Theory("trace", trace, trace_by_autodiff, [(m,) for m in MEANS]),
)


def units(scale: str) -> list[Unit]:
    seeds, drawn = range(SEEDS[scale]), range(DRAWS_A_MEAN * MEANS_OF[scale])
    return [
        unit(measure_identity),
        unit(measure_elbo),
        unit(draw_elbo, seeds),
        unit(train_map, seeds, cost=4),
        unit(train_digits, seeds, data=("digits",), cost=6),
        unit(train_logits, seeds, cost=3),
        unit(train_drawn, drawn, cost=6),
    ]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """The chapter's approximations in numbers: for each τ, at the best s, one example of three classes."""
    wide = rows[rows["quantity"].isin(QUANTITIES)].pivot_table("value", "x", "quantity")[QUANTITIES]
    heads = ["best s", "E CCE − CCE(m)", "½ s² tr H", "true class's m", "m, chapter"]
    return wide.set_axis(heads, axis=1).rename_axis("τ").reset_index()


def figure(rows: pd.DataFrame):
    """Distance to the posterior's mode; what the objective leaves out; the shift of m; the best τ."""
    canvas, axes = figures.panels(2, 2)
    for panel, ax in zip((draw_map, draw_excess, draw_shift, draw_best), axes, strict=True):
        panel(ax, rows)
    return canvas
