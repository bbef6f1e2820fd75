"""Imbalanced classes: weights move probabilities by a known amount, and move nothing where classes separate.

Expect: on separable points, and in networks that fit every image, what class weights do to the boundary wears
off with training; where classes overlap they only add ln w to the logits, which one subtraction undoes, and
which could as well be added after training; focal loss finds no more of a rare class. Costs half a minute at
the standard scale. Run it with `crosscheck run class_imbalance`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from crosscheck.claims import Check, Claim, Equal, Exceeds, Identity, Theory, Unit, unit
from crosscheck.lazy import figures, imbalance, keras, long_tails, pd, rows, special

CLAIM = Claim(
    title="Class weights wear off where classes separate, and are one subtraction where they do not",
    statement="Cross-entropy is adapted to imbalanced classes: weighted by the class, with adjusted logits, or "
    "as focal loss, it does better by the rare ones.",
    formula=r"p_k \propto w_k\,\eta_k, \qquad \lVert w \rVert \cdot \text{gap} \to \text{const}",
    source="the chapter's introduction",
    correct="Where classes overlap, weights add ln w to the logits: the same after training by hand, and undone "
    "by subtracting it. Where a model separates its examples they move the boundary ever less (Byrd & Lipton "
    "2019), and it is early stopping or a penalty that keeps their effect. Focal loss treats classes alike.",
)

SEEDS = {"smoke": 6, "standard": 24, "full": 64}
FEW = {"smoke": 6, "standard": 16, "full": 64}  # of networks
FOCAL = 2.0  # γ, as published


# --- separable: where does the boundary go that weights have moved? -----------------------------------

WEIGHT = 20.0
LOOKS = {"smoke": 40, "standard": 100, "full": 300}  # 100 steps apart

SEPARABLE = Check(
    "separable",
    f"On separable points in the plane, how far a weight of {WEIGHT:g} moves the boundary falls as 1/‖w‖, "
    "without end: the slope of ln gap on ln ‖w‖ is −1.",
    Equal(margin=0.1),
    r"\frac{d \ln \text{gap}}{d \ln \lVert w \rVert} = -1, \quad \text{gap} \to "
    r"\frac{\ln (w_1 / w_0)}{2\,\lVert w \rVert}",
    control="margins of one class halved in place of its weight (Kini et al. 2021): a gap that stays",
    positive="a margin added for one class in place of its weight, which wears off as well",
    population="generator",
)


def follow_boundaries(seeds: tuple[int, ...], looks: int) -> Iterator[pd.DataFrame]:
    """How far each arm's boundary lies from the plain one, along descent by steps divided by the loss."""
    seen = imbalance.boundaries(seeds, WEIGHT, looks)
    arms = (imbalance.WEIGHTED, imbalance.MULTIPLIED, imbalance.ADDED)
    slopes = [imbalance.power(seen.norm[arm], seen.gap[arm]) for arm in arms]
    yield SEPARABLE.rows(*slopes[:2], -1.0, positive=slopes[2], seed=seeds)
    for arm in arms:
        for name, values in (("norm", seen.norm[arm]), ("gap", seen.gap[arm])):
            along = {"x": seen.steps[:, None], "seed": seeds, "path": arm}
            yield rows.tidy(quantity=f"boundary, {name}", value=values, **along)


def draw_boundaries(ax, rows: pd.DataFrame) -> None:
    part = rows[rows["quantity"].str.startswith("boundary, ")]
    for arm, of_arm in part.groupby("path", sort=False):
        wide = of_arm.pivot_table("value", "x", "quantity", aggfunc="median")
        ax.plot(wide["boundary, norm"], wide["boundary, gap"], label=str(arm))
        if arm == imbalance.WEIGHTED:
            ends = wide["boundary, norm"].iloc[[0, -1]].to_numpy()
            figures.theory_line(ax, ends, wide["boundary, gap"].iloc[-1] * ends[1] / ends, "slope −1")
    ax.set(title="Separable: weights wear off", xscale="log", yscale="log")
    ax.set(xlabel="‖w‖, as it grows in training", ylabel="how far the boundary is moved")
    ax.legend(fontsize=8)


# --- networks: the same in perceptrons that come to fit every image; and what is done afterwards --------

SETS = ("digits", "mnist", "fashion_mnist")
MOST = {"digits": 60, "mnist": 300, "fashion_mnist": 300}  # images of the most frequent class
RATIO = {"digits": 20, "mnist": 100, "fashion_mnist": 100}
EPOCHS = {"digits": (10, 400), "mnist": (10, 200), "fashion_mnist": (10, 200)}  # early, late
TESTED = 500  # held-out images of each class at most
HIDDEN, RATE = 128, 3e-3

INTERPOLATING = Check(
    "interpolating",
    "Of what weights gain a network in balanced accuracy early in training, 0.05 at least is gone once it fits "
    "every image.",
    Exceeds(margin=0.05),
    r"\text{gain}_{\text{early}} - \text{gain}_{\text{late}}",
    control="an L2 penalty of λ = 0.01, under which no network fits every image",
    positive="logits adjusted in training, in place of weights",
    population="these data sets",
    settings=SETS,
)
POST_HOC = Check(
    "post_hoc",
    "Subtracting ln π from the logits of a network trained plainly gives the balanced accuracy of one trained "
    "with adjusted logits, at the early look.",
    Equal(margin=0.01),
    r"\arg\max_k\; z_k - \ln \pi_k",
    control="nothing subtracted",
    positive="training with adjusted logits, from other initial weights",
    population="these data sets",
    settings=SETS,
)


def train_tails(seeds: tuple[int, ...], name: str) -> Iterator[pd.DataFrame]:
    """Balanced accuracies, early and late, of networks that differ in what is done about rare classes."""
    images = long_tails.tail(name, MOST[name], RATIO[name], TESTED)
    logits = long_tails.followed(seeds, images, EPOCHS[name], HIDDEN, RATE)
    score = {arm: long_tails.balanced_accuracy(z, images.y_test) for arm, z in logits.items()}  # [E, S]
    after = logits["plain"] - np.log(images.shares)
    score["plain, ln π subtracted"] = long_tails.balanced_accuracy(after, images.y_test)
    gain = {
        arm: score[arm] - score["plain, L2" if arm.endswith("L2") else "plain"]
        for arm in ("weighted", "weighted, L2", "adjusted")
    }
    lost, kept, adjusted = (gain[arm][0] - gain[arm][1] for arm in ("weighted", "weighted, L2", "adjusted"))
    place = {"setting": name, "seed": seeds}
    yield INTERPOLATING.rows(lost, kept, positive=adjusted, **place)
    early = {arm: values[0] for arm, values in score.items()}
    others = np.roll(early["adjusted"], 1)
    yield POST_HOC.rows(
        early["plain, ln π subtracted"], early["plain"], early["adjusted"], positive=others, **place
    )
    yield FOCAL_RECALL.rows(early["focal"], early["weighted"], early["plain"], **place)
    for arm, values in score.items():
        along = {**place, "x": np.array(EPOCHS[name])[:, None], "path": arm}
        yield rows.tidy(quantity="balanced accuracy", value=values, **along)


def draw_gains(ax, rows: pd.DataFrame) -> None:
    part = rows[rows["quantity"] == "balanced accuracy"]
    mean = part.groupby(["setting", "path", "x"], sort=False)["value"].mean().unstack("path")
    for style, kind in (("o-", ""), ("s:", ", L2")):
        gain = (mean[f"weighted{kind}"] - mean[f"plain{kind}"]).unstack("setting")
        for colour, name in zip(figures.PALETTE, SETS, strict=False):
            if name in gain:
                label = f"{name}{kind}"
                values = gain[name].dropna()
                ax.plot(values.index, values, style, color=colour, label=label)
    ax.axhline(0, color="0.6", linewidth=0.8)
    ax.set(title="Networks: so they do", xlabel="epoch", xscale="log")
    ax.set(ylabel="balanced accuracy gained by weights")
    ax.legend(fontsize=7)


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


def train_laws(seeds: tuple[int, ...], k: int) -> Iterator[pd.DataFrame]:
    """The first class's probability, after training with its weight, with another's, and with none."""
    cases = [case for case in CASES if case[0] == k]
    eta = np.array([law_of(k, q) for _, q, _ in cases])
    weight = np.array([weights_of(k, w) for _, _, w in cases])
    other = np.array([weights_of(k, w, 1) for _, _, w in cases])
    arms = np.concatenate([weight, other, np.ones_like(weight)])
    p = imbalance.trained_laws(np.tile(eta, (3, 1)), arms, seeds, EXAMPLES)  # [3 L, S, K]
    weighted, exchanged, plain = (part[..., 0] for part in np.split(p, 3))
    undone = lambda power: imbalance.weighted_law(p[: len(cases)], weight[:, None] ** -power)[..., 0]
    for i, case in enumerate(cases):
        place = {"setting": named_case(*case), "seed": seeds}
        law = imbalance.weighted_law(eta[i], weight[i])[0]
        yield MINIMISER.rows(weighted[i], exchanged[i], law, **place)
        yield RESTORED.rows(undone(1.0)[i], undone(0.5)[i], case[1], positive=plain[i], **place)
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


# --- lines: two Gaussians, balanced errors in closed form ----------------------------------------------

SHARES = (0.1, 0.02)  # ρ
COUNTED = 32_768
ARMS = ("plain", "weighted", "adjusted")

BALANCED_ERROR = Check(
    "balanced_error",
    "Of two Gaussians, a line trained plainly has the balanced error of the closed form, and one trained with "
    "weights 1/π, or adjusted logits, the least there is.",
    Equal(margin=0.01),
    r"\tfrac12 \Phi(-\tfrac{d}{2} + t) + \tfrac12 \Phi(-\tfrac{d}{2} - t) \;\to\; \Phi(-\tfrac{d}{2}), "
    r"\quad t = \tfrac1d \ln \tfrac{1 - \rho}{\rho}",
    control="ln of the ratio of the shares added once too often",
    positive="the same training on even classes",
    population="generator",
    settings=tuple(f"{arm}, ρ = {share:g}" for share in SHARES for arm in ARMS),
)
FOCAL_RECALL = Check(
    "focal_recall",
    "Focal loss (γ = 2) changes the balanced accuracy by 0.02 at most: it treats the classes alike.",
    Equal(margin=0.02),
    r"\mathrm{acc}_{\text{balanced}}(\text{focal}) - \mathrm{acc}_{\text{balanced}}(\text{cross-entropy}) = 0",
    control="weights in place of focal loss",
    positive="two Gaussians of even shares",
    population="generator",
    settings=(*(f"ρ = {share:g}" for share in SHARES), *SETS),
)
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
    """Lines on even classes and on uneven ones: plain, weighted, adjusted, with focal loss."""
    odds = special.logit
    trainings = [
        (share, np.exp(-odds(share)) if arm == "weighted" else 1.0, odds(share) * (arm == "adjusted"), gamma)
        for share in (0.5, *SHARES)
        for arm, gamma in (*((arm, 0.0) for arm in ARMS), ("focal", FOCAL))
    ]
    trainings += [(SHARES[0], w, 0.0, 0.0) for w in WEIGHTS]
    counts = np.concatenate([imbalance.counted(share, seeds, COUNTED) for share, *_ in trainings])
    _, *arguments = (np.repeat(part, len(seeds)) for part in zip(*trainings, strict=True))
    lines = imbalance.fitted_lines(counts, *arguments)
    by_training = [
        imbalance.Lines(*(part[i * len(seeds) : (i + 1) * len(seeds)] for part in lines))
        for i in range(len(trainings))
    ]
    even, *uneven = (by_training[4 * i : 4 * i + 4] for i in range(3))
    for share, group in zip(SHARES, uneven, strict=True):
        yield from error_rows(share, group, even, seeds)
    yield from recalibration_rows(by_training[12:], uneven[0], seeds)


def error_rows(share: float, group: list, even: list, seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Balanced errors of lines trained plainly, weighted, adjusted and with focal loss, at one share ρ."""
    log_odds = float(special.logit(share))
    for arm, line, of_even in zip(ARMS, group[:3], even[:3], strict=True):
        least = imbalance.balanced_error(share, 0.0 if arm == "plain" else -log_odds)
        place = {"setting": f"{arm}, ρ = {share:g}", "seed": seeds, "x": share, "path": ""}
        yield BALANCED_ERROR.rows(line.balanced_error, line.moved(log_odds).balanced_error, least, **place)
        yield BALANCED_ERROR.rows(
            positive=of_even.balanced_error, reference=imbalance.balanced_error(0.5), **place
        )
    plain, weighted, _, focal = (1 - line.balanced_error for line in group)
    place = {"setting": f"ρ = {share:g}", "seed": seeds}
    yield FOCAL_RECALL.rows(focal, weighted, plain, **place)
    of_even = [1 - line.balanced_error for line in even]
    yield FOCAL_RECALL.rows(positive=of_even[3], reference=of_even[0], **place)


def recalibration_rows(weighted: list, uneven: list, seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Slopes and intercepts that suit fresh labels, given the log-odds of lines that were trained before."""
    fresh = imbalance.counted(SHARES[0], [seed + 10**6 for seed in seeds], COUNTED)
    subjects = [*weighted, uneven[3], uneven[0]]  # by w; focal; plain
    scores = np.concatenate([one.slope[:, None] * imbalance.grid() + one.offset[:, None] for one in subjects])
    mending = imbalance.fitted_lines(np.concatenate([fresh] * len(subjects)), feature=scores)
    parts = {
        "slope": np.split(mending.slope, len(subjects)),
        "intercept": np.split(mending.offset, len(subjects)),
    }
    for i, w in enumerate(WEIGHTS):
        for part, by_subject in parts.items():
            right = 1.0 if part == "slope" else -np.log(w)
            place = {"setting": f"{part}, w = {w:g}", "seed": seeds}
            yield RECALIBRATION.rows(by_subject[i], by_subject[-2], right, **place)
            yield RECALIBRATION.rows(positive=by_subject[-1], reference=float(part == "slope"), **place)


def draw_errors(ax, rows: pd.DataFrame) -> None:
    part = rows[(rows["check"] == BALANCED_ERROR.id) & (rows["arm"] == "claim")]
    for marker, arm in zip("osD", ARMS, strict=True):
        mean = part[part["setting"].str.startswith(arm)].groupby("x")["value"].mean()
        ax.plot(mean.index, mean, marker, label=arm)
    share = np.geomspace(0.01, 0.5, 60)
    figures.theory_line(ax, share, [imbalance.balanced_error(at) for at in share], "closed form")
    figures.theory_line(ax, share, imbalance.balanced_error(0.5), "", linestyle=":")
    ax.set(title="Two Gaussians", xlabel="share ρ of the rarer class", xscale="log")
    ax.set(ylabel="balanced error", ylim=(0, 0.5))
    ax.legend(fontsize=8)


# --- ranking: do weights change which of two examples comes first? -------------------------------------

FEATURES, RANKED = 10, 2048

AUROC = Check(
    "auroc",
    "Weights change the AUROC of a linear model by 0.01 at most.",
    Equal(margin=0.01),
    r"\mathrm{AUROC}(\text{weighted}) - \mathrm{AUROC}(\text{plain}) = 0",
    control="labels shuffled",
    positive="the rarer class drawn again and again in place of weights",
    population="generator",
)


def train_rankings(seeds: tuple[int, ...]) -> pd.DataFrame:
    """Areas under the curve over the population, of linear models of two Gaussians in ten dimensions."""
    weight = float(np.exp(-special.logit(SHARES[0])))
    area = imbalance.rankings(seeds, SHARES[0], FEATURES, RANKED, weight)
    return AUROC.rows(
        area["weighted"], area["shuffled"], area["plain"], positive=area["oversampled"], seed=seeds
    )


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
    "Every example of the rarer class five times, or with the weight 5: a linear model ends at the same place, "
    "to a hundredth of its length.",
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

CHECKS = (
    SEPARABLE,
    INTERPOLATING,
    MINIMISER,
    RESTORED,
    RECALIBRATION,
    BALANCED_ERROR,
    POST_HOC,
    FOCAL_RECALL,
    AUROC,
    KERAS_WEIGHT,
    OVERSAMPLING,
)
THEORIES = (
    Theory(
        "weighted_law",
        lambda q, w: float(imbalance.weighted_law(law_of(3, q), weights_of(3, w))[0]),
        lambda q, w: float(imbalance.weighted_law_by_search(law_of(3, q), weights_of(3, w))[0]),
        [(q, w) for q in CHANCES for w in (1.0, *WEIGHTS)],
        1e-6,
    ),
    Theory(
        "balanced_error",
        lambda *at: imbalance.balanced_error(*at),
        lambda *at: imbalance.balanced_error_by_quadrature(*at),
        [(0.5, 0.0), (0.1, 0.0), (0.02, 0.0), (0.1, np.log(9)), (0.02, np.log(49))],
        1e-9,
    ),
    Theory(
        "gap_of_two",
        lambda *at: imbalance.gap_of_two(*at),
        lambda *at: imbalance.gap_of_two_by_search(*at),
        [(1.0, WEIGHT), (10.0, WEIGHT), (30.0, 5.0)],
        1e-6,
    ),
)


def units(scale: str) -> list[Unit]:
    seeds, few = range(SEEDS[scale]), range(FEW[scale])
    return [
        *(unit(train_tails, few, data=name, cost=8) for name in SETS),
        unit(follow_boundaries, seeds, looks=LOOKS[scale], cost=5),
        *(unit(train_laws, seeds, k=k, cost=3) for k in (2, 3)),
        unit(train_lines, seeds, cost=5),
        unit(train_rankings, seeds, cost=5),
        unit(train_oversampled, seeds, cost=3),
        unit(measure_keras),
    ]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Balanced accuracies of networks, early and late, by what was done about the rare classes."""
    part = rows[rows["quantity"] == "balanced accuracy"]
    look = part.groupby("setting")["x"].rank("dense").map({1.0: "early", 2.0: "late"})
    wide = part.assign(look=look).pivot_table("value", ["setting", "path"], "look", sort=False).reset_index()
    return wide.set_axis(["Images", "Training", "Balanced accuracy, early", "late"], axis=1)


def figure(rows: pd.DataFrame):
    """What becomes of weights where classes separate, in the plane and in networks, and where they overlap."""
    canvas, axes = figures.panels(2, 2)
    for draw, ax in zip((draw_boundaries, draw_gains, draw_shift, draw_errors), axes, strict=True):
        draw(ax, rows)
    return canvas
