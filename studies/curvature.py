"""The curvature of cross-entropy: p (1 − p), and for K classes the covariance diag(p) − ppᵀ.

Expect: the identities hold; the sentence that the surface is "steepest near the decision boundary" is wrong
as it stands, for it is the curvature that peaks there, and the slope at confident errors. In training on ten
classes the curvature first rises. Costs a minute on two cores beside the paths of `execution_paths`. Run it
with `crosscheck run curvature`.
"""

from __future__ import annotations

from collections.abc import Iterator

import mpmath
import numpy as np

from crosscheck.claims import Check, Claim, Equal, Exceeds, Identity, Theory, Trend, Unit, unit
from crosscheck.lazy import autodiff, data, figures, keras, landscape, losses, paths, pd, rows, special
from crosscheck.studies.execution_paths import path_units

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
    "the slope |p − y| is ½ at the boundary and tends to 1 at a confident error.",
)

DTYPES = ("float64", "float32")
EPS = float(np.finfo("float64").eps)


# --- two classes: is the curvature p (1 − p)? ---

BINARY = Check(
    "binary",
    "Differentiated twice by autodiff, ours and Keras' from logits give p (1 − p).",
    Identity(ulps=4),
    r"p\,(1 - p)",
    control="the Brier score",
    settings=DTYPES,
    exact=True,
)
FLAT = Check(
    "flat",
    "However far out, it keeps its digits as it decays like e^(−|z|).",
    Identity(ulps=4),  # relative to its own size
    r"\frac{d^2\mathcal{L}}{dz^2} \Big/ \frac{e^{-|z|}}{(1 + e^{-|z|})^2} = 1",
    control="the Brier score",
    settings=DTYPES,
    exact=True,
)
CURVATURE_PATHS = Check(  # on the rows of `execution_paths`
    "curvature_paths",
    "Keras' losses have this curvature on every execution path.",
    Identity(ulps=4),
    r"p\,(1 - p)",
    control="squared error through the same head",
    settings=("tensorflow",),
    scope=True,
    exact=True,
)
LOGITS = np.array([0, 1e-3, 0.5, 1, 2, 5, 10, 15, 20, 30, 40, 60, 80.0])


def curvature(z: float) -> float:
    return float(paths.oracle("binary", np.array([z]), np.ones(1)).second[0])


def curvature_by_differentiation(z: float) -> float:
    with mpmath.workdps(50):
        return float(mpmath.diff(lambda t: mpmath.log1p(mpmath.exp(-t)), z, 2))


def measure_binary(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Slope and curvature along the logit, y = 1: ours, Keras' from logits, and the Brier score."""
    z = np.concatenate([-LOGITS[:0:-1], LOGITS])
    ours = (("claim", losses.binary_crossentropy), ("control", losses.brier))
    for dtype in DTYPES:
        for arm, loss in ours:
            yield from binary_rows(loss, arm, z, dtype)
    for dtype in DTYPES:
        by_keras = keras.losses.BinaryCrossentropy(from_logits=True, reduction=None, dtype=dtype)
        yield from binary_rows(by_keras, "claim", z, dtype)
    for arm, loss in ours:
        yield from peak_rows(loss, arm, z)


def binary_rows(loss, arm: str, z: np.ndarray, dtype: str) -> Iterator[pd.DataFrame]:
    measured, theory = (
        landscape.second_derivative(loss, z, dtype),
        paths.oracle("binary", z, np.ones_like(z)).second,
    )
    shared = {"setting": dtype, "x": z, "resolution": np.finfo(dtype).eps}
    yield BINARY.rows(**{arm: measured}, reference=theory, **shared)
    yield FLAT.rows(**{arm: measured / theory}, reference=1.0, **shared)


# --- boundary: is it the slope that peaks there, or the curvature? ---

SLOPE = Check(
    "slope",
    "As the chapter has it: nowhere is the surface steeper than at the decision boundary.",
    Exceeds(margin=0.0),
    r"|p - y|_{z = 0} \ge \max_z |p - y|",
    control="the Brier score",
    exact=True,
)
TURNING = Check(
    "turning",
    "Nowhere does the slope change faster than at the decision boundary.",
    Exceeds(margin=0.0),
    r"p\,(1 - p) \le \tfrac14",
    control="the Brier score",
    exact=True,
)


def peak_rows(loss, arm: str, z: np.ndarray) -> Iterator[pd.DataFrame]:
    """Slope and curvature at z = 0, each against the largest anywhere else; and both along z, to look at."""
    slope = np.abs(autodiff.logit_gradient(loss, np.ones((len(z), 1)), z[:, None])[:, 0])
    bend = landscape.second_derivative(loss, z, "float64")
    boundary, away = z == 0, np.abs(z) >= 0.5
    yield SLOPE.rows(**{arm: slope[boundary]}, reference=slope[away].max())
    yield TURNING.rows(**{arm: bend[boundary]}, reference=bend[away].max())
    yield rows.tidy(quantity="slope", arm=arm, x=z, value=slope)
    yield rows.tidy(quantity="curvature", arm=arm, x=z, value=bend)


def draw_slope(ax, rows: pd.DataFrame) -> None:
    z = np.linspace(-10, 10, 201)
    p = 1 / (1 + np.exp(-z))
    figures.theory_line(ax, z, 1 - p, "|p − y| and p (1 − p)")
    figures.theory_line(ax, z, p * (1 - p), "")
    for quantity, marker in (("slope", "o"), ("curvature", "s")):
        part = rows[(rows["quantity"] == quantity) & (rows["arm"] == "claim") & (rows["x"].abs() <= 10)]
        ax.plot(part["x"], part["value"], marker, label=quantity)
    ax.axvline(0, color="0.6", linewidth=0.8)
    ax.text(0.3, 0.9, "decision boundary", color="0.4", fontsize=8)
    ax.set(title="Slope and curvature, y = 1", xlabel="logit z", ylabel="derivative of the loss")
    ax.legend(loc="center right", bbox_to_anchor=(1.02, 0.6), fontsize=8)


# --- K classes: is the Hessian diag(p) − ppᵀ, and what are its eigenvalues? ---

HESSIAN = Check(
    "hessian",
    "For 2, 3 and 10 classes double autodiff gives diag(p) − ppᵀ, entry by entry.",
    Identity(ulps=8),  # p is a quotient of sums of K rounded exponentials
    r"\mathrm{diag}(\mathbf{p}) - \mathbf{p}\mathbf{p}^\top",
    control="the Brier score of a softmax",
    settings=DTYPES,
    exact=True,
)
SPECTRUM = Check(
    "spectrum",
    "Its eigenvalues lie between 0 and ½, which two tied classes reach; where all are tied they are 1/K.",
    Identity(ulps=16),  # eigenvalues of a rounded matrix of up to ten rows
    r"0 \le \lambda \le \tfrac12",
    control="the Brier score of a softmax, whose Hessian is indefinite",
    exact=True,
)
NULL_VECTOR = Check(
    "null_vector",
    "It has the null vector 1, and no other: rank K − 1.",
    Identity(ulps=16),
    r"\mathbf{H}\mathbf{1} = 0",
    control="binary cross-entropy of K sigmoids",
    exact=True,
)
CLASSES = (2, 3, 10)


def measure_hessian(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Hessians at random logits of several sizes, at a tie of two, and where all are tied."""
    for k in CLASSES:
        tie = np.where(np.arange(k) < 2, 0.0, -60.0)
        z = np.vstack([landscape.scattered_logits(40, k, 30), tie, np.zeros(k)])
        y = landscape.every_label(len(z), k)
        for dtype in DTYPES:
            yield from hessian_rows(losses.categorical_crossentropy, "claim", z, y, dtype)
            yield from hessian_rows(losses.categorical_brier, "control", z, y, dtype)
        # Our binary cross-entropy averages over the K labels.
        sigmoids = k * autodiff.logit_hessian(losses.binary_crossentropy, y, z)
        yield from null_rows(sigmoids, "control", paths.softmax(z))


def hessian_rows(loss, arm: str, z: np.ndarray, y: np.ndarray, dtype: str) -> Iterator[pd.DataFrame]:
    z = z.astype(dtype)
    hessian = autodiff.logit_hessian(loss, y.astype(dtype), z).astype("float64")
    shared = {"setting": dtype, "resolution": np.finfo(dtype).eps}
    yield HESSIAN.rows(**{arm: hessian}, reference=paths.softmax_jacobian(z), **shared)
    if dtype == "float64":
        yield from spectrum_rows(hessian, arm, paths.softmax(z))
        if arm == "claim":
            yield from null_rows(hessian, arm, paths.softmax(z))


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
    ax.set(title="Smallest eigenvalue, three classes", xlabel="largest probability", ylabel="λ")
    ax.legend()


# --- covariance: is it that of a categorical variable? ---

COVARIANCE_AT = {"variance": (0, 0), "covariance": (0, 1)}  # the entry that each setting looks at
COVARIANCE = Check(
    "covariance",
    "It is the covariance of one-hot draws from p: two of its entries, by Monte Carlo.",
    Equal(margin=0.005),
    r"\mathrm{Cov}[\mathbf{y}]",
    control="the Hessian of the Brier score of a softmax",
    settings=tuple(COVARIANCE_AT),
)
COVARIANCE_SEEDS = {"smoke": 32, "standard": 32, "full": 128}
COVARIANCE_LOGITS = (1.0, 0.0, -1.0)
DRAWS = 100_000  # categorical draws a seed


def entry(i: int, j: int) -> float:
    return float(paths.softmax_jacobian(np.array([COVARIANCE_LOGITS]))[0, i, j])


def entry_by_summation(i: int, j: int) -> float:
    """E[y_i y_j] − E[y_i] E[y_j] over the three outcomes."""
    p, y = special.softmax(COVARIANCE_LOGITS), np.eye(3)
    return float(p @ (y[:, i] * y[:, j]) - (p @ y[:, i]) * (p @ y[:, j]))


def draw_covariance(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Covariance of one-hot draws against the Hessian by autodiff; and against that of the Brier score."""
    z = np.array([COVARIANCE_LOGITS])
    p, y = special.softmax(z[0]), np.eye(3)[:1]
    draws = (np.random.default_rng(seed).choice(3, DRAWS, p=p) for seed in seeds)
    measured = np.array([np.cov(np.eye(3)[classes].T) for classes in draws])  # [S, 3, 3]
    hessian = autodiff.logit_hessian(losses.categorical_crossentropy, y, z)[0]
    by_brier = autodiff.logit_hessian(losses.categorical_brier, y, z)[0]
    for setting, at in COVARIANCE_AT.items():
        shared = {"setting": setting, "seed": seeds}
        yield COVARIANCE.rows(claim=measured[:, *at], reference=hessian[at], **shared)
        yield COVARIANCE.rows(control=measured[:, *at], reference=by_brier[at], **shared)


# --- training: does the curvature fall? ---

SEEDS = {  # what a network begins with varies much, and most on the sets whose fall is smallest
    "digits": {"smoke": 32, "standard": 32, "full": 128},
    "mnist": {"smoke": 8, "standard": 16, "full": 64},
    "fashion_mnist": {"smoke": 8, "standard": 32, "full": 64},
}
FEW = 16  # of them for the control, which is far off
SETS = tuple(SEEDS)
EXAMPLES = {"smoke": 960, "standard": 5_000, "full": 60_000}
LOOKS = (0, 1, 2, 5, 10, 20, 40)  # epochs after which the Hessians of training examples are looked at
LOOKED_AT = 300  # examples

TRAINING = Check(
    "training",
    "In training on real data the mean largest eigenvalue falls by at least 0.05; the uniform's is 0.1.",
    Exceeds(margin=0.05),
    r"\frac{1}{N} \sum_n \lambda_{\max}(\mathbf{H}_n)",
    control="the same training on shuffled labels",
    settings=SETS,
)
TRAINING_STEADILY = Check(
    "training_steadily",
    "It falls from each look to the next.",
    Trend(increasing=False),
    r"\frac{1}{N} \sum_n \lambda_{\max}(\mathbf{H}_n)",
    control="the same training on shuffled labels",
    settings=SETS,
    scope=True,
)


def train_curvature(seeds: tuple[int, ...], name: str, examples: int) -> Iterator[pd.DataFrame]:
    """The mean largest eigenvalue over training examples, before training and after some epochs."""
    images = data.load(name, examples)
    x, y = images.x_train, images.y_train
    few = seeds[:FEW]
    shuffled = np.stack([np.random.default_rng(seed).permutation(y) for seed in few])
    for arm, runs, labels in (("claim", seeds, y), ("control", few, shuffled)):
        seen = landscape.curvature_in_training(runs, x, labels, LOOKS, x[:LOOKED_AT])  # [looks, S]
        shared = {"setting": name, "seed": runs}
        yield TRAINING.rows(**{arm: seen[0]}, reference=seen[-1], **shared)
        yield TRAINING_STEADILY.rows(**{arm: seen}, quantity="λ", x=np.array(LOOKS)[:, None], **shared)


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

CHECKS = (
    BINARY,
    FLAT,
    SLOPE,
    TURNING,
    HESSIAN,
    SPECTRUM,
    NULL_VECTOR,
    COVARIANCE,
    TRAINING,
    TRAINING_STEADILY,
    CURVATURE_PATHS,
)
THEORIES = (
    Theory("curvature", curvature, curvature_by_differentiation, [(-30,), (-1,), (0,), (2.5,), (20,)]),
    Theory("covariance", entry, entry_by_summation, [(0, 0), (0, 1), (2, 2), (1, 2)]),
)


def units(scale: str) -> list[Unit]:
    sets = [(name, range(SEEDS[name][scale])) for name in SETS]
    return [
        *path_units(scale, backends=("tensorflow",)),
        unit(measure_binary),
        unit(measure_hessian),
        unit(draw_covariance, range(COVARIANCE_SEEDS[scale])),
        *(unit(train_curvature, seeds, data=n, examples=EXAMPLES[scale], cost=40) for n, seeds in sets),
    ]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """The mean largest eigenvalue through training."""
    looks = rows[rows["quantity"] == "λ"]
    wide = looks.pivot_table("value", ["setting", "arm"], "x", sort=False)
    wide.columns = [f"epoch {x:g}" for x in wide.columns]
    named = wide.rename(index={"claim": "true", "control": "shuffled"}, level="arm").reset_index()
    return named.rename(columns={"setting": "Data", "arm": "Labels"})


def figure(rows: pd.DataFrame):
    """Slope and curvature along the logit, the spectrum of the Hessian, and curvature in training."""
    canvas, axes = figures.panels(2, 2)
    for draw, ax in zip((draw_slope, draw_spectrum, draw_smallest, draw_training), axes, strict=True):
        draw(ax, rows)
    return canvas
