"""The curvature of cross-entropy: p (1 − p), and for K classes the covariance diag(p) − ppᵀ.

Expect: the identities hold; the sentence that the surface is "steepest near the decision boundary" is wrong
as it stands, for it is the curvature that peaks there, and the slope at confident errors. In training on ten
classes the curvature first rises. Costs a minute on two cores beside the paths of `execution_paths`.
"""

from __future__ import annotations

import mpmath
import numpy as np

from crosscheck.claims import Check, Claim, Equal, Exceeds, Identity, Theory, Trend, Unit, units_by_set
from crosscheck.lazy import (
    autodiff,
    data,
    figures,
    keras,
    losses,
    models,
    paths,
    pd,
    replicates,
    rows,
    special,
)
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

SEEDS = {  # what a network begins with varies much, and most on the sets whose fall is smallest
    "digits": {"smoke": 32, "standard": 32, "full": 128},
    "mnist": {"smoke": 8, "standard": 16, "full": 64},
    "fashion_mnist": {"smoke": 8, "standard": 32, "full": 64},
}
FEW = 16  # of them for the control, which is far off
SETS = tuple(SEEDS)
EXAMPLES = {"smoke": 1_000, "standard": 5_000, "full": 60_000}
DTYPES = ("float64", "float32")
LOGITS = np.array([0, 1e-3, 0.5, 1, 2, 5, 10, 15, 20, 30, 40, 60, 80.0])
CLASSES = (2, 3, 10)
DRAWS = 100_000  # categorical draws a seed
COVARIANCE_LOGITS = (1.0, 0.0, -1.0)
LOOKS = (0, 1, 2, 5, 10, 20, 40)  # epochs after which the Hessians of training examples are looked at
LOOKED_AT = 300  # examples

CHECKS = (
    Check(
        "binary",
        "Differentiated twice by autodiff, ours and Keras' from logits give p (1 − p).",
        Identity(ulps=4),
        r"p\,(1 - p)",
        control="the Brier score",
        settings=DTYPES,
        exact=True,
    ),
    Check(
        "flat",
        "However far out, it keeps its digits as it decays like e^(−|z|).",
        Identity(ulps=4),  # relative to its own size
        r"\frac{d^2\mathcal{L}}{dz^2} \Big/ \frac{e^{-|z|}}{(1 + e^{-|z|})^2} = 1",
        control="the Brier score",
        settings=DTYPES,
        exact=True,
    ),
    Check(
        "slope",
        "As the chapter has it: nowhere is the surface steeper than at the decision boundary.",
        Exceeds(margin=0.0),
        r"|p - y|_{z = 0} \ge \max_z |p - y|",
        control="the Brier score",
        exact=True,
    ),
    Check(
        "turning",
        "Nowhere does the slope change faster than at the decision boundary.",
        Exceeds(margin=0.0),
        r"p\,(1 - p) \le \tfrac14",
        control="the Brier score",
        exact=True,
    ),
    Check(
        "hessian",
        "For 2, 3 and 10 classes double autodiff gives diag(p) − ppᵀ, entry by entry.",
        Identity(ulps=8),  # p is a quotient of sums of K rounded exponentials
        r"\mathrm{diag}(\mathbf{p}) - \mathbf{p}\mathbf{p}^\top",
        control="the Brier score of a softmax",
        settings=DTYPES,
        exact=True,
    ),
    Check(
        "spectrum",
        "Its eigenvalues lie between 0 and ½, which two tied classes reach; where all are tied they are 1/K.",
        Identity(ulps=16),  # eigenvalues of a rounded matrix of up to ten rows
        r"0 \le \lambda \le \tfrac12",
        control="the Brier score of a softmax, whose Hessian is indefinite",
        exact=True,
    ),
    Check(
        "null_vector",
        "It has the null vector 1, and no other: rank K − 1.",
        Identity(ulps=16),
        r"\mathbf{H}\mathbf{1} = 0",
        control="binary cross-entropy of K sigmoids",
        exact=True,
    ),
    Check(
        "covariance",
        "It is the covariance of one-hot draws from p: two of its entries, by Monte Carlo.",
        Equal(margin=0.005),
        r"\mathrm{Cov}[\mathbf{y}]",
        control="the Hessian of the Brier score of a softmax",
        settings=("variance", "covariance"),
    ),
    Check(
        "training",
        "In training on real data the mean largest eigenvalue falls by at least 0.05; the uniform's is 0.1.",
        Exceeds(margin=0.05),
        r"\frac{1}{N} \sum_n \lambda_{\max}(\mathbf{H}_n)",
        control="the same training on shuffled labels",
        settings=SETS,
    ),
    Check(
        "training_steadily",
        "It falls from each look to the next.",
        Trend(increasing=False),
        r"\frac{1}{N} \sum_n \lambda_{\max}(\mathbf{H}_n)",
        control="the same training on shuffled labels",
        settings=SETS,
        scope=True,
    ),
    Check(
        "curvature_paths",
        "Keras' losses have this curvature on every execution path.",
        Identity(ulps=4),
        r"p\,(1 - p)",
        control="squared error through the same head",
        settings=("tensorflow",),
        scope=True,
        exact=True,
    ),
)


# --- theory -----------------------------------------------------------------------------------------


def curvature(z: float) -> float:
    return float(paths.oracle("binary", np.array([z]), np.ones(1)).second[0])


def curvature_by_differentiation(z: float) -> float:
    with mpmath.workdps(50):
        return float(mpmath.diff(lambda t: mpmath.log1p(mpmath.exp(-t)), z, 2))


def covariance(p: np.ndarray) -> np.ndarray:
    """diag(p) − ppᵀ of probabilities [..., K], 1 − p as the sum of the others: [..., K, K]."""
    others = (p[..., None, :] * ~np.eye(p.shape[-1], dtype=bool)).sum(-1)
    return np.where(np.eye(p.shape[-1], dtype=bool), (p * others)[..., None], -p[..., None] * p[..., None, :])


def entry(i: int, j: int) -> float:
    return float(paths.softmax_jacobian(np.array([COVARIANCE_LOGITS]))[0, i, j])


def entry_by_summation(i: int, j: int) -> float:
    """E[y_i y_j] − E[y_i] E[y_j] over the three outcomes."""
    p, y = special.softmax(COVARIANCE_LOGITS), np.eye(3)
    return float(p @ (y[:, i] * y[:, j]) - (p @ y[:, i]) * (p @ y[:, j]))


THEORIES = (
    Theory("curvature", curvature, curvature_by_differentiation, [(-30,), (-1,), (0,), (2.5,), (20,)]),
    Theory("covariance", entry, entry_by_summation, [(0, 0), (0, 1), (2, 2), (1, 2)]),
)


# --- experiments ------------------------------------------------------------------------------------


def units(scale: str) -> list[Unit]:
    seeds = tuple(range(SEEDS["digits"][scale]))
    of = lambda name: tuple(range(SEEDS[name][scale]))  # noqa: E731
    training = units_by_set("curvature", "train_curvature", SETS, of, cost=40, examples=EXAMPLES[scale])
    return [
        *path_units(scale, backends=("tensorflow",)),
        Unit("curvature", "measure_binary"),
        Unit("curvature", "measure_hessian"),
        Unit("curvature", "draw_covariance", {}, seeds),
        *training,
    ]


def measure_binary(seeds: tuple[int, ...]) -> pd.DataFrame:
    """Slope and curvature along the logit, y = 1: ours, Keras' from logits, and the Brier score."""
    z = np.concatenate([-LOGITS[:0:-1], LOGITS])
    ours = (("claim", losses.binary_crossentropy), ("control", losses.brier))
    parts = [binary_rows(loss, arm, z, dtype) for dtype in DTYPES for arm, loss in ours]
    for dtype in DTYPES:
        theirs = keras.losses.BinaryCrossentropy(from_logits=True, reduction=None, dtype=dtype)
        parts.append(binary_rows(theirs, "claim", z, dtype))
    return pd.concat([*parts, *(peak_rows(loss, arm, z) for arm, loss in ours)])


def binary_rows(loss, arm: str, z: np.ndarray, dtype: str) -> pd.DataFrame:
    found, true = second(loss, z, dtype), paths.oracle("binary", z, np.ones_like(z)).second
    shared = {"arm": arm, "setting": dtype, "x": z, "resolution": np.finfo(dtype).eps}
    binary = rows.tidy(check="binary", value=found, reference=true, **shared)
    return pd.concat([binary, rows.tidy(check="flat", value=found / true, reference=1.0, **shared)])


def second(loss, z: np.ndarray, dtype: str) -> np.ndarray:
    """d²L/dz² at each of z [N] with y = 1: [N], float64."""
    y, given = np.ones((len(z), 1), dtype), z[:, None].astype(dtype)
    return autodiff.logit_hessian(loss, y, given)[:, 0, 0].astype("float64")


def peak_rows(loss, arm: str, z: np.ndarray) -> pd.DataFrame:
    """Slope and curvature at z = 0, each against the largest anywhere else."""
    slope = np.abs(autodiff.logit_gradient(loss, np.ones((len(z), 1)), z[:, None])[:, 0])
    bend = second(loss, z, "float64")
    here, away = z == 0, np.abs(z) >= 0.5
    return pd.concat(
        [
            rows.tidy(check="slope", arm=arm, value=slope[here], reference=slope[away].max()),
            rows.tidy(check="turning", arm=arm, value=bend[here], reference=bend[away].max()),
            rows.tidy(quantity="slope", arm=arm, x=z, value=slope),
            rows.tidy(quantity="curvature", arm=arm, x=z, value=bend),
        ]
    )


def measure_hessian(seeds: tuple[int, ...]) -> pd.DataFrame:
    """Hessians at drawn logits of several sizes, at a tie of two, and at none preferred."""
    parts = []
    for k in CLASSES:
        drawn = np.random.default_rng(k).normal(size=(40, k)) * np.geomspace(0.1, 30, 40)[:, None]
        tie = np.where(np.arange(k) < 2, 0.0, -60.0)
        z = np.vstack([drawn, tie, np.zeros(k)])
        y = np.eye(k)[np.arange(len(z)) % k]
        for dtype in DTYPES:
            parts.append(hessian_rows(losses.categorical_crossentropy, "claim", z, y, dtype))
            parts.append(hessian_rows(losses.categorical_brier, "control", z, y, dtype))
        apart = k * autodiff.logit_hessian(losses.binary_crossentropy, y, z)  # ours averages over the K
        parts.append(null_rows(apart, "control", paths.softmax(z)))
    return pd.concat(parts)


def hessian_rows(loss, arm: str, z: np.ndarray, y: np.ndarray, dtype: str) -> pd.DataFrame:
    z = z.astype(dtype)
    found, p = autodiff.logit_hessian(loss, y.astype(dtype), z).astype("float64"), paths.softmax(z)
    shared = {"check": "hessian", "arm": arm, "setting": dtype, "resolution": np.finfo(dtype).eps}
    entries = rows.tidy(value=found, reference=paths.softmax_jacobian(z), **shared)
    if dtype == "float32":
        return entries
    more = [null_rows(found, arm, p)] if arm == "claim" else []
    return pd.concat([entries, spectrum_rows(found, arm, p), *more])


def null_rows(hessian: np.ndarray, arm: str, p: np.ndarray) -> pd.DataFrame:
    """H·1, and the number of eigenvalues that are not 0 where they can be told from it: λ₂ ≥ min p."""
    k, clear = hessian.shape[-1], p.min(1) > 1e-6
    rank = (np.linalg.eigvalsh(hessian[clear]) > 1e-9).sum(1)
    shared = {"check": "null_vector", "arm": arm}
    null = rows.tidy(value=hessian.sum(2), resolution=np.finfo("float64").eps, **shared)
    return pd.concat([null, rows.tidy(value=rank, reference=k - 1, resolution=1e-3, **shared)])


def spectrum_rows(hessian: np.ndarray, arm: str, p: np.ndarray) -> pd.DataFrame:
    """How far eigenvalues lie outside their bounds, and off them at the ties: [N] each."""
    k = hessian.shape[-1]
    eigenvalues = np.linalg.eigvalsh(hessian)  # ascending
    told = {
        "below 0": np.minimum(eigenvalues[:, 0], 0),
        "above ½": np.maximum(eigenvalues[:, -1] - 0.5, 0),
        "tie": eigenvalues[-2, -1] - 0.5,
        "uniform": eigenvalues[-1, 1:] - 1 / k,
    }
    eps = np.finfo("float64").eps
    parts = [
        rows.tidy(check="spectrum", arm=arm, quantity=name, value=value, resolution=eps)
        for name, value in told.items()
    ]
    ends = [f"smallest, K = {k}", f"largest, K = {k}"]
    shown = rows.tidy(arm=arm, quantity=ends, x=p.max(1)[:, None], value=eigenvalues[:, [0, -1]])
    return pd.concat([*parts, shown])


def draw_covariance(seeds: tuple[int, ...]) -> pd.DataFrame:
    """Covariance of one-hot draws against the Hessian by autodiff; and against that of the Brier score."""
    z = np.array([COVARIANCE_LOGITS])
    p, y = special.softmax(z[0]), np.eye(3)[:1]
    draws = (np.random.default_rng(seed).choice(3, DRAWS, p=p) for seed in seeds)
    measured = np.array([np.cov(np.eye(3)[classes].T) for classes in draws])  # [S, 3, 3]
    compared = losses.categorical_crossentropy, losses.categorical_brier
    hessians = [autodiff.logit_hessian(loss, y, z)[0] for loss in compared]
    parts = []
    for setting, at in (("variance", (0, 0)), ("covariance", (0, 1))):
        shared = {"check": "covariance", "setting": setting, "seed": seeds, "value": measured[:, *at]}
        parts.append(rows.both_arms("reference", *(each[at] for each in hessians), **shared))
    return pd.concat(parts)


def train_curvature(seeds: tuple[int, ...], name: str, examples: int) -> pd.DataFrame:
    """The mean largest eigenvalue over training examples, before training and after some epochs."""
    given = data.load(name, examples)
    x, y = given.x_train, given.y_train
    few = seeds[:FEW]
    shuffled = np.stack([np.random.default_rng(seed).permutation(y) for seed in few])
    parts = []
    for arm, chosen, labels in (("claim", seeds, y), ("control", few, shuffled)):
        seen = curvatures(chosen, x, labels, x[:LOOKED_AT])  # [looks, S]
        shared = {"arm": arm, "setting": name, "seed": chosen}
        parts.append(rows.tidy(check="training", value=seen[0], reference=seen[-1], **shared))
        along = {"check": "training_steadily", "quantity": "λ", "x": np.array(LOOKS)[:, None]}
        parts.append(rows.tidy(value=seen, **along, **shared))
    return pd.concat(parts)


def curvatures(seeds: tuple[int, ...], x: np.ndarray, y: np.ndarray, looked_at: np.ndarray) -> np.ndarray:
    """Mean λ_max of each replicate at each look: [looks, S]."""
    replicas = replicates.Replicates(models.perceptron(x.shape[-1], [64], 10), seeds)
    replicas.compile(keras.optimizers.Adam(1e-3), losses.sparse_categorical_crossentropy)
    seen = [largest_eigenvalue(replicas, looked_at)]
    for epochs in np.diff(LOOKS):
        replicas.fit(x, y, batch_size=64, epochs=int(epochs))
        seen.append(largest_eigenvalue(replicas, looked_at))
    return np.array(seen)


def largest_eigenvalue(replicas: replicates.Replicates, x: np.ndarray) -> np.ndarray:
    """Mean of λ_max over examples [N, D]: [R]."""
    hessians = covariance(special.softmax(replicas.predict(x).astype("float64"), axis=-1))  # [R, N, K, K]
    return np.linalg.eigvalsh(hessians)[..., -1].mean(1)


# --- table and figure -------------------------------------------------------------------------------


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """The mean largest eigenvalue through training."""
    told = rows[rows["quantity"] == "λ"]
    wide = told.pivot_table("value", ["setting", "arm"], "x", sort=False)
    wide.columns = [f"epoch {x:g}" for x in wide.columns]
    named = wide.rename(index={"claim": "true", "control": "shuffled"}, level="arm").reset_index()
    return named.rename(columns={"setting": "Data", "arm": "Labels"})


def figure(rows: pd.DataFrame):
    """Slope and curvature along the logit, the spectrum of the Hessian, and curvature in training."""
    canvas, axes = figures.panels(2, 2)
    for panel, ax in zip((draw_slope, draw_spectrum, draw_smallest, draw_training), axes, strict=True):
        panel(ax, rows)
    return canvas


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


def draw_training(ax, rows: pd.DataFrame) -> None:
    told = rows[rows["quantity"] == "λ"]
    for name in SETS:
        part = told[told["setting"] == name]
        if len(part):
            figures.curve(ax, part[part["arm"] == "claim"], name)
            colour = ax.lines[-1].get_color()
            figures.curve(ax, part[part["arm"] == "control"], "", color=colour, linestyle=":")
    ax.plot([], [], color="0.4", linestyle=":", label="shuffled labels")
    ax.set(title="In training on ten classes", xlabel="epoch", ylabel="mean largest λ", ylim=(0, None))
    ax.legend(fontsize=8)
