"""One loss, many paths: whether its gradient arrives depends on the code that runs.

The same cross-entropy is reached in every way that Keras offers: backend, eager, compiled or trained, dtype
policy, head, probabilities or logits, class, focal class, function or op. Expect: exact from logits; from
probabilities, on most paths, no gradient at all beyond |z| = 16. Costs a minute and a half on two cores, and
two minutes more where JAX is installed. Other studies judge their own claims on the rows measured here.
"""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np

from crosscheck.claims import BACKEND_NAMES, BACKENDS, Advice, Check, Claim, Identity, Theory, Unit
from crosscheck.lazy import figures, keras, paths, pd, probing, rows

CLAIM = Claim(
    title="One loss, many paths: whether the gradient arrives depends on the code that runs",
    statement="The chapter writes cross-entropy as a function of the probability p and its gradient as a "
    "function of the logit z, and passes from one to the other: however a program computes the loss, its "
    "value is −ln p, its gradient p − y and its curvature p (1 − p).",
    formula=r"\mathcal{L} = -\ln p_y, \qquad \frac{\partial\mathcal{L}}{\partial z} = p - y, \qquad "
    r"\frac{\partial^2\mathcal{L}}{\partial z^2} = p\,(1 - p)",
    source="Principles and Mechanisms, The Mechanism of Binary and of Categorical Cross-Entropy",
    correct="The three hold where the loss is computed from the logits. A loss that is handed a probability "
    "can know it no better than its dtype does: Keras clips it at 1e−7, and beyond |z| = 16 a confident "
    "error has no gradient, unless Keras can find the logits behind the probability, which it can only on "
    "TensorFlow and only where no cast or reshape stands between. Keras' focal losses go by way of the "
    "probability even where they are given logits.",
    advice=Advice(
        question="Is my model on a broken path?",
        answer="Find its last layer, its loss and its dtype policy in the table: it says from which |z| an "
        "example that is confidently wrong has no gradient, and so is never learned from: |z| = 10 is a "
        "probability of 5e−5 for what happened, |z| = 20 one of 2e−9. Or let the doctor look: it takes steps "
        "of the model's own training on a copy, and says where the gradient ends, why, and what to change.",
        code="crosscheck doctor model.keras\n\n"
        "from crosscheck.doctor import examine\n"
        "print(*examine(model))  # compiled; it is left as it was",
    ),
)

LOSSES = ("binary", "categorical", "sparse")
POLICIES = ("float64", "float32", "mixed_bfloat16", "mixed_float16")
LOGITS = np.array([0, 1, 2, 5, 10, 15, 20, 30, 40, 60, 88, 100, 1000, 9984.0])  # exact in bfloat16
TRAINED = np.array([0, 5, 10, 15, 20, 100, 9984.0])  # a step of training is an example each
QUICK = {"tensorflow": ("graph", "fit graph"), "jax": ("xla",), "torch": ("eager", "fit eager")}

CHECKS = (
    Check(
        "ours",
        "This package's losses, on logits up to ±9984: value, gradient and curvature on every path.",
        Identity(ulps=4),
        r"-\ln p_y,\; p - y,\; p\,(1 - p)",
        control="squared error in place of cross-entropy",
        settings=("tensorflow", "jax"),
        exact=True,
    ),
    Check(
        "ours_torch",
        "The same on PyTorch, where Keras computes a Dense layer of a float64 policy in float32.",
        Identity(ulps=4),
        r"-\ln p_y,\; p - y,\; p\,(1 - p)",
        control="squared error in place of cross-entropy",
        settings=("torch",),
        scope=True,
        exact=True,
    ),
    Check(
        "value_paths",
        "Keras' own losses, on every path: the value is −ln p.",
        Identity(ulps=4),
        r"-\ln p_y",
        control="squared error through the same head",
        settings=BACKENDS,
        exact=True,
    ),
    Check(
        "gradient_paths",
        "Keras' own losses, on every path: the gradient is p − y.",
        Identity(ulps=4),
        r"p - y",
        control="squared error through the same head",
        settings=BACKENDS,
        exact=True,
    ),
    Check(
        "curvature_paths",
        "Keras' own losses, on every path but those of `train_on_batch`: the second derivative is p (1 − p).",
        Identity(ulps=4),
        r"p\,(1 - p)",
        control="squared error through the same head",
        settings=BACKENDS,
        exact=True,
    ),
)


# --- theory -----------------------------------------------------------------------------------------


def cross_entropy(loss: str, z: Any, y: float) -> Any:
    """Along one logit, all others being 0: ln(e^z + rivals) − y z; the next class has the rest of y."""
    return mpmath.log(mpmath.exp(z) + (1 if loss == "binary" else 2)) - y * z


def oracle(order: int, loss: str, z: float, y: float) -> float:
    """Value, gradient or second derivative, as the paths are judged by."""
    return float(paths.oracle(loss, np.array([z]), np.array([y]))[order][0])


def by_differentiation(order: int, loss: str, z: float, y: float) -> float:
    with mpmath.workdps(50):
        return float(mpmath.diff(lambda t: cross_entropy(loss, t, y), z, order))


POINTS = [
    (order, loss, z, y) for order in (0, 1, 2) for loss in LOSSES for z, y in ((-30, 1), (0, 0.3), (5, 0))
]
THEORIES = (Theory("oracle", oracle, by_differentiation, POINTS),)


# --- experiment -------------------------------------------------------------------------------------


def units(scale: str) -> list[Unit]:
    return path_units(scale)


def path_units(
    scale: str, kinds: tuple[str, ...] = LOSSES, backends: tuple[str, ...] = BACKENDS
) -> list[Unit]:
    """The paths of these losses on these backends; other studies judge their own claims on them."""
    policies = POLICIES if scale != "smoke" else ("float32", "mixed_float16")
    return [
        Unit(
            "execution_paths",
            "measure_paths",
            {"loss": loss, "backend": backend, "policy": policy, "quick": scale == "smoke"},
            backend=backend,
            pinned=True,
            cost=4 if backend == "torch" else 15,
        )
        for backend in backends
        for loss in kinds
        for policy in policies
    ]


def measure_paths(seeds: tuple[int, ...], loss: str, backend: str, policy: str, quick: bool) -> pd.DataFrame:
    """Value, gradient and curvature on every path of one loss, backend and dtype policy."""
    modes = QUICK[backend] if quick else paths.MODES[backend]
    by_mode = {mode: paths.grid((loss,), backend, (mode,), (policy,), probing.device()) for mode in modes}
    parts = []
    for together in by_mode.values():
        points = probes(together[0])
        found, true = probing.probe_together(together, *points), paths.oracle(loss, *points)
        parts += [rows_of(path, "claim", told, true) for path, told in zip(together, found, strict=True)]
    # A foil takes no notice of the implementation: once a head will do for all of Keras'.
    first = [path for path in by_mode[QUICK[backend][0]] if path.implementation in ("keras class", "ours")]
    points = probes(first[0])
    true = paths.oracle(loss, *points)
    parts += [rows_of(path, "control", probing.probe(path, *points, foil(path)), true) for path in first]
    return pd.concat(parts)


def rows_of(path: paths.Path, arm: str, found: paths.Derivatives, wanted: paths.Derivatives) -> pd.DataFrame:
    """One row a logit, label and quantity; a step of training tells no second derivative."""
    z, y = probes(path)
    quantities = ("value", "gradient") if path.trains else ("value", "gradient", "curvature")
    return pd.concat(
        rows.tidy(
            check=check_of(path, quantity),
            arm=arm,
            setting=path.backend,
            path=str(path),
            quantity=[f"{quantity} y={label:g}" for label in y],
            x=z,
            value=measured,
            reference=true,
            resolution=resolution(path, quantity, true),
        )
        for quantity, measured, true in zip(quantities, found, wanted, strict=False)
    )


def check_of(path: paths.Path, quantity: str) -> str:
    if path.implementation == "ours":
        return "ours_torch" if path.backend == "torch" else "ours"
    return f"{quantity}_paths"


def probes(path: paths.Path) -> tuple[np.ndarray, np.ndarray]:
    """Both labels at ±z; through `train_on_batch`, one call an example, the wrong side alone."""
    if path.trains:
        return -TRAINED, np.ones_like(TRAINED)
    z = np.concatenate([-LOGITS[::-1], LOGITS[1:]])
    return np.tile(z, 2), np.repeat([0.0, 1.0], len(z))


def resolution(path: paths.Path, quantity: str, true: np.ndarray) -> np.ndarray:
    """A unit in the last place: of the value itself where it is above 1, at 1 for everything else.

    `train_on_batch` returns the loss through a metric in float32, whatever it was computed in.
    """
    if quantity != "value":
        return np.full_like(true, path.ulp)
    unit = max(path.ulp, paths.ULP["float32"]) if path.trains else path.ulp
    return unit * np.maximum(1, np.abs(true))


def foil(path: paths.Path):
    """Squared error for the same labels and head, a value per example."""
    ops = keras.ops

    def squared_error(y_true, y_pred):
        activation = ops.sigmoid if path.loss == "binary" else ops.softmax
        p = activation(y_pred) if path.entry == "logits" else y_pred
        y = ops.one_hot(ops.cast(y_true, "int32"), 3) if path.loss == "sparse" else y_true
        return ops.mean(ops.square(p - ops.reshape(ops.cast(y, p.dtype), ops.shape(p))), axis=-1)

    return squared_error


# --- table and figure -------------------------------------------------------------------------------

OUTPUTS = {
    "dense": "Dense(activation)",
    "activation": "Activation",
    "float32": "Activation in float32",
    "reshape": "Reshape after it",
    "logits": "logits",
}
PARTS = ("loss", "backend", "device", "mode", "policy", "head", "entry", "implementation")
WAY = ["backend", "head", "implementation"]
ALIKE = dict.fromkeys(("keras function", "keras ops"), "keras function, op")  # one computes with the other


def wrong_side(rows: pd.DataFrame, quantity: str = "gradient") -> pd.DataFrame:
    """Gradients of examples that are wrong or undecided, with their path taken apart and |z|."""
    y = rows["quantity"].map({f"{quantity} y=0": 0, f"{quantity} y=1": 1})
    chosen = rows[(rows["arm"] == "claim") & ((y == 1) & (rows["x"] <= 0) | (y == 0) & (rows["x"] >= 0))]
    parts = chosen["path"].str.split("/", expand=True).set_axis(PARTS, axis=1)
    parts["implementation"] = parts["implementation"].replace(ALIKE)
    return chosen.join(parts).assign(size=chosen["x"].abs())


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """From which |z| a confident error has lost its gradient, and to what; worst mode, loss and label.

    `Loss ends at` is the largest finite value that the loss takes, where it should be 9984.
    """
    wrong, value = wrong_side(rows), wrong_side(rows, "value")
    groups = wrong.groupby([*WAY, "policy"], sort=False)
    cells = pd.Series({way: breakage(group) for way, group in groups}).rename_axis([*WAY, "policy"])
    wide = cells.unstack("policy", sort=False)
    policies = list(wide.columns)
    wide = wide.reset_index()
    first = wrong.groupby(WAY, sort=False)["path"].unique()
    most = value[value["value"] < np.inf].groupby([*WAY, "path"], sort=False)["value"].max()
    wide["Loss ends at"] = most.groupby(level=WAY, sort=False).min().to_numpy().round(3)
    told = [explained(found, line) for found, line in zip(first, wide[policies].to_numpy(), strict=True)]
    wide.insert(0, "Backend", wide.pop("backend").map(BACKEND_NAMES))
    wide.insert(1, "Output", wide.pop("head").map(OUTPUTS))
    wide.insert(2, "Loss", wide.pop("implementation"))
    wide[["Why", "Remedy"]] = told
    return wide.rename_axis(None, axis=1)


def breakage(wrong: pd.DataFrame) -> str:
    z, found, true = (wrong[column].to_numpy() for column in ("x", "value", "reference"))
    limit = paths.breaking_point(z, found, true)
    return "✓" if np.isinf(limit) else f"|z| ≥ {limit:g}: {paths.symptom(found, true)}"


def explained(found: np.ndarray, cells: np.ndarray) -> tuple[str, str]:
    """Cause and remedy on the first of these paths that has any, where a gradient is lost at all."""
    told = [paths.Path(*path.split("/")) for path in found]
    reasons = [(paths.cause(path), paths.remedy(path)) for path in told]
    return next((r for r in reasons if r[0] and (cells != "✓").any()), ("", ""))


def figure(rows: pd.DataFrame):
    """The relative error of a confident error's gradient: path against dtype policy and |z|."""
    wrong = wrong_side(rows)
    kinds, backends = (list(dict.fromkeys(wrong[name])) for name in ("loss", "backend"))
    canvas, axes = figures.panels(len(backends), len(kinds), height=3.4, sharey="row")
    cells = iter(axes)
    for kind in kinds:
        for backend in backends:
            ax, part = next(cells), wrong[(wrong["loss"] == kind) & (wrong["backend"] == backend)]
            shown = draw_errors(ax, part)
            ax.set_title(f"{BACKEND_NAMES[backend]}, {kind}")
    bar = canvas.colorbar(shown, ax=axes, location="bottom", shrink=0.6, aspect=50, extend="max")
    bar.set_label("relative error of the gradient; darkest: not a finite number")
    told = ", ".join(f"{z:g}" for z in LOGITS)
    canvas.supxlabel(f"a confident error's |z| in each block: {told}", fontsize=8.5)
    return canvas


def draw_errors(ax, part: pd.DataFrame):
    """One row a head and loss, in the worst mode; one block a policy, in which |z| grows to the right."""
    short = part["implementation"].str.removeprefix("keras ")
    part = part.assign(way=part["head"].map(OUTPUTS) + ", " + short)
    off = ((part["value"] - part["reference"]) / part["reference"]).abs().fillna(np.inf)
    worst = part.assign(off=off).pivot_table("off", "way", ["policy", "size"], "max", sort=False)
    policies = list(dict.fromkeys(worst.columns.get_level_values("policy")))
    wide = len(LOGITS)
    for i, policy in enumerate(policies):
        left = i * (wide + 1)
        grid = worst[policy].sort_index(axis=1).to_numpy()
        edges = np.arange(left, left + wide + 1), np.arange(len(worst) + 1)
        shown = figures.error_map(ax, *edges, grid)
        for row, line in enumerate(grid):
            label_break(ax, left, row, line)
    ax.set_xticks([i * (wide + 1) + wide / 2 for i in range(len(policies))])
    ax.set_xticklabels([policy.removeprefix("mixed_") for policy in policies])
    ax.set_yticks(np.arange(len(worst)) + 0.5, worst.index)
    ax.set_ylim(len(worst), 0)
    ax.tick_params(length=0, labelsize=7.5)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    return shown


def label_break(ax, left: int, row: int, line: np.ndarray) -> None:
    """The |z| from which the gradient is lost, on the cells that have lost it."""
    gone = np.flatnonzero(line > paths.LOST)
    if len(gone):
        middle = (gone[0] + len(line)) / 2
        ax.text(
            left + middle,
            row + 0.55,
            f"{LOGITS[gone[0]]:g} on",
            color="white",
            fontsize=6,
            ha="center",
            va="center",
        )
