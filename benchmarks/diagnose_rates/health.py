"""Is a program healthy? It is trained as it stands and judged on rows that it has not seen.

No code of diagnose takes part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from benchmarks.diagnose_rates.drafts import Draft, Head, judged_rows
from benchmarks.diagnose_rates.tasks import PAD, Array, Target
from crosscheck.diagnose import Data, Program

TOLERATED_RISE = 0.1  # of the validation loss at the end over its least, in nats: beyond it, it overfits


@dataclass(frozen=True)
class Health:
    """What training made of a program.

    Attributes:
        scores: right answers, or R², one an output; NaN where the outputs are not finite.
        goals: what was to be reached.
        history: of the training.
        error: what Keras said where it refused to train.
    """

    scores: tuple[float, ...]
    goals: tuple[float, ...]
    history: dict[str, list[float]]
    error: str = ""

    @property
    def is_reached(self) -> bool:
        pairs = zip(self.scores, self.goals, strict=True)
        return not self.error and all(score >= goal for score, goal in pairs)

    @property
    def overfits(self) -> bool:
        """Whether the validation loss has risen by the end."""
        losses = self.history.get("val_loss", [])
        return bool(losses) and losses[-1] > min(losses) + TOLERATED_RISE


def trained(draft: Draft, program: Program) -> Health:
    """Trains the program as `fit` would. Its model is changed: build another one to examine."""
    goals = tuple(target.goal for target in draft.task.targets)
    try:
        history = fit(program)
    except Exception as error:  # whatever Keras refuses with
        return Health((), goals, {}, f"{type(error).__name__}: {str(error)[:200]}")
    rows = judged_rows(draft)
    x = [array[rows] for array in draft.task.x]
    predicted = program.model(x[0] if len(x) == 1 else x, training=False)
    outputs = [keras.ops.convert_to_numpy(output) for output in keras.tree.flatten(predicted)]
    triples = zip(draft.task.targets, draft.heads, outputs, strict=True)
    return Health(tuple(score(t, h, p, rows) for t, h, p in triples), goals, history)


def fit(program: Program) -> dict[str, list[float]]:
    """One call of `fit` with the program's arguments; its history."""
    training, validation = program.training, program.validation
    told: Any = validation and arrays(validation)
    ran = program.model.fit(
        training.x,
        training.y,
        sample_weight=training.sample_weight,
        batch_size=program.batch_size,
        epochs=program.epochs,
        validation_data=told,
        validation_split=program.validation_split,
        shuffle=program.shuffle,
        class_weight=program.class_weight,
        verbose=0,
    )
    return {name: [float(v) for v in values] for name, values in ran.history.items()}


def arrays(data: Data) -> tuple[Any, ...]:
    return (data.x, data.y) if data.sample_weight is None else (data.x, data.y, data.sample_weight)


def score(target: Target, head: Head, predicted: Array, rows: Array) -> float:
    """The share of right answers, or R²; NaN where a prediction is not finite."""
    y = target.y[rows]
    if not np.isfinite(predicted).all():
        return float("nan")
    if target.kind == "values":
        return 1 - float(((predicted - y) ** 2).sum() / ((y - y.mean(0)) ** 2).sum())
    threshold = 0.0 if head.is_logits else 0.5
    if target.kind == "labels":
        return float(np.mean((predicted > threshold) == (y > 0.5)))
    answers = predicted[..., 0] > threshold if predicted.shape[-1] == 1 else predicted.argmax(-1)
    return float((answers == y)[y != PAD].mean())


def cleared() -> None:
    """Forgets the models of before, which Keras keeps."""
    keras.backend.clear_session()
