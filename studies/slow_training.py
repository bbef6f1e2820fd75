"""Saturation and the speed of training: where all is right it crawls, where all is wrong it does not.

Expect: the laws of gradient flow, to a few per cent. It costs ten seconds at the standard scale on two cores.
Run it with `crosscheck run slow_training`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np

from crosscheck.claims import Check, Claim, Equal, Theory, Unit, unit
from crosscheck.lazy import descent, figures, losses, pd, rows, saturating, separation

CLAIM = Claim(
    title="Saturation slows training where every example is right already, and only there",
    statement="Carried to the extreme, the saturation of cross-entropy's gradient slows training down.",
    formula=r"\frac{d\mathcal{L}_{\mathrm{BCE}}}{dz} = p - y \to 0",
    source="Principles and Mechanisms, The Mechanism of Binary Cross-Entropy; problem 3103375",
    correct="Late in training on separable data, where every example is right already, the loss falls only "
    "as 1/t, the weights grow only as ln t, and the direction nears the separator's only as 1 − cos ∝ "
    "1/ln² t. A confident error does not saturate: it is left in a number of steps linear in its logit, "
    "where squared error through a sigmoid needs exponentially many.",
)

SEEDS = {"smoke": 6, "standard": 64, "full": 128}


# --- recovery: how long does a confidently wrong model need to come back? ---

BIASES = (2.0, 4.0, 6.0)
RATE = 0.004  # small enough for gradient descent to follow its flow; ‖x‖² is about 11
STEPS, STRIDE = 12_000, 20  # where the search for the crossing ends, and how often it looks

RECOVERY = Check(
    "recovery",
    "From a confidently wrong bias −b, cross-entropy needs a number of steps linear in b until p = ½.",
    Equal(margin=0.05),
    r"\ln T,\quad T = \frac{b + 1 - e^{-b}}{\eta\,(1 + \lVert x\rVert^2)}",
    control="squared error through a sigmoid, judged by the linear law",
    positive="the same steps of the logit alone, in NumPy",
    population="generator",
    settings=tuple(f"b = {b:g}" for b in BIASES),
)
RECOVERY_SQUARED = Check(
    "recovery_squared",
    "Squared error through a sigmoid needs a number of steps exponential in b.",
    Equal(margin=0.05),
    r"\ln T,\; T = \frac{e^b + 3b + \frac52 - 3e^{-b} - \frac12 e^{-2b}}{2\eta\,(1 + \lVert x\rVert^2)}",
    control="cross-entropy, judged by the exponential law",
    positive="the same steps of the logit alone, in NumPy",
    population="generator",
    settings=tuple(f"b = {b:g}" for b in BIASES),
)


def recovery_time(b: Any) -> Any:
    """∫ dz / σ(−z) from −b to 0: gradient flow of cross-entropy on one example of class 1."""
    return b + 1 - np.exp(-b)


def squared_recovery_time(b: Any) -> Any:
    """∫ dz / (2 σ(z) σ(−z)²) from −b to 0: the same for squared error through a sigmoid."""
    return (np.exp(b) + 3 * b + 2.5 - 3 * np.exp(-b) - 0.5 * np.exp(-2 * b)) / 2


def flow_time(b: float, power: int) -> float:
    """Time of the flow dz/dt = −dL/dz by quadrature; power 0 is cross-entropy, 1 squared error."""
    speed = lambda z: mpmath.sigmoid(-z) if not power else 2 * mpmath.sigmoid(z) * mpmath.sigmoid(-z) ** 2
    return float(mpmath.quad(lambda z: 1 / speed(z), [-b, 0]))


RECOVERY_LAWS = (
    Theory("recovery", recovery_time, lambda b: flow_time(b, 0), [(b,) for b in BIASES]),
    Theory("recovery_squared", squared_recovery_time, lambda b: flow_time(b, 1), [(b,) for b in BIASES]),
)


LAWS = {
    RECOVERY: ("cross-entropy", recovery_time),
    RECOVERY_SQUARED: ("squared error", squared_recovery_time),
}


def train_recovery(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """One example of class 1, weights 0, bias −b, plain gradient descent: steps until p = ½."""
    pixels = np.stack([np.random.default_rng(seed).random(32, "float32") for seed in seeds])  # [S, D]
    x, b = np.repeat(pixels, len(BIASES), 0), np.tile(BIASES, len(seeds))  # [R, D], [R]
    speed = RATE * (1 + (x**2).sum(1, dtype="float64"))
    pair = (losses.binary_crossentropy, losses.brier)
    entropy, squared = (np.log(descent.crossing_time(x, b, loss, RATE, STEPS, STRIDE)) for loss in pair)
    by_hand = [np.log(descent.crossing_by_hand(x, b, power, RATE, STRIDE)) for power in (0, 1)]
    place = {"setting": [f"b = {bias:g}" for bias in b], "x": b, "seed": np.repeat(seeds, len(BIASES))}
    linear, exponential = (np.log(law(b) / speed) for law in (recovery_time, squared_recovery_time))
    yield RECOVERY.rows(entropy, squared, linear, positive=by_hand[0], **place)
    yield RECOVERY_SQUARED.rows(squared, entropy, exponential, positive=by_hand[1], **place)


# --- slowdown: how slowly does training go on once the data are separated? ---

DECAY = "the same points with weight decay, which keeps the weights bounded"

SLOWDOWN = Check(
    "slowdown",
    "On separable data the loss falls like 1/t: late in training its slope on logarithmic axes is −1.",
    Equal(margin=0.05),
    r"\frac{d \ln \mathcal{L}}{d \ln t} = -1",
    control=DECAY,
    positive="one point alone, whose loss is ln(1 + e^(−m)) with e^m + m = ‖x‖² t",
    population="generator",
)
SLOWDOWN_EARLY = Check(
    "slowdown_early",
    "The slope is −1 already from time 1,000 to 20,000 (steps × learning rate).",
    Equal(margin=0.05),
    r"\frac{d \ln \mathcal{L}}{d \ln t} = -1",
    control=DECAY,
    positive="one point alone",
    population="generator",
    scope=True,
)
SLOWDOWN_NORM = Check(
    "slowdown_norm",
    "Late in training the weights grow like ln t, at the rate of the hard-margin separator's norm.",
    Equal(margin=0.1),
    r"\frac{1}{\lVert\hat w\rVert}\frac{d \lVert w\rVert}{d \ln t} = 1",
    control=DECAY,
    positive="one point alone",
    population="generator",
)
DIRECTION = Check(
    "direction",
    "Where two points are nearest, three times nearer than the rest, the angle to the separator closes "
    "only as 1 − cos ∝ 1/ln² t, from time 100,000 to 2,000,000.",
    Equal(margin=0.05),
    r"\ln\frac{1 - \cos_{\text{early}}}{1 - \cos_{\text{late}}} = 2 \ln\frac{\ln kt_2}{\ln kt_1},\quad "
    r"k = \frac{e^{-av} + e^{bv}}{N},\; v = \frac{\ln a/b}{a + b}",
    control=DECAY,
    positive="one point alone, for which k = ‖x‖²",
    population="generator",
)
DIRECTION_LAW = Theory(  # the law is that of the limit; the flow from w = 0 has yet to come to it
    "direction",
    lambda a, b: float(separation.bend_drop(a, b, 32)),
    lambda a, b: separation.bend_drop_by_flow(a, b, 32),
    [(1.5, 0.8), (2.0, 1.0), (2.5, 1.2)],
    tolerance=0.005,
)


def train_slowdown(seeds: tuple[int, ...], steps: int) -> Iterator[pd.DataFrame]:
    """Gradient descent on points in the plane: random ones, one alone, two near ones; with weight decay."""
    seen = separation.descents(seeds, steps)
    falls = {kind: np.log(loss) for kind, loss in seen.loss.items()}
    kinds = (separation.RANDOM, separation.DECAYED, separation.ONE)
    for check, series, span, theory in (
        (SLOWDOWN, falls, separation.LATE, -1.0),
        (SLOWDOWN_EARLY, falls, separation.EARLY, -1.0),
        (SLOWDOWN_NORM, seen.norm, separation.LATE, 1.0),
    ):
        claim, control, positive = (descent.log_slope(seen.time, series[kind], span) for kind in kinds)
        yield check.rows(claim, control, theory, positive=positive, seed=seeds)
    arms = {"claim": separation.TWO, "control": separation.TWO_DECAYED, "positive": separation.ONE}
    for arm, kind in arms.items():
        fall = separation.drop(seen.time, seen.bend[kind])
        yield DIRECTION.rows(**{arm: fall}, reference=seen.bend_drop[kind], seed=seeds)
    looks = np.unique(np.geomspace(1, len(seen.time), 40).astype(int)) - 1
    for quantity, by_kind in (("loss", seen.loss), ("norm", seen.norm), ("bend", seen.bend)):
        for kind, watched in by_kind.items():
            shown = {"x": seen.time[looks, None], "seed": seeds, "value": watched[looks]}
            yield rows.tidy(quantity=quantity, setting=kind, **shown)


def draw_descents(axes, rows: pd.DataFrame) -> None:
    """Loss, weight norm and angle along the time of descent."""
    random, decayed, two = separation.RANDOM, separation.DECAYED, separation.TWO
    panels = (
        ("loss", (random, decayed), ("slope −1", lambda t: 4 / t), "Training loss", "mean loss"),
        ("norm", (random, decayed), ("slope 1", lambda t: np.log(t) - 1), "Weight norm", "‖w‖ / ‖ŵ‖"),
        ("bend", (two, random), ("1/ln² t", lambda t: 0.03 / np.log(t) ** 2), "Angle", "1 − cos(w, ŵ)"),
    )
    for ax, (quantity, kinds, law, title, label) in zip(axes, panels, strict=True):
        saturating.draw_descent(ax, rows, quantity, kinds, law, separation.LATE)
        ax.set(title=title, ylabel=label, yscale="linear" if quantity == "norm" else "log")


# --- the study: its checks, theories and units, its table and its figure ---

CHECKS = (RECOVERY, RECOVERY_SQUARED, SLOWDOWN, SLOWDOWN_EARLY, SLOWDOWN_NORM, DIRECTION)
THEORIES = (*RECOVERY_LAWS, DIRECTION_LAW)


def units(scale: str) -> list[Unit]:
    seeds = range(SEEDS[scale])
    return [
        unit(train_recovery, seeds, cost=5),
        unit(train_slowdown, seeds, cost=10, steps=10_000 if scale == "smoke" else 20_000),
    ]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Steps × η (1 + ‖x‖²) until a model that was wrong by −b is undecided: median over seeds, and theory."""
    wide = {}
    for check, (label, law) in LAWS.items():
        part = rows[(rows["check"] == check.id) & (rows["arm"] == "claim")]
        off = (part["value"] - part["reference"]).groupby(part["x"]).median()
        wide[f"{label}, theory"] = law(off.index.to_numpy())
        wide[label] = np.exp(off) * wide[f"{label}, theory"]
    return pd.DataFrame(wide).rename_axis("b").reset_index()


def figure(rows: pd.DataFrame):
    """Recovery; loss, norm, angle."""
    canvas, axes = figures.panels(2, 2)
    saturating.draw_recovery(axes[0], rows, LAWS)
    draw_descents(axes[1:], rows)
    return canvas
