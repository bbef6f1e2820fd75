"""An L2 penalty is a Gaussian prior: on what, with which λ, and how near the evidence bound.

Expect: the identities hold; λ = 1/(2τ²N) finds scikit-learn's maximum a posteriori, λ = 1/(2τ²) does not; a
prior on the logits is another model than one on the weights; the chapter's objective leaves out ½ s² tr H,
which no longer is small once the width s of the variational distribution is optimised. Costs twenty seconds.
"""

from __future__ import annotations

import itertools

import mpmath
import numpy as np

from suite.claims import Advice, Check, Claim, Theory, Unit
from suite.criteria import Equal, Identity
from suite.lazy import (
    autodiff,
    data,
    figures,
    keras,
    linear_model,
    losses,
    optimize,
    pd,
    regularizers,
    replicates,
    rows,
    special,
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
    advice=Advice(
        question="Which λ is a prior of standard deviation τ on the weights?",
        answer="1/(2τ²N) for Keras' averaged loss. Without the N the prior is √N times narrower than meant.",
        code="Dense(10, kernel_regularizer=GaussianPrior(tau=1.0, n=len(x)))",
    ),
)

SEEDS = {"smoke": 8, "standard": 16, "full": 64}
DRAWN = {"smoke": 64, "standard": 64, "full": 512}  # weights drawn from the prior
TAUS = (0.3, 1.0, 3.0)
SIZES = (40, 100, 300)  # N
FEATURES = 6
DIGITS, DIGIT_TAUS = 300, (0.3, 1.0)
STEPS = 500
CLOSE = 0.01  # of the length of the weights
LOGITS = np.array([(0.0, 0, 0), (1.5, 0, -1), (-2, 1, 0.5), (4, -1, -2)])  # m; the true class is the first
NODES = 20  # of Gauss and Hermite, a dimension
WIDTH = 2.0  # τ where the bound is sampled
DRAWS = 200_000
WIDTHS = np.geomspace(0.03, 3, 13)  # s of the figure
OPTIMISED = (0.1, 0.3, 1.0, 3.0)  # τ where s is optimised
TRUE_TAUS, OCTAVES = (0.5, 1.0), np.arange(-4, 6)  # τ is sought at τ₀ 2^octave
HELD_OUT, EXAMPLES, DIMENSIONS = 2000, 64, 20

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
        settings=("s = 0.03", "s = 0.1"),
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


def divergence(m: float, s: float, tau: float) -> float:
    """KL(N(m, s²) ‖ N(0, τ²)), a logit."""
    return (s**2 + m**2) / (2 * tau**2) - 0.5 + np.log(tau / s)


def divergence_by_integration(m: float, s: float, tau: float) -> float:
    q = lambda z: mpmath.npdf(z, m, s)  # noqa: E731
    integrand = lambda z: q(z) * (mpmath.log(q(z)) - mpmath.log(mpmath.npdf(z, 0, tau)))  # noqa: E731
    return float(mpmath.quad(integrand, mpmath.linspace(m - 12 * s, m + 12 * s, 9)))


def trace(i: int) -> float:
    """tr H = 1 − Σ p² of the softmax at the i-th of the logits."""
    return float(1 - (special.softmax(LOGITS[i]) ** 2).sum())


def trace_by_autodiff(i: int) -> float:
    y = np.eye(3)[:1]
    return float(np.trace(autodiff.logit_hessian(losses.categorical_crossentropy, y, LOGITS[i : i + 1])[0]))


THEORIES = (
    Theory(
        "divergence", divergence, divergence_by_integration, [(0.0, 1.0, 1.0), (1.5, 0.1, 2.0), (-1, 2, 0.7)]
    ),
    Theory("trace", trace, trace_by_autodiff, [(i,) for i in range(len(LOGITS))]),
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


def strength(arm: str, tau: float, n: int) -> float:
    """Keras' λ; the control leaves out the N."""
    return regularizers.GaussianPrior(tau, n if arm == "claim" else 1).l2


def measure_identity(seeds: tuple[int, ...]) -> pd.DataFrame:
    """N times the penalty and its gradient against the density's logarithm, at 50 digits."""
    parts = []
    for i, (tau, n) in enumerate(itertools.product((0.1, 1.0, 10.0), (7, 50, 1000))):
        m = np.random.default_rng(i).normal(size=20) * tau
        with mpmath.workdps(50):
            density = [mpmath.log(mpmath.npdf(mpmath.mpf(w), 0, mpmath.mpf(tau))) for w in m]
            constant = mpmath.log(2 * mpmath.pi * mpmath.mpf(tau) ** 2) / 2
            value = np.array(float(-sum(density) - len(m) * constant))
            slope = np.array([float(mpmath.mpf(w) / mpmath.mpf(tau) ** 2) for w in m])
        for arm in ("claim", "control"):
            prior = regularizers.GaussianPrior(tau, n if arm == "claim" else 1)
            (weights,) = autodiff.tensors(m)
            found = {
                "penalty": (n * autodiff.numbers(prior(weights)), value),
                "gradient": (n * autodiff.numbers(autodiff.gradient(prior)(weights)), slope),
            }
            parts += [
                rows.tidy(
                    check="identity",
                    arm=arm,
                    setting=setting,
                    value=each,
                    reference=true,
                    resolution=np.finfo("float64").eps * np.abs(true),
                )
                for setting, (each, true) in found.items()
            ]
    return pd.concat(parts)


def penalised(inputs: int, outputs: int):
    """A linear model whose L2 penalty of weight 1 is scaled by each replicate's λ."""

    def build():
        head = keras.layers.Dense(outputs, kernel_regularizer=keras.regularizers.L2(1.0))
        return keras.Sequential([keras.Input((inputs,)), head])

    return build


def fitted(x: np.ndarray, y: np.ndarray, loss, strengths: np.ndarray, outputs: int, weight=None):
    """Kernels [R, D, K] and biases [R, K] after full-batch Adam at a falling rate."""
    replicas = replicates.Replicates(penalised(x.shape[-1], outputs), range(len(x)))
    rate = keras.optimizers.schedules.CosineDecay(0.1, STEPS)
    replicas.compile(keras.optimizers.Adam(rate), loss, penalty_scale=strengths)
    replicas.fit(x, y, batch_size=x.shape[1], epochs=STEPS, shuffle=False, sample_weight=weight)
    return [each.astype("float64") for each in replicas.get_weights()]


def referee(x: np.ndarray, y: np.ndarray, tau: float, bias: bool = True) -> np.ndarray:
    """scikit-learn's maximum a posteriori, [D] or [D, K]."""
    model = linear_model.LogisticRegression(C=tau**2, fit_intercept=bias, tol=1e-9, max_iter=10_000)
    return model.fit(x, y.ravel()).coef_.squeeze().T


def distance(found: np.ndarray, true: np.ndarray) -> float:
    return float(np.linalg.norm(found - true) / np.linalg.norm(true))


def train_map(seeds: tuple[int, ...]) -> pd.DataFrame:
    """Every τ, N, seed and arm as one; of the largest set, those of N examples have weights."""
    cases = list(itertools.product(("claim", "control"), TAUS, SIZES, seeds))
    sets = {seed: linear_examples(np.random.default_rng(seed), max(SIZES), FEATURES) for seed in seeds}
    x, y = (np.stack([sets[seed][i] for *_, seed in cases]) for i in (0, 1))
    weight = np.stack([(np.arange(max(SIZES)) < n) * max(SIZES) / n for *_, n, _ in cases])
    strengths = np.array([strength(arm, tau, n) for arm, tau, n, _ in cases])
    kernels, _ = fitted(x, y, losses.binary_crossentropy, strengths, 1, weight.astype("float32"))
    parts = []
    for (arm, tau, n, seed), kernel in zip(cases, kernels[..., 0], strict=True):
        off = distance(kernel, referee(sets[seed][0][:n], sets[seed][1][:n], tau))
        shared = {"check": "map", "setting": f"τ = {tau:g}, N = {n}", "x": n, "quantity": f"τ = {tau:g}"}
        parts.append(rows.tidy(arm=arm, seed=seed, value=off, **shared))
    return pd.concat(parts)


def linear_examples(rng: np.random.Generator, n: int, dim: int, tau: float = 1.0):
    """Features [N, D], labels [N, 1] and the true weights, drawn from N(0, τ²)."""
    w, x = rng.normal(size=dim) * tau, rng.normal(size=(n, dim))
    y = rng.random(n) < special.expit(x @ w)
    return x.astype("float32"), y[:, None].astype("float32"), w


def train_digits(seeds: tuple[int, ...]) -> pd.DataFrame:
    """Softmax regression on `DIGITS` images, drawn anew each seed.

    Centred pixels change the biases alone, which have no prior; training then is far better conditioned.
    """
    digits = data.load("digits")
    pixels = digits.x_train.reshape(len(digits.x_train), -1)
    pixels = pixels - pixels.mean(0)
    picks = {s: np.random.default_rng(s).permutation(len(pixels))[:DIGITS] for s in seeds}
    cases = list(itertools.product(("claim", "control"), DIGIT_TAUS, seeds))
    x, y = (np.stack([given[picks[seed]] for *_, seed in cases]) for given in (pixels, digits.y_train))
    strengths = np.array([strength(arm, tau, DIGITS) for arm, tau, _ in cases])
    kernels, _ = fitted(x, y, losses.sparse_categorical_crossentropy, strengths, 10)
    true = {
        (tau, s): referee(pixels[picks[s]], digits.y_train[picks[s]], tau)
        for tau in DIGIT_TAUS
        for s in seeds
    }
    parts = [
        rows.tidy(
            check="map",
            arm=arm,
            setting=f"digits, τ = {tau:g}",
            seed=seed,
            value=distance(kernel, true[tau, seed]),
        )
        for (arm, tau, seed), kernel in zip(cases, kernels, strict=True)
    ]
    return pd.concat(parts)


def train_logits(seeds: tuple[int, ...]) -> pd.DataFrame:
    """A penalty z²/(2τ²) an example on the logits of features of unequal scales, τ = 1, no N in it."""
    sets = [linear_examples(np.random.default_rng(seed), max(SIZES), FEATURES) for seed in seeds]
    scales = np.geomspace(0.1, 3, FEATURES).astype("float32")
    x, y = np.stack([each[0] for each in sets]) * scales, np.stack([each[1] for each in sets])

    def loss(y, z):
        return losses.binary_crossentropy(y, z) + keras.ops.sum(keras.ops.square(z), -1) / 2

    kernels, biases = fitted(x, y, loss, np.zeros(len(seeds)), 1)
    parts = []
    for seed, features, labels, kernel, bias in zip(seeds, x, y, kernels, biases, strict=True):
        z = features @ kernel[:, 0] + bias
        full = np.hstack(
            [features, np.ones((len(features), 1))]
        )  # the prior is on all of z, its bias included
        values, vectors = np.linalg.eigh(full.T @ full.astype("float64"))
        white = full @ vectors / np.sqrt(values)
        for arm, given in (("claim", white), ("control", full)):
            off = distance(z, given @ referee(given, labels, 1.0, bias=False))
            parts.append(rows.tidy(check="logits", arm=arm, seed=seed, value=off))
    return pd.concat(parts)


# --- experiments: the evidence lower bound ----------------------------------------------------------


def grid() -> tuple[np.ndarray, np.ndarray]:
    """Gauss and Hermite's nodes for N(0, I) in three dimensions, [NODES³, 3], and their weights."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    points = np.stack(np.meshgrid(nodes, nodes, nodes, indexing="ij"), -1).reshape(-1, 3)
    total = np.einsum("i,j,k->ijk", weights, weights, weights).ravel()
    return points, total / total.sum()


def crossentropy(z: np.ndarray) -> np.ndarray:
    """Our Keras loss in float64 at logits [N, 3], the first class being true."""
    y, logits = autodiff.tensors(np.broadcast_to(np.eye(3)[0], z.shape).copy(), z)
    return autodiff.numbers(losses.categorical_crossentropy(y, logits))


def excess(m: np.ndarray, s: float) -> float:
    """E_q CCE(z) − CCE(m) for q = N(m, s²I), by quadrature."""
    points, weights = grid()
    return float(weights @ crossentropy(m + s * points) - crossentropy(m[None])[0])


def bound(m: np.ndarray, s: float, tau: float) -> float:
    """−ELBO in nats."""
    return float(crossentropy(m[None])[0]) + excess(m, s) + sum(divergence(each, s, tau) for each in m)


def measure_elbo(seeds: tuple[int, ...]) -> pd.DataFrame:
    """What the chapter's objective leaves out, along s, and at the best s."""
    parts = []
    for i, m in enumerate(LOGITS):
        for arm, setting, s in (
            ("claim", "s = 0.03", 0.03),
            ("claim", "s = 0.1", 0.1),
            ("control", "s = 0.03", 1.0),
            ("control", "s = 0.1", 1.0),
        ):
            ratio = excess(m, s) / (s**2 * trace_by_autodiff(i) / 2)
            parts.append(rows.tidy(check="elbo", arm=arm, setting=setting, value=ratio, reference=1.0))
        left_out = [excess(m, s) for s in WIDTHS]
        parts.append(rows.tidy(quantity=f"excess {i}", x=WIDTHS, value=left_out))
    return pd.concat([*parts, *map(optimised_rows, OPTIMISED)])


def optimised_rows(tau: float) -> pd.DataFrame:
    """The bound's best m and s beside the chapter's best m, one example."""
    points, weights = grid()

    def negative_bound(at: np.ndarray) -> float:
        m, s = at[:3], np.exp(at[3])
        z = m + s * points
        expected = weights @ (np.logaddexp.reduce(z, axis=1) - z[:, 0])
        return expected + sum(divergence(each, s, tau) for each in m)

    def chapters(scale: float) -> np.ndarray:
        objective = lambda m: np.logaddexp.reduce(m) - m[0] + scale * m @ m / (2 * tau**2)  # noqa: E731
        return optimize.minimize(objective, np.zeros(3), tol=1e-10).x

    best = optimize.minimize(negative_bound, [0, 0, 0, np.log(tau / 2)], tol=1e-9).x
    m, s = best[:3], float(np.exp(best[3]))
    shared = {"check": "elbo_optimised", "setting": f"τ = {tau:g}", "x": tau}
    told = {
        "best s": s,
        "left out": excess(m, s),
        "½ s² tr H": s**2 / 2 * (1 - (special.softmax(m) ** 2).sum()),
    }
    told |= {"m of the bound": m[0], "m of the chapter": chapters(1)[0]}
    return pd.concat(
        [
            rows.tidy(value=distance(m, chapters(1)), **shared),
            rows.tidy(arm="control", value=distance(m, chapters(2)), **shared),
            *(rows.tidy(quantity=name, x=tau, value=value) for name, value in told.items()),
        ]
    )


def draw_elbo(seeds: tuple[int, ...]) -> pd.DataFrame:
    """The bound from draws of q; the control takes cross-entropy at m instead of at the draws."""
    parts = []
    for seed, s in itertools.product(seeds, (1.0, 2.0)):
        noise = np.random.default_rng(seed).normal(size=(DRAWS, 3))
        z = LOGITS[1] + s * noise
        log_ratio = (z**2 / (2 * WIDTH**2) - noise**2 / 2).sum(1) + 3 * np.log(WIDTH / s)
        at = {"claim": crossentropy(z), "control": crossentropy(LOGITS[1:2])}
        shared = {"check": "elbo_sampled", "setting": f"s = {s:g}", "seed": seed}
        parts += [
            rows.tidy(
                arm=arm,
                value=(cost + log_ratio).mean(),
                reference=bound(LOGITS[1], s, WIDTH),
                resolution=(cost + log_ratio).std() / np.sqrt(DRAWS),
                **shared,
            )
            for arm, cost in at.items()
        ]
    return pd.concat(parts)


# --- experiments: the best τ ------------------------------------------------------------------------


def train_drawn(seeds: tuple[int, ...]) -> pd.DataFrame:
    """Held-out loss over τ, each seed with weights of its own drawn from N(0, τ₀²I)."""
    cases = list(itertools.product(("claim", "control"), TRUE_TAUS, seeds, OCTAVES))
    rng = lambda tau, seed: np.random.default_rng([seed, round(10 * tau)])  # noqa: E731
    sets = {
        (tau, seed): linear_examples(rng(tau, seed), EXAMPLES + HELD_OUT, DIMENSIONS, tau)
        for tau in TRUE_TAUS
        for seed in seeds
    }
    x, y = (np.stack([sets[tau, seed][i][:EXAMPLES] for _, tau, seed, _ in cases]) for i in (0, 1))
    strengths = np.array([strength(arm, tau * 2.0**octave, EXAMPLES) for arm, tau, _, octave in cases])
    kernels, biases = fitted(x, y, losses.binary_crossentropy, strengths, 1)
    trained = zip(cases, kernels[..., 0], biases, strict=True)
    cost = np.array([held_out(sets[tau, seed], w, b) for (_, tau, seed, _), w, b in trained])
    cost = cost.reshape(2, len(TRUE_TAUS), len(seeds), len(OCTAVES))
    arm = np.array(["claim", "control"])[:, None, None]
    named = np.array([f"τ₀ = {tau:g}" for tau in TRUE_TAUS])[:, None]
    best = OCTAVES[cost.argmin(-1)]
    shown = {"arm": arm[..., None], "quantity": np.char.add("held-out loss, ", named)[..., None]}
    return pd.concat(
        [
            rows.tidy(check="bayes_optimal", arm=arm, setting=named, seed=seeds, value=best),
            rows.tidy(seed=np.array(seeds)[:, None], x=2.0**OCTAVES, value=cost, **shown),
        ]
    )


def held_out(examples: tuple, w: np.ndarray, b: np.ndarray) -> float:
    """Expected cross-entropy at the examples that were held out: labels averaged over, not drawn."""
    x, _, truth = examples
    fresh = x[EXAMPLES:].astype("float64")
    q, z = special.expit(fresh @ truth), fresh @ w + b
    return float((np.logaddexp(0, z) - q * z).mean())


# --- table and figure -------------------------------------------------------------------------------


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """The chapter's approximations in numbers: for each τ, at the best s, one example of three classes."""
    names = ["best s", "left out", "½ s² tr H", "m of the bound", "m of the chapter"]
    told = rows[rows["quantity"].isin(names)]
    wide = told.pivot_table("value", "x", "quantity")[names]
    heads = {
        "left out": "E CCE − CCE(m)",
        "m of the bound": "true class's m",
        "m of the chapter": "m, chapter",
    }
    return wide.rename(columns=heads).rename_axis("τ").rename_axis(None, axis=1).reset_index()


def figure(rows: pd.DataFrame):
    """Distance to the posterior's mode; what the objective leaves out; the shift of m; the best τ."""
    canvas, axes = figures.panels(2, 2)
    for panel, ax in zip((draw_map, draw_excess, draw_shift, draw_best), axes, strict=True):
        panel(ax, rows)
    return canvas


def draw_map(ax, rows: pd.DataFrame) -> None:
    part = rows[(rows["check"] == "map") & rows["x"].notna()]
    for i, tau in enumerate(TAUS):
        for arm, style in (("claim", "o-"), ("control", "x:")):
            each = part[(part["arm"] == arm) & (part["quantity"] == f"τ = {tau:g}")]
            without = "without the N" if i == 0 else None
            name = f"τ = {tau:g}" if arm == "claim" else without
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
        ax.plot(
            part["x"],
            part["value"],
            "o",
            label="m = (" + ", ".join(f"{v:g}" for v in m).replace("-", "−") + ")",
        )
        figures.theory_line(ax, WIDTHS, WIDTHS**2 * trace(i) / 2, "½ s² tr H" if i == 0 else "")
    ax.set(title="What the objective leaves out", xlabel="width s of q", ylabel="E CCE(z) − CCE(m), nats")
    ax.set(xscale="log", yscale="log")
    ax.legend(fontsize=7)


def draw_shift(ax, rows: pd.DataFrame) -> None:
    for name, label, marker in (
        ("m of the bound", "bound's best m", "o-"),
        ("m of the chapter", "chapter's best m", "s--"),
        ("best s", "best s", "^:"),
    ):
        part = rows[rows["quantity"] == name]
        ax.plot(part["x"], part["value"], marker, label=label)
    ax.set(title="With s optimised", xlabel="prior's τ", ylabel="true class's logit, or s", xscale="log")
    ax.legend(fontsize=8)


def draw_best(ax, rows: pd.DataFrame) -> None:
    for i, tau in enumerate(TRUE_TAUS):
        for arm, style in (("claim", "-"), ("control", ":")):
            part = rows[(rows["quantity"] == f"held-out loss, τ₀ = {tau:g}") & (rows["arm"] == arm)]
            name = f"τ₀ = {tau:g}" + (", without N" if arm == "control" else "")
            figures.curve(ax, part, name, linestyle=style, color=figures.PALETTE[i])
    ax.axvline(1, color=figures.THEORY, linewidth=0.8)
    ax.set(title="Weights drawn from the prior", xlabel="τ / τ₀", ylabel="held-out loss, nats")
    ax.set_xscale("log", base=2)
    ax.legend(fontsize=7)
