"""Networks trained past their least held-out loss are right as often, and too sure; one temperature mends it.

Expect (Guo et al. 2017): accuracy stays while likelihood and calibration get worse; one temperature brings
the calibration back and changes no decision; a little label smoothing helps, much harms. And the calibration
error itself is too large by chance, unless it is debiased. It costs half a minute at the standard scale on
two cores. Run it with `crosscheck run calibration`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from crosscheck.claims import Check, Claim, Equal, Exceeds, Identity, Theory, Unit, unit
from crosscheck.lazy import binning, calibration, data, figures, metrics, overtraining, pd, rows

CLAIM = Claim(
    title="Cross-entropy leads to calibrated predictions",
    statement="Cross-entropy gives a meaningful gradient in ambiguous regions too, and so guides a model "
    "toward calibrated predictions.",
    formula=r"\Pr(\hat y = y \mid \hat p = p) = p",
    source="Properties of the Loss Landscape; problem 3103430",
    correct="So it does until the held-out loss is least. Trained on, a network stays as often right and "
    "grows too sure; one temperature, fitted on held-out examples, mends that and changes no decision.",
)

BINS = 15

# --- the measure: by how much does chance raise a calibration error? ---

DRAWS = {"smoke": 512, "standard": 2048, "full": 8192}
GROUP = 32  # theory speaks of means over samples
SAMPLES, TOO_SURE = (250, 1000), 1.25

FLOOR = Check(
    "floor",
    "Of a predictor that is calibrated the plug-in calibration error (15 equal-width bins) is not 0 but, on "
    "the mean over samples, its floor: the ratio of both is 1.",
    Equal(margin=0.1, group=GROUP),
    r"\mathrm{ECE} \Big/ \sum_b \frac{n_b}{N} \sqrt{\frac{2\,p_b (1 - p_b)}{\pi\, n_b}} = 1",
    control=f"a predictor whose logits are {TOO_SURE:g} times as large as they should be",
    positive="the same samples, binned by scikit-learn",
    population="generator",
    settings=tuple(f"N = {n}" for n in SAMPLES),
)
DEBIASED = Check(
    "debiased",
    "The debiased squared error is right on the mean over samples of 250, whether the predictor is "
    "calibrated or too sure: what it is off, relative to what chance adds to the plug-in.",
    Equal(margin=0.2, group=GROUP),
    r"\Bigl(\widehat{E^2} - E^2\Bigr) \Big/ \sum_b \frac{p_b (1 - p_b)}{N} = 0",
    control="the plug-in square",
    positive="the formula of Kumar et al. 2019, in NumPy",
    population="generator",
    settings=("calibrated", "too sure"),
)


def measure_bias(seeds: tuple[int, ...], examples: int) -> Iterator[pd.DataFrame]:
    """Calibration errors of samples whose true probabilities are known."""
    p, y = binning.sampled(seeds, examples, 1.0)
    sure, y_sure = binning.sampled(seeds, examples, TOO_SURE)
    ratio, off = (
        metrics.calibration_gap(at[..., 0], truth == 0) / metrics.calibration_floor(at)
        for at, truth in ((p, y), (sure, y_sure))
    )
    place = {"setting": f"N = {examples}", "x": examples, "seed": seeds, "reference": 1.0}
    yield FLOOR.rows(ratio, off, **place)
    yield rows.tidy(quantity="floor", x=examples, seed=seeds, value=metrics.calibration_floor(p))
    if examples != SAMPLES[0]:
        return
    again = [
        binning.error_by_scikit_learn(at[:, 0], truth == 0, BINS) for at, truth in zip(p, y, strict=True)
    ]
    yield FLOOR.rows(positive=np.array(again) / metrics.calibration_floor(p), **place)
    for setting, sureness, at, truth in (("calibrated", 1.0, p, y), ("too sure", TOO_SURE, sure, y_sure)):
        scale, exact = binning.squared_bias(at, truth, BINS), binning.squared_error(sureness, BINS)
        ours = metrics.squared_calibration_error(at, truth)
        others = (binning.plug_in_square(at, truth, BINS), binning.published_square(at, truth, BINS))
        claim, plug_in, published = ((estimate - exact) / scale for estimate in (ours, *others))
        yield DEBIASED.rows(claim, plug_in, positive=published, setting=setting, seed=seeds)


# --- decisions: does a temperature change any? ---

DECISIONS = Check(
    "decisions",
    "A temperature changes no decision, of float16 logits either: the number of 40,000 that it changes.",
    Identity(ulps=0),
    r"\arg\max_k z_k / T = \arg\max_k z_k",
    control="the division done in float16, whose rounding makes ties",
    positive="NumPy in float64",
    exact=True,
)
TEMPERATURES = (0.3, 0.7, 1.7, 3.0)


def measure_decisions(seeds: tuple[int, ...]) -> Iterator[pd.DataFrame]:
    """Decisions before and after our `Temperature`, on logits that often lie close together."""
    z = np.random.default_rng(0).normal(8, 1, (10_000, 10)).astype("float16")
    changed = lambda scaled: int((np.asarray(scaled).argmax(-1) != z.argmax(-1)).sum())
    ours = sum(changed(calibration.Temperature(t)(z)) for t in TEMPERATURES)
    half = sum(changed(z / np.float16(t)) for t in TEMPERATURES)
    double = sum(changed(z.astype("float64") / t) for t in TEMPERATURES)
    yield DECISIONS.rows(ours, half, positive=double, resolution=1.0)


# --- overtraining: what becomes of accuracy, likelihood and calibration after the least held-out loss? ---

SETS = ("digits", "mnist", "fashion_mnist")
SEEDS = {"smoke": 12, "standard": 24, "full": 64}
TRAINED = {"digits": 100, "mnist": 500, "fashion_mnist": 500}  # few, so that networks come to be too sure
HELD_OUT = {"smoke": 4_000, "standard": 6_000, "full": 10_000}
LOOKS = {  # epochs: the last is some four to eight times that of the least loss
    "digits": (16, 32, 64, 128, 256, 512, 1024),
    "mnist": (4, 8, 16, 32, 64, 128),
    "fashion_mnist": (4, 8, 16, 32, 64, 128),
}
CLOSE = 0.04**2  # four points of a hundred, squared
DECAY, FLIPPED = 1e-2, 0.2
SMOOTHING = (0.01, 0.03, 0.1, 0.4)
ERROR = r"\sum_b \frac{n_b}{N} (\mathrm{acc}_b - \mathrm{conf}_b)^2"

OVERTRAINING = Check(
    "overtraining",
    "A network is calibrated however long it trains: four to eight times as long as to the least held-out "
    "loss, its squared calibration error (debiased) is at most 0.04².",
    Equal(margin=CLOSE),
    ERROR + r" \le 0.04^2",
    control="the same training stopped at the first look, less sure than right",
    positive="the same training stopped where the loss on the other half is least",
    population="these data sets",
    settings=SETS,
    scope=True,
)
LIKELIHOOD = Check(
    "likelihood",
    "From the least to the last the held-out loss rises by at least 0.03 nats.",
    Exceeds(margin=0.03),
    r"\mathcal{L}_{\text{last}} - \mathcal{L}_{\text{least}}",
    control=f"an L2 penalty of λ = {DECAY:g}",
    positive="a fifth of the training labels wrong",
    population="these data sets",
    settings=SETS,
)
ACCURACY = Check(
    "accuracy",
    "Accuracy does not show it: over the same epochs it loses half a point at most.",
    Exceeds(margin=-0.005),
    r"\mathrm{acc}_{\text{last}} - \mathrm{acc}_{\text{least loss}}",
    control="a fifth of the training labels wrong",
    positive="from the first look to the least loss",
    population="these data sets",
    settings=SETS,
)
TEMPERATURE = Check(
    "temperature",
    "One temperature, fitted on the other half, mends it: it takes away two thirds of the squared error at "
    "least.",
    Exceeds(margin=0.0),
    r"\tfrac13 E^2(1) - E^2(T) \ge 0",
    control="the temperature fitted earlier, when the loss was least",
    positive="labels drawn from the network's own probabilities at that temperature",
    population="these data sets",
    settings=SETS,
)
SMOOTHED = Check(
    "smoothing",
    "Some smoothing α from 0.01 to 0.1 (chosen on the other half) lowers the squared error of such networks, "
    "by at least 0.001.",
    Exceeds(margin=0.001),
    r"E^2(0) - E^2(\alpha^*)",
    control="α = 0.4 in place of the chosen one",
    positive="one temperature in place of smoothing",
    population="these data sets",
    settings=SETS,
)
SMOOTHED_EXCESS = Check(
    "smoothing_excess",
    "Too much smoothing, α = 0.4, raises it by at least 0.02.",
    Exceeds(margin=0.02),
    r"E^2(0.4) - E^2(0)",
    control="the chosen α in place of 0.4",
    positive="hard labels and four times the right temperature",
    population="these data sets",
    settings=SETS,
)


def images_of(name: str, most: int) -> tuple[np.ndarray, ...]:
    """The few images to train on and the held-out ones, with labels; large images averaged, for time."""
    images, n = data.load(name), TRAINED[name]
    x, x_test, y_test = images.x_train[:n], images.x_test, images.y_test
    if name == "digits":  # what is not trained on is held out
        x_test = np.concatenate([images.x_train[n:], x_test])
        y_test = np.concatenate([images.y_train[n:], y_test])
    else:
        x, x_test = (data.averaged(part, images.shape, 14) for part in (x, x_test))
    return x, images.y_train[:n], x_test[:most], y_test[:most]


def train_long(seeds: tuple[int, ...], name: str, held_out: int) -> Iterator[pd.DataFrame]:
    """Hard labels, an L2 penalty, wrong labels and smoothing, from the same weights, for long."""
    x, y, x_test, y_test = images_of(name, held_out)
    arms = ((0.0, 0.0), (0.0, DECAY), (0.0, 0.0), *((alpha, 0.0) for alpha in SMOOTHING))
    wrong = [overtraining.flipped(y, seed, FLIPPED) for seed in seeds]
    labels = np.stack([wrong if i == 2 else [y] * len(seeds) for i in range(len(arms))])
    course, logits, _ = overtraining.followed(seeds, arms, x, labels, x_test, y_test, LOOKS[name])
    parts = [course.of(slice(i * len(seeds), (i + 1) * len(seeds))) for i in range(len(arms))]
    place = {"setting": name, "seed": seeds}
    yield from course_rows(parts[:3], place)
    yield from squared_rows(parts[0], parts[3:], logits, y_test, place)
    shown = zip(("hard labels", "L2", "wrong labels", *(f"α = {a:g}" for a in SMOOTHING)), parts, strict=True)
    for arm, part in shown:
        for quantity, values in zip(part._fields, part, strict=True):
            along = {**place, "x": np.array(LOOKS[name])[:, None], "path": arm}
            yield rows.tidy(quantity=quantity, value=values.mean(-1), **along)


def course_rows(parts, place: dict) -> Iterator[pd.DataFrame]:
    """From the least held-out loss to the end, of hard labels, with L2, with wrong labels."""
    rise, gain = [], []
    for part in parts:
        best, end = part.best(), last(part)
        rise.append(part.at(end, "loss") - part.at(best, "loss"))
        gain.append(part.at(end, "accuracy") - part.at(best, "accuracy"))
    hard, penalised, wrong = rise
    yield LIKELIHOOD.rows(hard, penalised, positive=wrong, **place)
    best, first = parts[0].best(), 0 * last(parts[0])
    learned = parts[0].at(best, "accuracy") - parts[0].at(first, "accuracy")
    yield ACCURACY.rows(gain[0], gain[2], positive=learned, **place)


def squared_rows(hard, smoothed, logits: np.ndarray, y: np.ndarray, place: dict) -> Iterator[pd.DataFrame]:
    """Squared calibration errors at the end: as it is, smoothed, and at temperatures."""
    end, best = last(hard), hard.best()
    error = hard.at(end, "squared")
    by_alpha = [part.at(end, "squared") for part in smoothed]
    stopped = hard.at(best, "squared")
    yield OVERTRAINING.rows(error, hard.at(0 * end, "squared"), positive=stopped, **place)
    right, early = overtraining.temperatures(logits[-1], y), early_temperatures(logits, best, y)
    mended, stale, far = (squared(overtraining.scaled(logits[-1], t), y) for t in (right, early, 4 * right))
    at_right = overtraining.scaled(logits[-1], right)
    own = squared(at_right, overtraining.drawn(at_right, np.random.default_rng(place["seed"][0])))
    yield TEMPERATURE.rows(*(error / 3 - left for left in (mended, stale)), positive=error / 3 - own, **place)
    chosen = chosen_smoothing(smoothed)
    yield SMOOTHED.rows(error - chosen, error - by_alpha[-1], positive=error - mended, **place)
    yield SMOOTHED_EXCESS.rows(by_alpha[-1] - error, chosen - error, positive=far - error, **place)
    for quantity, values in (("temperature", right.mean(-1)), ("mended", mended)):
        yield rows.tidy(quantity=quantity, value=values, **place)


def last(course) -> np.ndarray:
    """The last look, for each training and half."""
    return np.full(course.loss.shape[1:], len(course.loss) - 1)


def squared(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The debiased squared calibration error on both halves, averaged: [R]."""
    return overtraining.measured(logits, labels)[2].mean(-1)


def early_temperatures(logits: np.ndarray, best: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Those that suited each training at its own least loss, of logits [E, R, N, K]: [R, 2]."""
    fitted = {int(look): overtraining.temperatures(logits[look], labels) for look in np.unique(best)}
    return np.select([best == look for look in fitted], list(fitted.values()))


def chosen_smoothing(smoothed) -> np.ndarray:
    """The squared error at the α of 0.01 to 0.1 that is best, on the mean, on the half not measured: [R]."""
    by_alpha = np.stack([part.squared[-1] for part in smoothed[:-1]])  # [α, R, 2]
    chosen = np.abs(by_alpha).mean(1).argmin(0)[::-1]  # [2]
    return np.stack([by_alpha[chosen[half], :, half] for half in (0, 1)], -1).mean(-1)


def draw_floor(ax, rows: pd.DataFrame) -> None:
    part = rows[(rows["check"] == FLOOR.id) & (rows["arm"] == "claim")]
    floor = rows[(rows["quantity"] == "floor") & (rows["path"] == "")].groupby("x")["value"].mean()
    plug_in = part.groupby("x")["value"].mean() * floor
    ax.plot(plug_in.index, plug_in, "o", label="plug-in error of a calibrated predictor")
    n = np.geomspace(200, 1250, 20)
    figures.theory_line(ax, n, floor.iloc[0] * np.sqrt(floor.index[0] / n), "floor")
    ax.set(title="What chance alone gives", xlabel="examples N", ylabel="ECE, 15 bins", ylim=(0, None))
    ax.legend(fontsize=8)


def draw_course(ax, rows: pd.DataFrame, quantity: str) -> None:
    hard = rows[(rows["quantity"] == quantity) & (rows["path"] == "hard labels")]
    for name in SETS:
        part = hard[hard["setting"] == name]
        if len(part):
            figures.curve(ax, part.assign(x=part["x"] / LOOKS[name][-1]), name, marker="o")
    ax.set(xlabel="epoch, as a share of the training", xscale="log")
    ax.legend(fontsize=8)


def draw_loss(ax, rows: pd.DataFrame) -> None:
    draw_course(ax, rows, "loss")
    ax.set(title="Held-out loss", ylabel="nats")


def draw_accuracy(ax, rows: pd.DataFrame) -> None:
    draw_course(ax, rows, "accuracy")
    ax.set(title="Held-out accuracy", ylabel="share right")


def draw_errors(ax, rows: pd.DataFrame) -> None:
    """Root mean square calibration errors after the whole training, against α and at one temperature."""
    end = at_the_end(rows, "squared")
    alphas = {"hard labels": 0.0, **{f"α = {a:g}": a for a in SMOOTHING}}
    for name, part in end[end["path"].isin(alphas)].groupby("setting", sort=False):
        means = part.assign(alpha=part["path"].map(alphas)).groupby("alpha")["value"].mean()
        (line,) = ax.plot(means.index, rooted(means), marker="o", label=str(name))
        mended = rows[(rows["quantity"] == "mended") & (rows["setting"] == name)]
        star = {"marker": "*", "color": line.get_color(), "markersize": 11, "linestyle": ""}
        ax.plot(0, rooted(mended["value"].mean()), **star)
    ax.plot([], [], "*", color="0.4", markersize=11, label="one temperature")
    ax.set(title="After the whole training", xlabel="Keras' label_smoothing α")
    ax.set(ylabel="calibration error, debiased (rms)", ylim=(0, None))
    ax.legend(fontsize=8)


def at_the_end(rows: pd.DataFrame, quantity: str) -> pd.DataFrame:
    part = rows[rows["quantity"] == quantity]
    return part[part["x"] == part["setting"].map({name: looks[-1] for name, looks in LOOKS.items()})]


def rooted(square):
    return np.sqrt(np.maximum(square, 0))


# --- the study: its checks, theories and units, its table and its figure ---

CHECKS = (
    OVERTRAINING,
    LIKELIHOOD,
    ACCURACY,
    TEMPERATURE,
    SMOOTHED,
    SMOOTHED_EXCESS,
    DECISIONS,
    FLOOR,
    DEBIASED,
)
THEORIES = (
    Theory(
        "squared_error",
        lambda s: binning.squared_error(s, BINS),
        lambda s: binning.squared_error_by_quadrature(s, BINS),
        [(TOO_SURE,), (2.0,)],
        1e-6,
    ),
)


def units(scale: str) -> list[Unit]:
    seeds, held_out = range(SEEDS[scale]), HELD_OUT[scale]
    return [
        *(unit(measure_bias, range(DRAWS[scale]), cost=n / 250, examples=n) for n in SAMPLES),
        unit(measure_decisions),
        *(unit(train_long, seeds, data=name, cost=20, held_out=held_out) for name in SETS),
    ]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Each training along its epochs: the plug-in calibration error stands beside its floor."""
    names = ["accuracy", "loss", "plug_in", "floor", "squared"]
    shown = rows[rows["quantity"].isin(names) & (rows["path"] != "")]
    wide = shown.pivot_table("value", ["setting", "path", "x"], "quantity", sort=False)[names].reset_index()
    wide["squared"] = rooted(wide["squared"])
    titles = ["Accuracy", "Loss (nats)", "ECE, plug-in", "its floor", "RMS error, debiased"]
    return wide.set_axis(["Data set", "Training", "Epochs", *titles], axis=1)


def figure(rows: pd.DataFrame):
    """Accuracy stays, the loss rises; smoothing and a temperature; and what chance alone gives."""
    canvas, axes = figures.panels(2, 2)
    for draw, ax in zip((draw_accuracy, draw_loss, draw_errors, draw_floor), axes, strict=True):
        draw(ax, rows)
    return canvas
