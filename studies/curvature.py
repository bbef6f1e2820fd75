"""The curvature of cross-entropy: p (1 − p), and for K classes the covariance diag(p) − ppᵀ.

Expect: the identities hold; the sentence that the surface is "steepest near the decision boundary" is wrong
as it stands, for it is the curvature that peaks there, and the slope at confident errors. Where a model is
trained, and in its weights: `network_curvature`. Costs seconds beside the paths of `execution_paths`. Run it
with `crosscheck run curvature`.
"""

from __future__ import annotations

from collections.abc import Iterator

import mpmath
import numpy as np

from crosscheck.claims import Check, Claim, Equal, Exceeds, Identity, Theory, Unit, unit
from crosscheck.lazy import autodiff, figures, keras, landscape, losses, paths, pd, risk, rows, special
from crosscheck.studies.execution_paths import BITS, WRITTEN_OUT, path_units

CLAIM = Claim(
    title="Curvature is p (1 − p): largest at the boundary, where the slope is not",
    statement="The second derivative of binary cross-entropy by the logit is p (1 − p), largest at p = ½ and "
    "vanishing as p → 0 or 1, so that the surface is steepest and turns fastest near the decision boundary. "
    "For K classes the Hessian is diag(p) − ppᵀ: the softmax's Jacobian and a categorical variable's "
    "covariance, symmetric and positive semi-definite.",
    formula=r"\frac{d^2\mathcal{L}}{dz^2} = p\,(1 - p), \qquad \mathbf{H} = \mathrm{diag}(\mathbf{p}) - "
    r"\mathbf{p}\mathbf{p}^\top",
    source="Properties of the Loss Landscape; problem 3166266",
    correct="The loss bends most at the decision boundary. It is steepest far from it, on the wrong side: "
    "the slope |p − y| is ½ at the boundary and tends to 1 at a confident error. The largest eigenvalue says "
    "how much the loss bends at most; in which direction, its eigenvector does.",
)

DTYPES = ("float64", "float32")
EPS = float(np.finfo("float64").eps)


# --- two classes: is the curvature p (1 − p)? ---

BINARY = Check(
    "binary",
    "Differentiated twice by autodiff, ours and Keras' from logits give p (1 − p).",
    Identity(ulps=4),
    r"p\,(1 - p)",
    control="logits rounded to the next narrower dtype",
    positive="a softmax of two logits, of which one is held at 0",
    settings=DTYPES,
    exact=True,
)
FLAT = Check(
    "flat",
    "However far out, it keeps its digits as it decays like e^(−|z|).",
    Identity(ulps=4),  # relative to its own size
    r"\frac{d^2\mathcal{L}}{dz^2} \Big/ \frac{e^{-|z|}}{(1 + e^{-|z|})^2} = 1",
    control="the same loss written as softplus(−z), whose second derivative is taken of a rounded p",
    positive="σ(z) σ(−z) by NumPy in the same dtype, both from e^(−|z|)",
    settings=DTYPES,
    exact=True,
)
CURVATURE_PATHS = Check(  # on the rows of `execution_paths`
    "curvature_paths",
    "Keras' losses have this curvature on every execution path.",
    Identity(ulps=4),
    r"p\,(1 - p)",
    control=BITS,
    positive=WRITTEN_OUT,
    settings=("tensorflow",),
    scope=True,
    exact=True,
)
LOGITS = np.array([0, 1e-3, 0.3, 0.5, 1, 1.7, 2, 5, 7.3, 10, 15, 20, 30, 40, 60, 80.0])


def curvature(z: float) -> float:
    return float(paths.oracle("binary", np.array([z]), np.ones(1)).second[0])


def curvature_by_differentiation(z: float) -> float:
    with mpmath.workdps(50):
        return float(mpmath.diff(lambda t: mpmath.log1p(mpmath.exp(-t)), z, 2))


def measure_binary(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Curvature along the logit, y = 1: ours, Keras' from logits, and the controls; slopes in float64."""
    z = np.concatenate([-LOGITS[:0:-1], LOGITS])
    ours, bend = losses.binary_crossentropy, landscape.second_derivative
    for dtype in DTYPES:
        by_keras = keras.losses.BinaryCrossentropy(from_logits=True, reduction=None, dtype=dtype)
        theory = paths.oracle("binary", z, np.ones_like(z)).second
        shared = {"setting": dtype, "x": z, "resolution": np.finfo(dtype).eps}
        claim = np.array([bend(loss, z, dtype) for loss in (ours, by_keras)])
        rounded = bend(ours, landscape.narrowed(z.astype(dtype)), dtype)
        pair = bend(landscape.of_two_logits, z, dtype)
        yield BINARY.rows(claim, rounded, theory, positive=pair, **shared)
        control, by_hand = bend(landscape.as_softplus, z, dtype), landscape.both_tails(z, dtype)
        yield FLAT.rows(claim / theory, control / theory, 1.0, positive=by_hand / theory, **shared)
    for arm, loss in (("claim", ours), ("control", losses.brier), ("positive", risk.absolute_error)):
        yield from slope_rows(loss, arm, z)


# --- boundary: is it the slope that peaks there? ---

SLOPE = Check(
    "slope",
    "As the chapter has it: nowhere is the surface steeper than at the decision boundary.",
    Exceeds(margin=0.0),
    r"|p - y|_{z = 0} \ge \max_z |p - y|",
    control="the Brier score",
    positive="absolute error through the same sigmoid, whose slope is p (1 − p)",
    exact=True,
)


def slope_rows(loss, arm: str, z: np.ndarray) -> Iterator[pd.DataFrame]:
    """The slope at z = 0 against the largest anywhere else; slope and curvature along z, to look at."""
    slope = np.abs(autodiff.logit_gradient(loss, np.ones((len(z), 1)), z[:, None])[:, 0])
    yield SLOPE.rows(**{arm: slope[z == 0]}, reference=slope[np.abs(z) >= 0.5].max())
    bend = landscape.second_derivative(loss, z, "float64")
    yield rows.tidy(quantity="slope", arm=arm, x=z, value=slope)
    yield rows.tidy(quantity="curvature", arm=arm, x=z, value=bend)


def draw_slope(ax, rows: pd.DataFrame) -> None:
    z = np.linspace(-10, 10, 201)
    p = 1 / (1 + np.exp(-z))
    figures.theory_line(ax, z, 1 - p, "theory")
    figures.theory_line(ax, z, p * (1 - p), "")
    for quantity, marker in (("slope", "o"), ("curvature", "s")):
        part = rows[(rows["quantity"] == quantity) & (rows["arm"] == "claim") & (rows["x"].abs() <= 10)]
        ax.plot(part["x"], part["value"], marker, label=quantity)
    ax.axvline(0, color="0.6", linewidth=0.8)
    ax.set(title="Slope and curvature, y = 1", xlabel="logit z", ylabel="derivative of the loss")
    ax.legend(loc="upper right", fontsize=8)


# --- K classes: is the Hessian diag(p) − ppᵀ, and what are its eigenvalues? ---

HESSIAN = Check(
    "hessian",
    "For 2, 3 and 10 classes double autodiff gives diag(p) − ppᵀ, entry by entry.",
    Identity(ulps=8),  # p is a quotient of sums of K rounded exponentials
    r"\mathrm{diag}(\mathbf{p}) - \mathbf{p}\mathbf{p}^\top",
    control="logits rounded to the next narrower dtype",
    positive="the loss written out as ln Σ e^z − yᵀz",
    settings=DTYPES,
    exact=True,
)
SPECTRUM = Check(
    "spectrum",
    "Its eigenvalues lie between 0 and ½, which two tied classes reach; where all are tied they are 1/K.",
    Identity(ulps=16),  # eigenvalues of a rounded matrix of up to ten rows
    r"0 \le \lambda \le \tfrac12",
    control="the Brier score of a softmax, whose Hessian is indefinite",
    positive="the covariance of one-hot vectors, summed over the outcomes by NumPy",
    exact=True,
)
NULL_VECTOR = Check(
    "null_vector",
    "It has the null vector 1, and no other: rank K − 1.",
    Identity(ulps=16),
    r"\mathbf{H}\mathbf{1} = 0",
    control="an L2 penalty of 1e−6 on the logits",
    positive="the covariance of one-hot vectors, summed over the outcomes by NumPy",
    exact=True,
)
CLASSES = (2, 3, 10)


def measure_hessian(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Hessians at random logits of several sizes, at a tie of two, and where all are tied."""
    second, entropy = autodiff.logit_hessian, losses.categorical_crossentropy
    for k in CLASSES:
        tie = np.where(np.arange(k) < 2, 0.0, -60.0)
        z = np.vstack([landscape.scattered_logits(40, k, 30), tie, np.zeros(k)])
        y = landscape.every_label(len(z), k)
        for dtype in DTYPES:
            logits, labels = z.astype(dtype), y.astype(dtype)
            arms = (entropy, logits), (entropy, landscape.narrowed(logits)), (landscape.written_out, logits)
            claim, control, written = (second(loss, labels, at).astype("float64") for loss, at in arms)
            shared = {"setting": dtype, "resolution": np.finfo(dtype).eps}
            yield HESSIAN.rows(claim, control, paths.softmax_jacobian(logits), positive=written, **shared)
        p, hessian, summed = paths.softmax(z), second(entropy, y, z), landscape.covariance(paths.softmax(z))
        brier, penalised = second(losses.categorical_brier, y, z), hessian + 2e-6 * np.eye(k)
        for arm, spectral, kernel in (
            ("claim", hessian, hessian),
            ("control", brier, penalised),
            ("positive", summed, summed),
        ):
            yield from spectrum_rows(spectral, arm, p)
            yield from null_rows(kernel, arm, p)
        yield from fisher_rows(z, y, hessian)


def spectrum_rows(hessian: np.ndarray, arm: str, p: np.ndarray) -> Iterator[pd.DataFrame]:
    """How far eigenvalues lie outside their bounds, and off them at the ties: [N] each."""
    k = hessian.shape[-1]
    eigenvalues = np.linalg.eigvalsh(hessian)  # ascending
    for quantity, off in (
        ("below 0", np.minimum(eigenvalues[:, 0], 0)),
        ("above ½", np.maximum(eigenvalues[:, -1] - 0.5, 0)),
        ("tie", eigenvalues[-2, -1] - 0.5),
        ("uniform", eigenvalues[-1, 1:] - 1 / k),
    ):
        yield SPECTRUM.rows(**{arm: off}, quantity=quantity, resolution=EPS)
    ends = [f"smallest, K = {k}", f"largest, K = {k}"]
    yield rows.tidy(arm=arm, quantity=ends, x=p.max(1)[:, None], value=eigenvalues[:, [0, -1]])


def null_rows(hessian: np.ndarray, arm: str, p: np.ndarray) -> Iterator[pd.DataFrame]:
    """H·1, and the number of eigenvalues that are not 0 where they can be told from it: λ₂ ≥ min p."""
    k, clear = hessian.shape[-1], p.min(1) > 1e-6
    rank = (np.linalg.eigvalsh(hessian[clear]) > 1e-9).sum(1)
    yield NULL_VECTOR.rows(**{arm: hessian.sum(2)}, resolution=EPS)
    yield NULL_VECTOR.rows(**{arm: rank}, reference=k - 1, resolution=1e-3)


def draw_spectrum(ax, rows: pd.DataFrame) -> None:
    for k in CLASSES:
        part = rows[(rows["quantity"] == f"largest, K = {k}") & (rows["arm"] == "claim")]
        ax.plot(part["x"], part["value"], "o", label=f"K = {k}", alpha=0.8)
    p = np.linspace(0.5, 1, 50)
    figures.theory_line(ax, p, 2 * p * (1 - p), "2p (1 − p), two classes")
    figures.theory_line(ax, [0.1, 0.5], 0.5, "")
    ax.set(title="Largest eigenvalue of the Hessian", xlabel="largest probability", ylabel="λ")
    ax.set_ylim(0, 0.56)
    ax.legend(loc="lower center", fontsize=8)


def draw_smallest(ax, rows: pd.DataFrame) -> None:
    for arm, label, marker in (("claim", "cross-entropy", "o"), ("control", "Brier score", "^")):
        part = rows[(rows["quantity"] == "smallest, K = 3") & (rows["arm"] == arm)]
        ax.plot(part["x"], part["value"], marker, label=label, alpha=0.8)
    figures.theory_line(ax, [0.33, 1], 0.0, "never below 0")
    ax.set(title="Smallest eigenvalue, K = 3", xlabel="largest probability", ylabel="λ")
    ax.legend()


# --- covariance: is it that of a categorical variable, and of the gradients? ---

FISHER = Check(
    "fisher",
    "It is the covariance of the gradients over labels drawn from p: Fisher's information.",
    Identity(ulps=8),
    r"\sum_k p_k\,(\mathbf{p} - \mathbf{e}_k)(\mathbf{p} - \mathbf{e}_k)^\top",
    control="the observed label's gradient alone: the empirical Fisher matrix",
    positive="K ≤ 3 sigmoids with all their 2^K labels, against their own Hessian",
    exact=True,
)


def fisher_rows(z: np.ndarray, y: np.ndarray, hessian: np.ndarray) -> Iterator[pd.DataFrame]:
    """Gradients by autodiff under every label, weighted by its chance, against double autodiff's Hessian."""
    (n, k), entropy = z.shape, losses.categorical_crossentropy
    labels, p = np.repeat(np.eye(k)[:, None], n, 1), special.softmax(z, axis=1)  # [L, N, K], [N, K]
    drawn = landscape.fisher(entropy, labels, p.T, z)
    observed = landscape.fisher(entropy, y[None], np.ones((1, n)), z)
    yield FISHER.rows(drawn, observed, hessian, resolution=EPS)
    if k <= 3:
        apart = lambda y, z: k * losses.binary_crossentropy(y, z)  # which averages over the K labels
        bits, chance = landscape.outcomes(k)[:, None], special.expit(z)
        weights = np.where(bits > 0, chance, 1 - chance).prod(-1)  # [2^K, N]
        summed = landscape.fisher(apart, np.repeat(bits, n, 1), weights, z)
        yield FISHER.rows(positive=summed, reference=autodiff.logit_hessian(apart, y, z), resolution=EPS)


COVARIANCE_AT = {"variance": (0, 0), "covariance": (0, 1)}  # the entry that each setting looks at
COVARIANCE = Check(
    "covariance",
    "It is the covariance of one-hot draws from p: two of its entries, by Monte Carlo.",
    Equal(margin=0.005),
    r"\mathrm{Cov}[\mathbf{y}]",
    control="a quarter of the draws uniform",
    positive="against the covariance summed over the three outcomes",
    settings=tuple(COVARIANCE_AT),
    population="generator",
)
COVARIANCE_SEEDS = {"smoke": 6, "standard": 16, "full": 128}
COVARIANCE_LOGITS = (1.0, 0.0, -1.0)
DRAWS = 100_000  # categorical draws a seed


def entry(i: int, j: int) -> float:
    return float(paths.softmax_jacobian(np.array([COVARIANCE_LOGITS]))[0, i, j])


def entry_by_summation(i: int, j: int) -> float:
    return float(landscape.covariance(special.softmax([COVARIANCE_LOGITS], axis=1))[0, i, j])


def draw_covariance(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Covariance of one-hot draws, and with a quarter of them uniform, against the Hessian by autodiff."""
    z = np.array([COVARIANCE_LOGITS])
    p, y = special.softmax(z[0]), np.eye(3)[:1]
    hessian = autodiff.logit_hessian(losses.categorical_crossentropy, y, z)[0]
    honest, noisy = (
        np.array([landscape.drawn_covariance(seed, chances, DRAWS) for seed in seeds])
        for chances in (p, 0.75 * p + 0.25 / 3)
    )  # [S, 3, 3]
    for setting, at in COVARIANCE_AT.items():
        shared = {"setting": setting, "seed": seeds}
        yield COVARIANCE.rows(honest[:, *at], noisy[:, *at], hessian[at], **shared)
        yield COVARIANCE.rows(positive=honest[:, *at], reference=entry_by_summation(*at), **shared)


# --- direction: does the largest eigenvalue tell it? ---

DIRECTION = Check(
    "direction",
    "Where the largest eigenvalue is the same, so is the direction in which the loss bends most.",
    Exceeds(margin=0.99),
    r"|\cos(\mathbf{v}_1, \mathbf{v}_1')| = 1 \text{ where } \lambda_1 = \lambda_1'",
    control="points whose largest eigenvalues differ",
    positive="two classes, whose direction is everywhere the same",
    exact=True,
)
DIRECTION_EIGENVECTOR = Check(
    "direction_eigenvector",
    "Along its eigenvector the loss bends by as much as it says, and along 500 other directions by less.",
    Exceeds(margin=0.0),
    r"\frac{d^2}{dt^2} \mathcal{L}(\mathbf{z} + t \mathbf{v}_1) = \lambda_1 \ge \frac{d^2}{dt^2} "
    r"\mathcal{L}(\mathbf{z} + t \mathbf{v})",
    control="the second eigenvector",
    positive="the direction that power iteration finds",
    exact=True,
)
PAIRS, DIRECTIONS = 30, 500


def measure_direction(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Directions at pairs of points of one largest eigenvalue; curvature along them and along others."""
    for k, arm in ((3, "claim"), (2, "positive")):
        one, two = np.random.default_rng(k).normal(scale=4, size=(2, PAIRS, k))
        few = landscape.greatest_curvature(one)[0] < 0.9 / k
        one, two = one[few], two[few]
        alike = landscape.alike_in_size(one, two)
        first, second, other = (landscape.greatest_curvature(z)[1] for z in (one, alike, two))
        cosines = [np.abs((first * v).sum(1)) for v in (second, other)]
        yield DIRECTION.rows(**{arm: cosines[0]})
        if arm == "claim":
            yield DIRECTION.rows(control=cosines[1])
    yield from eigenvector_rows(np.random.default_rng(0).normal(scale=2, size=(20, 3)))


def eigenvector_rows(z: np.ndarray) -> Iterator[pd.DataFrame]:
    """Curvature by autodiff along eigenvectors, against the most along random directions."""
    y, loss = landscape.every_label(*z.shape), losses.categorical_crossentropy
    hessian = landscape.softmax_hessian(special.softmax(z, axis=1))
    vectors = np.linalg.eigh(hessian)[1]
    random = np.random.default_rng(1).normal(size=(DIRECTIONS * len(z), z.shape[1]))
    random /= np.linalg.norm(random, axis=-1, keepdims=True)
    many_y, many_z = (np.tile(a, (DIRECTIONS, 1)) for a in (y, z))
    most = landscape.curvature_along(loss, many_y, many_z, random).reshape(DIRECTIONS, -1).max(0)
    along = lambda v: landscape.curvature_along(loss, y, z, v)
    found = along(landscape.by_power_iteration(hessian))
    largest, second = (along(vectors[..., -i]) for i in (1, 2))
    yield DIRECTION_EIGENVECTOR.rows(largest, second, most, positive=found)


# --- the whole study ---

CHECKS = (BINARY, FLAT, SLOPE, HESSIAN, SPECTRUM, NULL_VECTOR, FISHER, COVARIANCE, DIRECTION,
          DIRECTION_EIGENVECTOR, CURVATURE_PATHS)  # fmt: skip
THEORIES = (
    Theory("curvature", curvature, curvature_by_differentiation, [(-30,), (-1,), (0,), (2.5,), (20,)]),
    Theory("covariance", entry, entry_by_summation, [(0, 0), (0, 1), (2, 2), (1, 2)]),
)


def units(scale: str) -> list[Unit]:
    return [
        *path_units(scale, backends=("tensorflow",)),
        unit(measure_binary),
        unit(measure_hessian),
        unit(draw_covariance, range(COVARIANCE_SEEDS[scale])),
        unit(measure_direction, cost=2),
    ]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Slope and curvature of an example with y = 1, along the logit."""
    shown = rows[rows["quantity"].isin(["slope", "curvature"]) & (rows["arm"] == "claim")]
    wide = shown.pivot_table("value", "x", "quantity")[["slope", "curvature"]].reset_index()
    return wide.set_axis(["Logit z", "Slope |p − y|", "Curvature p (1 − p)"], axis=1)


def figure(rows: pd.DataFrame):
    """Slope and curvature along the logit, and the spectrum of the Hessian."""
    canvas, axes = figures.panels(3, 1, height=3.5)
    for draw, ax in zip((draw_slope, draw_spectrum, draw_smallest), axes, strict=True):
        draw(ax, rows)
    return canvas
