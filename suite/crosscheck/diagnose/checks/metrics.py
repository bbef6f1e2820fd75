"""Metrics: each is asked about made-up outputs beside the program's labels, where the answer is known.

An accuracy must be the share of right answers; a metric of probabilities must say the same of the output that
the model gives as of the probabilities that the loss makes of it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from scipy import special

from crosscheck._keras import is_of_keras, metric_for
from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._outputs import Output, outputs_of
from crosscheck.diagnose._program import Program
from crosscheck.diagnose._saying import fault, fine, note
from crosscheck.diagnose._words import first_line
from crosscheck.diagnose.checks._label_facts import LabelFacts

METRIC = "metric-fits-problem"
ROWS, NUMBERS = 256, 400_000  # that a metric is asked about; fewer rows where they are larger
DRAWS = 3  # of made-up logits
TOLERANCE = 1e-4
M = keras.metrics
ACCURACIES = (M.BinaryAccuracy, M.CategoricalAccuracy, M.SparseCategoricalAccuracy, M.Accuracy)
ACCURACY_FUNCTIONS = ("binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy")
OF_PROBABILITIES = (
    M.AUC,
    M.Precision,
    M.Recall,
    M.TruePositives,
    M.TrueNegatives,
    M.FalsePositives,
    M.FalseNegatives,
    M.PrecisionAtRecall,
    M.RecallAtPrecision,
    M.SensitivityAtSpecificity,
    M.SpecificityAtSensitivity,
    M.BinaryCrossentropy,
    M.CategoricalCrossentropy,
    M.SparseCategoricalCrossentropy,
)
RIGHT = {
    "classes": "keras.metrics.SparseCategoricalAccuracy()",
    "one-hot": "keras.metrics.CategoricalAccuracy()",
}


@dataclass(frozen=True)
class Trial:
    """Made-up logits of an output beside the program's labels.

    Attributes:
        output: whose metrics are asked; `y`, the labels of the first rows.
        logits: normal numbers of the output's shape.
        given: what the head makes of them.
        probabilities: what the loss makes of them.
    """

    output: Output
    y: np.ndarray
    logits: np.ndarray
    given: np.ndarray
    probabilities: np.ndarray


def metrics(program: Program) -> Iterator[Finding]:
    """What the metrics of each output make of its labels."""
    for output in outputs_of(program):
        if not output.anatomy.metrics or output.labels is None or output.labels.dtype.kind not in "biuf":
            continue
        known = [given for given in output.anatomy.metrics if can_be_made_anew(given)]
        declined = {i: finding for i, given in enumerate(known) if (finding := declining(given, output))}
        yield from declined.values()
        taken = [given for i, given in enumerate(known) if i not in declined]
        yield from (of_classifier if has_classes(output) else of_regression)(output, taken)


def has_classes(output: Output) -> bool:
    """Whether the labels are classes: under squared errors, where they are 0 and 1."""
    assert output.labels is not None
    is_known = bool(output.anatomy.labels)
    return output.is_classifier or (is_known and LabelFacts(output.labels, output).is_binary)


def can_be_made_anew(given: Any) -> bool:
    """Whether a metric can be tried apart from the model's own; one around a function of one's own cannot."""
    try:
        fresh(given)
    except Exception:
        return False
    return True


def declining(given: Any, output: Output) -> Finding | None:
    """✗ for a metric that cannot be updated with the first labels and what the model gives, as `fit` does.

    Predictions are repeated, to a number of rows that no other axis has: the same length hides errors.
    """
    y, p = output.labels, output.predictions
    if y is None or p is None or p.ndim == 0:
        return None
    n = max(1, min(ROWS, len(y), NUMBERS // max(int(np.prod(p.shape[1:])), 1)))
    while n > 1 and n in p.shape[1:]:
        n -= 1
    y, p = y[:n], p[np.arange(n) % len(p)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            metric_for(fresh(given), y, p).update_state(*map(keras.ops.convert_to_tensor, (y, p)))
    except Exception as error:
        return refused(given, error, output)
    return None


# --- a classifier's ---------------------------------------------------------------------------------------


def of_classifier(output: Output, metrics: Sequence[Any]) -> Iterator[Finding]:
    """Each metric on made-up logits; nothing where the head is not understood."""
    trials = [trial for seed in range(DRAWS) if (trial := trial_of(output, seed))]
    for given in metrics if trials else ():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                findings = [judged(given, trial) for trial in trials]
        except Exception as error:
            findings = [refused(given, error, output)]
        yield from sorted(filter(None, findings), key=lambda finding: finding.verdict != "✗")[:1]


def trial_of(output: Output, seed: int) -> Trial | None:
    """Made-up logits for the labels; None where nothing is known of the head, or the labels do not fit it.

    Few labels are repeated: two readings of few logits may agree by chance.
    """
    assert output.labels is not None
    anatomy, facts = output.anatomy, LabelFacts(output.labels, output)
    if anatomy.head not in MADE or output.predictions is None:
        return None
    if anatomy.labels == "outcomes" or facts.form not in ("classes", "wide"):
        return None
    inner = output.predictions.shape[1:]
    n = max(1, min(ROWS, NUMBERS // max(int(np.prod(inner)), 1)))
    logits = np.random.default_rng(seed).normal(size=(n, *inner))
    probabilities = MADE["softmax" if anatomy.activation == "softmax" else "sigmoid"]
    given = probabilities_if_told(output, MADE[anatomy.head](logits), logits)
    labels = facts.labels[np.arange(n) % len(facts.labels)]
    return Trial(output, labels, logits, given, probabilities(logits))


def probabilities_if_told(output: Output, given: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """What a metric is given, taken as the loss takes it: a head at odds with its loss is told elsewhere."""
    if output.anatomy.head == "identity" and output.anatomy.takes_logits is False:
        return softmax(logits) if output.anatomy.activation == "softmax" else special.expit(logits)
    return given


def softmax(z: np.ndarray) -> np.ndarray:
    return special.softmax(z, axis=-1)


# What a head makes of logits; a softmax over one unit, which is constant, is meant to be a sigmoid.
MADE = {"identity": lambda z: z, "softmax": softmax, "sigmoid": special.expit, "constant": special.expit}


def judged(given: Any, trial: Trial) -> Finding | None:
    """✗ or ✓ for a metric whose right answer is known; None for any other."""
    metric = metric_for(fresh(given), trial.y, trial.given)
    if isinstance(metric, ACCURACIES) or getattr(given, "__name__", "") in ACCURACY_FUNCTIONS:
        return judged_accuracy(given, metric, trial)
    if isinstance(metric, OF_PROBABILITIES):
        return judged_reading(given, metric, trial)
    return None


def fresh(given: Any) -> Any:
    """A metric of its own, without what another has counted."""
    return type(given).from_config(given.get_config()) if isinstance(given, M.Metric) else given


def value_of(metric: Any, y: np.ndarray, predicted: np.ndarray) -> float:
    """What a metric says, from scratch."""
    metric.reset_state()
    metric.update_state(
        keras.ops.convert_to_tensor(y), keras.ops.convert_to_tensor(predicted.astype("float32"))
    )
    return float(np.mean(keras.ops.convert_to_numpy(metric.result())))


def judged_accuracy(given: Any, metric: Any, trial: Trial) -> Finding | None:
    """An accuracy beside the share of right answers."""
    truths = shares_of_right(trial)
    if not truths:
        return None
    value, output = value_of(metric, trial.y, trial.given), trial.output
    if min(abs(value - truth) for truth in truths) <= TOLERANCE:
        ignored = output.anatomy.ignored
        if ignored is not None and (trial.y == ignored).any():
            return counts_ignored(given, trial)
        return fine(METRIC, f"{name_of(given)!r} is the share of right answers", output)
    return fault(
        METRIC,
        f"{name_of(given)!r}, which Keras makes {type(metric).__name__}, is {value:.3f} on made-up outputs "
        f"beside these labels, where {truths[0]:.3f} of the answers are right.",
        "It is no accuracy of this program, however well it trains.",
        f"metrics=[{right_accuracy(output)}]",
        output,
    )


def shares_of_right(trial: Trial) -> list[float]:
    """The shares of right answers that an accuracy may mean; none where labels are soft."""
    y, z, output = trial.y, trial.logits, trial.output
    facts = LabelFacts(y, output)
    if output.anatomy.labels == "classes":
        flat = y[..., 0] if y.ndim == z.ndim else y
        return [float((z.argmax(-1) == flat).mean())]
    wide = y if y.ndim == z.ndim else y[..., None]
    largest = float((z.argmax(-1) == wide.argmax(-1)).mean())
    if output.anatomy.labels == "one-hot":
        return [largest]
    if not facts.is_binary:
        return []
    each = float(((z > 0) == (wide > 0.5)).mean())
    if output.anatomy.head == "softmax":
        return [largest]
    return [each, largest] if facts.is_one_hot else [each]


def right_accuracy(output: Output) -> str:
    """The accuracy of this output, as code."""
    if output.anatomy.labels in RIGHT:
        return RIGHT[output.anatomy.labels]
    if output.anatomy.head == "softmax":
        return RIGHT["one-hot"]
    is_logit = output.anatomy.head == "identity" and output.anatomy.takes_logits
    return f"keras.metrics.BinaryAccuracy({'threshold=0' if is_logit else ''})"


def counts_ignored(given: Any, trial: Trial) -> Finding:
    output = trial.output
    share = float((trial.y == output.anatomy.ignored).mean())
    return note(
        METRIC,
        f"{name_of(given)!r} counts the class {output.anatomy.ignored}, which the loss ignores, as wrong: "
        f"{share:.0%} of the labels.",
        f"It cannot exceed {1 - share:.3f}.",
        "sample_weight of 0 there, and weighted_metrics",
        output,
    )


def judged_reading(given: Any, metric: Any, trial: Trial) -> Finding | None:
    """A metric of probabilities on what the model gives, beside the same on probabilities."""
    output = trial.output
    reference = on_probabilities(metric)
    if reference is None:
        return None
    value, truth = value_of(metric, trial.y, trial.given), value_of(reference, trial.y, trial.probabilities)
    if abs(value - truth) <= TOLERANCE * max(abs(truth), 1):
        return fine(METRIC, f"{name_of(given)!r} reads the output for what it is", output)
    return fault(
        METRIC,
        f"{name_of(given)!r} is {value:.3f} on the output, and {truth:.3f} on the probabilities that the "
        "loss makes of it (made-up outputs, these labels).",
        "The output is a logit, and the metric takes it for a probability, or the other way.",
        told_logits(metric),
        output,
    )


def on_probabilities(metric: Any) -> Any:
    """The same metric as it is for probabilities; None where its thresholds are the user's own."""
    config = metric.get_config()
    if "from_logits" in config:
        config["from_logits"] = False
    thresholds = np.atleast_1d(config.get("thresholds") if config.get("thresholds") is not None else 0.5)
    if thresholds.size == 1 and not isinstance(metric, M.AUC):
        if thresholds[0] not in (0, 0.5):
            return None
        if "thresholds" in config:
            config["thresholds"] = None
    return type(metric).from_config(config)


def told_logits(metric: Any) -> str:
    """How a metric is told that it gets logits, as code."""
    name = type(metric).__name__
    if "from_logits" in metric.get_config():
        return f"keras.metrics.{name}(from_logits={not metric.get_config()['from_logits']})"
    return f"keras.metrics.{name}(thresholds=0), or probabilities"


def refused(given: Any, error: Exception, output: Output) -> Finding | None:
    """A metric of Keras that cannot take these labels; one of the user's own may want what is not here."""
    if not isinstance(given, str) and not is_of_keras(type(given)):
        return None
    return fault(
        METRIC,
        f"{name_of(given)!r} refuses these labels and outputs: {first_line(error)[:160]}",
        "Training would stop at its first step.",
        in_its_place(given, output),
        output,
    )


def in_its_place(given: Any, output: Output) -> str:
    """What takes these labels, as code."""
    facts = LabelFacts(output.labels, output) if output.labels is not None else None
    if not has_classes(output):
        return 'metrics=["mean_absolute_error"]'
    if facts and facts.form == "classes" and isinstance(given, M.IoU) and given.sparse_y_pred:
        return (
            f"keras.metrics.{type(given).__name__}(…, sparse_y_pred=False): the output has a column a class"
        )
    if facts and isinstance(given, M.FBetaScore):
        one_hot = f"keras.utils.to_categorical(y, {output.units})"
        return f"y = {'y[:, None]' if output.units == 1 else one_hot}, or metrics=[{right_accuracy(output)}]"
    return f"metrics=[{right_accuracy(output)}]"


def name_of(given: Any) -> str:
    return given if isinstance(given, str) else str(getattr(given, "name", getattr(given, "__name__", given)))


# --- a regression's ---------------------------------------------------------------------------------------


def of_regression(output: Output, metrics: Sequence[Any]) -> Iterator[Finding]:
    """An accuracy of numbers that are no classes: it is no 1 where every prediction is perfect."""
    y, predictions = output.labels, output.predictions
    assert y is not None
    if predictions is None or not np.isfinite(y).all():
        return
    perfect = y[:ROWS].astype("float32")
    if perfect.ndim == predictions.ndim - 1 and predictions.shape[-1] == 1:
        perfect = perfect[..., None]
    if perfect.shape[1:] != predictions.shape[1:]:
        return
    for given in metrics:
        finding = accuracy_of_numbers(given, perfect, output)
        if finding:
            yield finding


def accuracy_of_numbers(given: Any, perfect: np.ndarray, output: Output) -> Finding | None:
    metric = metric_for(fresh(given), perfect, perfect)
    if not isinstance(metric, ACCURACIES):
        return None
    value, of = value_of(metric, perfect, perfect), "that are exactly the labels"
    if value > 1 - TOLERANCE:
        if not isinstance(metric, M.CategoricalAccuracy) or not are_wide_numbers(output, perfect):
            return None
        value, of = value_of(metric, perfect, perfect + 100), "that are all wrong by 100"
    return fault(
        METRIC,
        f"{name_of(given)!r}, which Keras makes {type(metric).__name__}, is {value:.3f} for predictions "
        f"{of}.",
        "The labels are numbers, and no classes: an accuracy says nothing of them.",
        'metrics=["mean_absolute_error"]',
        output,
    )


def are_wide_numbers(output: Output, y: np.ndarray) -> bool:
    """Whether columns under a loss of Keras hold numbers that name no class.

    Classes may be written as any two numbers, such as -1 and 1, and as shares that sum to 1.
    """
    loss = output.anatomy.loss
    is_known = is_of_keras(loss if hasattr(loss, "__name__") else type(loss))
    if not is_known or y.ndim < 2 or y.shape[-1] < 2 or len(np.unique(y)) <= 2:
        return False
    return not LabelFacts(y, output).sums_to_one
