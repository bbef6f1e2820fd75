"""One loss, many paths: whether its gradient arrives depends on the code that runs.

The same cross-entropy is reached in every way that Keras offers: backend, eager, compiled or trained, dtype
policy, head, probabilities or logits, class, focal class, function or op. Expect: exact from logits; from
probabilities, on most paths, no gradient at all beyond |z| = 16. It costs a minute and a half on two cores,
and two minutes more where JAX is installed. Run it with `crosscheck run execution_paths`. Other studies judge
their own claims on the rows measured here.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np

from crosscheck.claims import BACKEND_NAMES, BACKENDS, Advice, Check, Claim, Identity, Theory, Unit
from crosscheck.lazy import figures, heads, keras, paths, pd, probing

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
FOILED = {"tensorflow": "graph", "jax": "xla", "torch": "eager"}
# A direct call costs least uncompiled; a step of training is a graph.
QUICK = {"tensorflow": ("eager", "fit graph"), "jax": ("xla",), "torch": ("eager", "fit eager")}


# --- the checks: this package's losses, and Keras' own ---

BITS = "the same loss in base 2, judged as if it were in base e"
WRITTEN_OUT = "the formula written out with the backend's own log-sigmoid or log-softmax, in float32"

OURS = Check(
    "ours",
    "This package's losses, on logits up to ±9984: value, gradient and curvature on every path.",
    Identity(ulps=4),
    r"-\ln p_y,\; p - y,\; p\,(1 - p)",
    control=BITS,
    positive=WRITTEN_OUT,
    settings=("tensorflow", "jax"),
    exact=True,
)
OURS_TORCH = Check(
    "ours_torch",
    "The same on PyTorch, where Keras computes a Dense layer of a float64 policy in float32.",
    Identity(ulps=4),
    r"-\ln p_y,\; p - y,\; p\,(1 - p)",
    control=BITS,
    positive=WRITTEN_OUT,
    settings=("torch",),
    scope=True,
    exact=True,
)
VALUE_PATHS = Check(
    "value_paths",
    "Keras' own losses, on every path: the value is −ln p.",
    Identity(ulps=4),
    r"-\ln p_y",
    control=BITS,
    positive=WRITTEN_OUT,
    settings=BACKENDS,
    exact=True,
)
GRADIENT_PATHS = Check(
    "gradient_paths",
    "Keras' own losses, on every path: the gradient is p − y.",
    Identity(ulps=4),
    r"p - y",
    control=BITS,
    positive=WRITTEN_OUT,
    settings=BACKENDS,
    exact=True,
)
CURVATURE_PATHS = Check(
    "curvature_paths",
    "Keras' own losses, on every path but those of `train_on_batch`: the second derivative is p (1 − p).",
    Identity(ulps=4),
    r"p\,(1 - p)",
    control=BITS,
    positive=WRITTEN_OUT,
    settings=BACKENDS,
    exact=True,
)
BY_QUANTITY = {"value": VALUE_PATHS, "gradient": GRADIENT_PATHS, "curvature": CURVATURE_PATHS}


def check_of(path: paths.ExecutionPath, quantity: str) -> Check:
    """The check that judges a quantity on a path."""
    if path.implementation == "ours":
        return OURS_TORCH if path.backend == "torch" else OURS
    return BY_QUANTITY[quantity]


# --- the law: what every path should give ---


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
ORACLE = Theory("oracle", oracle, by_differentiation, POINTS)


# --- the measurement: value, gradient and curvature on every path ---


def measure_paths(
    seeds: tuple[int, ...], loss: str, backend: str, policy: str, quick: bool
) -> Iterator[pd.DataFrame]:
    """Value, gradient and curvature on every path of one loss, backend and dtype policy."""
    modes = QUICK[backend] if quick else paths.MODES[backend]
    by_mode = {mode: paths.grid((loss,), backend, (mode,), (policy,), probing.device()) for mode in modes}
    for alike in by_mode.values():
        z, y = probes(alike[0])
        exact = paths.oracle(loss, z, y)
        for path, derivatives in zip(alike, probing.probe_together(alike, z, y), strict=True):
            yield from path_rows(path, "claim", derivatives, exact)
    once = by_mode[modes[0] if quick else FOILED[backend]]
    judged = [path for path in once if path.implementation in ("keras class", "ours")]
    z, y = probes(judged[0])
    exact, foiled = paths.oracle(loss, z, y), [in_bits(path) for path in judged]
    for path, derivatives in zip(judged, probing.probe_together(judged, z, y, foiled), strict=True):
        yield from path_rows(path, "control", derivatives, exact)
    for path in (path for path in once if path.implementation == "ours" and policy == "float32"):
        yield from written_out_rows(path)


def in_bits(path: paths.ExecutionPath) -> Any:
    """The path's own loss in base 2: 1.44 times as much."""
    own = heads.implementation(path)
    return lambda y_true, y_pred: own(y_true, y_pred) / math.log(2)


def written_out_rows(path: paths.ExecutionPath) -> Iterator[pd.DataFrame]:
    """The formula sent down a path from logits, for the checks of our losses and of Keras'."""
    derivatives = probing.probe(path, *probes(path), written_out(path.loss))
    exact = paths.oracle(path.loss, *probes(path))
    for implementation in ("ours", "keras class"):
        judged_as = dataclasses.replace(path, implementation=implementation)
        yield from path_rows(judged_as, "positive", derivatives, exact)


def path_rows(
    path: paths.ExecutionPath, arm: str, derivatives: paths.Derivatives, exact: paths.Derivatives
) -> Iterator[pd.DataFrame]:
    """One row a logit, label and quantity; a step of training tells no second derivative."""
    z, y = probes(path)
    quantities = ("value", "gradient") if path.trains else tuple(BY_QUANTITY)
    for quantity, measured, true in zip(quantities, derivatives, exact, strict=False):
        yield check_of(path, quantity).rows(
            **{arm: measured},
            reference=true,
            setting=path.backend,
            path=str(path),
            quantity=[f"{quantity} y={label:g}" for label in y],
            x=z,
            resolution=resolution(path, quantity, true),
        )


def probes(path: paths.ExecutionPath) -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels: both labels at ±z; through `train_on_batch`, one call an example, the wrong side."""
    if path.trains:
        return -TRAINED, np.ones_like(TRAINED)
    z = np.concatenate([-LOGITS[::-1], LOGITS[1:]])
    return np.tile(z, 2), np.repeat([0.0, 1.0], len(z))


def resolution(path: paths.ExecutionPath, quantity: str, true: np.ndarray) -> np.ndarray:
    """A unit in the last place: of the value itself where it is above 1, at 1 for everything else.

    `train_on_batch` returns the loss through a metric in float32, whatever it was computed in.
    """
    if quantity != "value":
        return np.full_like(true, path.ulp)
    ulp = max(path.ulp, paths.ULP["float32"]) if path.trains else path.ulp
    return ulp * np.maximum(1, np.abs(true))


def written_out(loss: str):
    """−Σ y ln p from logits, a value per example, as one would write it without a loss at hand."""
    ops = keras.ops

    def binary(y, z):
        return -ops.sum(y * ops.log_sigmoid(z) + (1 - y) * ops.log_sigmoid(-z), axis=-1)

    def categorical(y, z):
        return -ops.sum(y * ops.log_softmax(z), axis=-1)

    if loss == "sparse":
        return lambda y, z: categorical(ops.one_hot(ops.cast(y, "int32"), 3), z)
    return binary if loss == "binary" else categorical


# --- the rows read: examples that are wrong or undecided, and where their gradient ends ---

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
    """The claim's rows of examples that are wrong or undecided, with their path taken apart and |z|."""
    y = rows["quantity"].map({f"{quantity} y=0": 0, f"{quantity} y=1": 1})
    chosen = rows[(rows["arm"] == "claim") & ((y == 1) & (rows["x"] <= 0) | (y == 0) & (rows["x"] >= 0))]
    parts = chosen["path"].str.split("/", expand=True).set_axis(PARTS, axis=1)
    parts["implementation"] = parts["implementation"].replace(ALIKE)
    return chosen.join(parts).assign(size=chosen["x"].abs())


def breakage(wrong: pd.DataFrame) -> str:
    """From which |z| on these rows have lost the gradient, and to what."""
    z, measured, true = (wrong[column].to_numpy() for column in ("x", "value", "reference"))
    limit = paths.breaking_point(z, measured, true)
    return "✓" if np.isinf(limit) else f"|z| ≥ {limit:g}: {paths.symptom(measured, true)}"


def explained(names: np.ndarray, cells: np.ndarray) -> tuple[str, str]:
    """Cause and remedy on the first of these paths that has any, where a gradient is lost at all."""
    ways = [paths.ExecutionPath(*name.split("/")) for name in names]
    reasons = [(paths.cause(path), paths.remedy(path)) for path in ways]
    return next((reason for reason in reasons if reason[0] and (cells != "✓").any()), ("", ""))


def draw_errors(ax, wrong: pd.DataFrame):
    """One row a head and loss, in the worst mode; one block a policy, in which |z| grows to the right."""
    way = wrong["head"].map(OUTPUTS) + ", " + wrong["implementation"].str.removeprefix("keras ")
    off = ((wrong["value"] - wrong["reference"]) / wrong["reference"]).abs().fillna(np.inf)
    cells = wrong.assign(way=way, off=off)
    worst = cells.pivot_table("off", "way", ["policy", "size"], "max", sort=False)
    policies = list(dict.fromkeys(worst.columns.get_level_values("policy")))
    width = len(LOGITS)
    for i, policy in enumerate(policies):
        left = i * (width + 1)
        errors = worst[policy].sort_index(axis=1).to_numpy()
        edges = np.arange(left, left + width + 1), np.arange(len(worst) + 1)
        image = figures.error_map(ax, *edges, errors)
        for line, line_errors in enumerate(errors):
            label_break(ax, left, line, line_errors)
    ax.set_xticks([i * (width + 1) + width / 2 for i in range(len(policies))])
    ax.set_xticklabels([policy.removeprefix("mixed_") for policy in policies])
    ax.set_yticks(np.arange(len(worst)) + 0.5, worst.index)
    ax.set_ylim(len(worst), 0)
    ax.tick_params(length=0, labelsize=7.5)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    return image


def label_break(ax, left: int, line: int, errors: np.ndarray) -> None:
    """The |z| from which the gradient is lost, on the cells that have lost it."""
    lost = np.flatnonzero(errors > paths.LOST)
    if len(lost):
        middle, text = (lost[0] + len(errors)) / 2, f"{LOGITS[lost[0]]:g} on"
        ax.text(left + middle, line + 0.55, text, color="white", fontsize=6, ha="center", va="center")


# --- the study: its checks, theories and units, its table and its figure ---

CHECKS = (OURS, OURS_TORCH, VALUE_PATHS, GRADIENT_PATHS, CURVATURE_PATHS)
THEORIES = (ORACLE,)


def units(scale: str) -> list[Unit]:
    return path_units(scale)


def path_units(
    scale: str, kinds: tuple[str, ...] = LOSSES, backends: tuple[str, ...] = BACKENDS
) -> list[Unit]:
    """The paths of these losses on these backends; other studies judge their own claims on them."""
    policies = POLICIES if scale != "smoke" else ("float32", "mixed_float16")
    return [
        Unit(  # not `unit`: the function takes the backend as an argument, too
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
    names = wrong.groupby(WAY, sort=False)["path"].unique()
    most = value[value["value"] < np.inf].groupby([*WAY, "path"], sort=False)["value"].max()
    wide["Loss ends at"] = most.groupby(level=WAY, sort=False).min().to_numpy().round(3)
    reasons = [explained(*line) for line in zip(names, wide[policies].to_numpy(), strict=True)]
    wide.insert(0, "Backend", wide.pop("backend").map(BACKEND_NAMES))
    wide.insert(1, "Output", wide.pop("head").map(OUTPUTS))
    wide.insert(2, "Loss", wide.pop("implementation"))
    wide[["Why", "Remedy"]] = reasons
    return wide.rename_axis(None, axis=1)


def figure(rows: pd.DataFrame):
    """The relative error of a confident error's gradient: path against dtype policy and |z|."""
    wrong = wrong_side(rows)
    kinds, backends = (list(dict.fromkeys(wrong[name])) for name in ("loss", "backend"))
    canvas, axes = figures.panels(len(backends), len(kinds), height=3.4, sharey="row")
    panels = iter(axes)
    for kind in kinds:
        for backend in backends:
            ax = next(panels)
            image = draw_errors(ax, wrong[(wrong["loss"] == kind) & (wrong["backend"] == backend)])
            ax.set_title(f"{BACKEND_NAMES[backend]}, {kind}")
    bar = canvas.colorbar(image, ax=axes, location="bottom", shrink=0.6, aspect=50, extend="max")
    bar.set_label("relative error of the gradient; darkest: not a finite number")
    sizes = ", ".join(f"{z:g}" for z in LOGITS)
    canvas.supxlabel(f"a confident error's |z| in each block: {sizes}", fontsize=8.5)
    return canvas
