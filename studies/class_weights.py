"""Class weights add ln w to the logits: probabilities are off by a known amount, one subtraction mends it.

Expect: every law holds, in Keras too, which divides a weighted loss by the number of examples; repeating
examples is weighting. Whether weights find more of a rare class is asked in `class_imbalance`. Costs seconds.
Run it with `crosscheck run class_weights`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from crosscheck.claims import Check, Claim, Equal, Identity, Theory, Unit, unit
from crosscheck.lazy import autodiff, figures, imbalance, keras, pd, restoring, special

CLAIM = Claim(
    title="Class weights cost calibration by exactly ln w, and one subtraction gives it back",
    statement="Weighted by the class, cross-entropy is robust to imbalance.",
    formula=r"p_k = \frac{w_k\,\eta_k}{\sum_j w_j\,\eta_j}",
    source="the chapter's introduction",
    correct="Weights make the model predict w η / Σ w η in place of η: a shift of the log-odds by "
    "ln(w₁/w₀), which subtracting it undoes, and which could be added after training as well.",
)

SEEDS = {"smoke": 6, "standard": 24, "full": 64}
MANY_SEEDS = {"smoke": 6, "standard": 64, "full": 128}  # where a few have not come to their end


# --- laws: what do weights make of probabilities, and what undoes it? ----------------------------------

CHANCES, WEIGHTS, EXAMPLES = (0.05, 0.2), (5.0, 20.0), 65_536
CASES = tuple((k, q, w) for k in (2, 3) for q in CHANCES for w in WEIGHTS)
named_case = lambda k, q, w: f"K = {k}, q = {q:g}, w = {w:g}"

MINIMISER = Check(
    "minimiser",
    "Trained on labels of the law η with weights w, a model comes to predict w η / Σ w η.",
    Equal(margin=0.02),
    r"p_k = \frac{w_k \eta_k}{\sum_j w_j \eta_j}",
    control="the weight given to another class",
    positive="no weights, and η",
    population="generator",
    settings=tuple(named_case(*case) for case in CASES),
)
RESTORED = Check(
    "restored",
    "Subtracting ln w from its logits gives η back.",
    Equal(margin=0.02),
    r"\mathrm{softmax}(z - \ln w) = \eta",
    control="half of ln w subtracted",
    positive="no weights, and nothing subtracted",
    population="generator",
    settings=MINIMISER.settings,
)


def law_of(k: int, q: float) -> np.ndarray:
    """η: the first class has the chance q."""
    return np.array([q, 1 - q] if k == 2 else [q, 0.3, 0.7 - q])


def weights_of(k: int, w: float, at: int = 0) -> np.ndarray:
    return np.where(np.arange(k) == at, w, 1.0)


def restored(z: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Probabilities after `class_weights_restored`, of logits [S, K]."""
    return special.softmax(autodiff.numbers(restoring.class_weights_restored(z, weights)), -1)


def train_laws(seeds: tuple[int, ...], k: int) -> Iterator[pd.DataFrame]:
    """The first class's probability, after training with its weight, with another's, and with none."""
    cases = [case for case in CASES if case[0] == k]
    eta = np.array([law_of(k, q) for _, q, _ in cases])
    weight = np.array([weights_of(k, w) for _, _, w in cases])
    other = np.array([weights_of(k, w, 1) for _, _, w in cases])
    arms = np.concatenate([weight, other, np.ones_like(weight)])
    z = imbalance.trained_laws(np.tile(eta, (3, 1)), arms, seeds, EXAMPLES)  # [3 L, S, K]
    weighted, exchanged, plain = (part[..., 0] for part in np.split(special.softmax(z, -1), 3))
    for i, case in enumerate(cases):
        undone, half = (restored(z[i], weight[i] ** power)[:, 0] for power in (1.0, 0.5))
        place = {"setting": named_case(*case), "seed": seeds}
        law = imbalance.weighted_law(eta[i], weight[i])[0]
        yield MINIMISER.rows(weighted[i], exchanged[i], law, **place)
        yield RESTORED.rows(undone, half, case[1], positive=plain[i], **place)
        yield MINIMISER.rows(positive=plain[i], reference=case[1], **place)


def draw_shift(ax, rows: pd.DataFrame) -> None:
    part = rows[(rows["arm"] == "claim") & rows["check"].isin([MINIMISER.id, RESTORED.id])]
    for check, marker, label in ((MINIMISER, "o", "as trained"), (RESTORED, "s", "ln w subtracted")):
        off = part[part["check"] == check.id].copy()
        off["true"] = off["setting"].str.extract(r"q = ([\d.]+)").astype("float64")
        means = off.groupby("setting", sort=False)[["true", "value"]].mean()
        ax.plot(means["true"], means["value"], marker, label=label, alpha=0.7)
    q = np.linspace(0, 0.3, 50)
    for w in WEIGHTS:
        law = [imbalance.weighted_law([at, 1 - at], [w, 1.0])[0] for at in q]
        figures.theory_line(ax, q, law, "theory" if w == WEIGHTS[0] else "")
    figures.theory_line(ax, q, q, "p = η", linestyle=":")
    ax.set(title="Overlapping: weights add ln w", xlabel="true chance η", ylabel="predicted p")
    ax.legend(fontsize=8)


# --- recalibration: what mends a weighted model, judged on fresh examples? ------------------------------

SHARE, FOCAL = 0.1, 2.0  # of class 1; γ, as published
COUNTED = 32_768  # examples

RECALIBRATION = Check(
    "recalibration",
    "On fresh examples, a line trained with a weight w is mended by the slope 1 and the intercept −ln w.",
    Equal(margin=0.1),
    r"\mathrm{logit}\,\eta = 1 \cdot z - \ln \frac{w_1}{w_0}",
    control="focal loss in place of weights",
    positive="cross-entropy without weights: slope 1, intercept 0",
    population="generator",
    settings=tuple(f"{part}, w = {w:g}" for w in WEIGHTS for part in ("slope", "intercept")),
)


def train_lines(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Slopes and intercepts that suit fresh labels of two Gaussians, given lines that were trained before."""
    subjects = {"plain": (1.0, 0.0), "focal": (1.0, FOCAL), **{f"{w:g}": (w, 0.0) for w in WEIGHTS}}
    seen, fresh = (imbalance.counted(SHARE, seeds, COUNTED, part) for part in (0, 1))
    weight, gamma = np.repeat(list(subjects.values()), len(seeds), 0).T
    many = lambda counts: np.concatenate([counts] * len(subjects))
    scores = imbalance.fitted_lines(many(seen), weight, gamma=gamma).at(imbalance.grid())
    mending = imbalance.fitted_lines(many(fresh), feature=scores)
    for part, values in zip(("slope", "intercept"), mending, strict=True):
        by_subject = dict(zip(subjects, values.reshape(len(subjects), -1), strict=True))
        for w in WEIGHTS:
            right = 1.0 if part == "slope" else -np.log(w)
            place = {"setting": f"{part}, w = {w:g}", "seed": seeds}
            yield RECALIBRATION.rows(by_subject[f"{w:g}"], by_subject["focal"], right, **place)
            yield RECALIBRATION.rows(positive=by_subject["plain"], reference=float(part == "slope"), **place)


def draw_mending(ax, rows: pd.DataFrame) -> None:
    part = rows[rows["check"] == RECALIBRATION.id]
    what = part["setting"].str.extract("(?P<part>.*), w = (?P<w>.*)")
    mean = part.assign(**what).groupby(["arm", "w", "part"])["value"].mean().unstack()
    z, arms = np.linspace(-4, 4, 2), {"claim": WEIGHTS, "control": WEIGHTS[:1], "positive": WEIGHTS[:1]}
    labels = {"positive": "no weights", "control": "focal loss"}
    for arm, w in ((arm, w) for arm, some in arms.items() for w in some):
        slope, intercept = mean.loc[(arm, f"{w:g}"), ["slope", "intercept"]].to_numpy()
        ax.plot(z, slope * z + intercept, label=labels.get(arm, f"w = {w:g}"))
    for w in WEIGHTS:
        figures.theory_line(ax, z, z - np.log(w), "z − ln w" if w == WEIGHTS[0] else "")
    ax.set(title="What mends the log-odds", xlabel="log-odds as trained", ylabel="log-odds on fresh examples")
    ax.legend(fontsize=8)


# --- Keras: what it does with weights ------------------------------------------------------------------

KERAS_WEIGHT = Check(
    "keras_weight",
    "Keras divides a weighted loss by the number of examples, not by the sum of their weights.",
    Identity(ulps=4),
    r"\mathcal{L} = \frac{1}{N} \sum_n w_n \ell_n",
    control="held against Σ w ℓ / Σ w",
    positive="held against that, where all weights are 1",
    settings=("class_weight", "sample_weight"),
    exact=True,
)
OVERSAMPLING = Check(
    "oversampling",
    "Every example of the rarer class five times, or with the weight 5: a linear model ends at the same "
    "place, to a hundredth of its length.",
    Equal(margin=0.01),
    r"\frac{\lVert \theta_{\text{repeated}} - \theta_{\text{weighted}} \rVert}"
    r"{\lVert \theta_{\text{weighted}} \rVert} = 0",
    control="four times in place of five",
    positive="scikit-learn, with the same weights",
    population="generator",
)


def measure_keras(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """The loss that `train_on_batch` reports of a batch whose losses are known."""
    z, y = np.linspace(-3, 3, 16, dtype="float32")[:, None], np.arange(16) % 3 == 0
    loss = np.logaddexp(0, np.where(y, -1, 1) * z[:, 0].astype("float64"))
    weights = np.where(y, 5.0, 1.0)
    for setting in KERAS_WEIGHT.settings:
        seen = reported(z, y, setting, weights, 5.0)
        unweighted = reported(z, y, setting, np.ones(16), 1.0)
        mean, normalised = (weights * loss).mean(), (weights * loss).sum() / weights.sum()
        place = {"setting": setting, "resolution": np.finfo("float32").eps * mean}
        yield KERAS_WEIGHT.rows(seen, reference=mean, **place)
        yield KERAS_WEIGHT.rows(control=seen, reference=normalised, **place)
        yield KERAS_WEIGHT.rows(positive=unweighted, reference=loss.mean(), **place)


def reported(z: np.ndarray, y: np.ndarray, how: str, weights: np.ndarray, weight: float) -> float:
    """The loss of a model that hands on its logits; it has one weight, so that it can be trained."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, "linear", False, "ones")])
    model.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=True))
    told = {"class_weight": {0: 1.0, 1: weight}} if how == "class_weight" else {"sample_weight": weights}
    return float(model.train_on_batch(z, y.astype("float32")[:, None], **told))


def train_oversampled(seeds: tuple[int, ...]) -> pd.DataFrame:
    """Relative distances of linear models' weights from those of a weighted training."""
    off = imbalance.oversampled(seeds, 5)
    return OVERSAMPLING.rows(off["as many"], off["one less"], positive=off["scikit-learn"], seed=seeds)


# --- the study -----------------------------------------------------------------------------------------

CHECKS = (MINIMISER, RESTORED, RECALIBRATION, KERAS_WEIGHT, OVERSAMPLING)
THEORIES = (
    Theory(
        "weighted_law",
        lambda q, w: float(imbalance.weighted_law(law_of(3, q), weights_of(3, w))[0]),
        lambda q, w: float(imbalance.weighted_law_by_search(law_of(3, q), weights_of(3, w))[0]),
        [(q, w) for q in CHANCES for w in (1.0, *WEIGHTS)],
        1e-6,
    ),
)


def units(scale: str) -> list[Unit]:
    seeds = range(SEEDS[scale])
    return [
        *(unit(train_laws, seeds, k=k, cost=3) for k in (2, 3)),
        unit(train_lines, seeds, cost=5),
        unit(train_oversampled, range(MANY_SEEDS[scale]), cost=4),
        unit(measure_keras),
    ]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """What models come to predict under weights, before and after subtracting ln w, beside theory."""
    part = rows[(rows["arm"] == "claim") & rows["check"].isin([MINIMISER.id, RESTORED.id])]
    means = part.pivot_table(["value", "reference"], "setting", "check", sort=False)
    shown = {
        "Case": means.index,
        "Predicted p": means["value", MINIMISER.id],
        "w η / Σ w η": means["reference", MINIMISER.id],
        "ln w subtracted": means["value", RESTORED.id],
        "True chance η": means["reference", RESTORED.id],
    }
    return pd.DataFrame(shown).reset_index(drop=True)


def figure(rows: pd.DataFrame):
    """Predicted probabilities against the true ones, and what mends a weighted line and one of focal loss."""
    canvas, axes = figures.panels(2, 1, height=3.5)
    for draw, ax in zip((draw_shift, draw_mending), axes, strict=True):
        draw(ax, rows)
    return canvas
