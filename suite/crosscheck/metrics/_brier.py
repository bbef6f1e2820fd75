"""The Brier score and what it is made of."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from crosscheck.metrics._base import (
    Examples,
    ProbabilityMetric,
    equal_width,
    member_of,
    one_of,
    per_count,
    positive,
)

TERMS = ("score", "reliability", "resolution", "uncertainty", "within")


@keras.saving.register_keras_serializable(package="crosscheck")
class BrierScore(ProbabilityMetric):
    """mean (p − y)² of a single output, on the scale 0…1; mean Σ_k (p_k − y_k)² of K ≥ 2, on the scale 0…2.

    Class by class, forecasts p are grouped into equal-width bins (b/B, (b+1)/B], and exactly

        score = reliability − resolution + uncertainty + within,

        reliability  Σ_b (n_b/N) (p̄_b − ȳ_b)²    how far forecasts are from what happened: calibration
        resolution   Σ_b (n_b/N) (ȳ_b − ȳ)²      how far the bins' outcomes lie apart
        uncertainty  mean y² − ȳ²                that of the labels; ȳ (1 − ȳ) for hard ones
        within       Σ_b (n_b/N) (var_b p − 2 cov_b(p, y))

    summed over classes. Murphy's three terms add up alone only where each bin holds a single forecast;
    `within` is what binning leaves out (Stephenson et al.). It may be negative, and shrinks as bins are
    added.

    Args:
        bins: B, over [0, 1].
        term: which of the five `result` returns, so that each can stand in `compile(metrics=[…])`.
        from_logits: whether predictions are logits.
        name, dtype: as in `keras.metrics.Metric`; float32 or float64.

    Raises:
        ValueError: for an unknown term or bins that are no positive number.

    Source: Brier 1950; Murphy 1973; Stephenson, Coelho and Jolliffe 2008.
    """

    count: Any
    forecast: Any
    outcome: Any
    outcome_square: Any
    error: Any

    def __init__(
        self,
        bins: int = 15,
        term: str = "score",
        from_logits: bool = False,
        name: str | None = None,
        dtype: Any = None,
    ):
        self.bins, self.term = positive("bins", bins), one_of("term", term, TERMS)
        default = "brier_score" if term == "score" else f"brier_{term}"
        super().__init__(from_logits=from_logits, name=name or default, dtype=dtype)
        self.counted = False

    def accumulate(self, batch: Examples) -> None:
        first = 1 if batch.binary else 0  # the score of a single output is that of its class 1
        y, p = batch.labels[:, first:], batch.probabilities[:, first:]  # [n, C]
        if not self.counted:
            self.add_sums((p.shape[-1], self.bins), "count", "forecast", "outcome", "outcome_square", "error")
            self.counted = True
        inside = member_of(p, *equal_width(self.bins)) * batch.weight[:, None, None]  # [n, C, bins]
        sums = (
            (self.count, ops.ones_like(p)),
            (self.forecast, p),
            (self.outcome, y),
            (self.outcome_square, y * y),
            (self.error, ops.square(p - y)),
        )
        for total, value in sums:
            total.assign(total + ops.sum(inside * value[..., None], axis=0))

    def terms(self) -> dict[str, Any]:
        """Returns the five terms by name, as scalar tensors."""
        if not self.counted:
            return dict.fromkeys(TERMS, ops.full((), float("nan"), self.dtype))
        count = ops.convert_to_tensor(self.count)  # [C, bins]
        n = ops.sum(count, axis=-1, keepdims=True)  # [C, 1]
        forecast, outcome = (per_count(total, count) for total in (self.forecast, self.outcome))
        mean = ops.sum(self.outcome, axis=-1, keepdims=True) / n
        score = ops.sum(self.error / n)
        reliability = ops.sum(count / n * ops.square(forecast - outcome))
        resolution = ops.sum(count / n * ops.square(outcome - mean))
        uncertainty = ops.sum(ops.sum(self.outcome_square, axis=-1, keepdims=True) / n - ops.square(mean))
        # Equal to Σ_b (n_b/N) (var_b p − 2 cov_b(p, y)), for mean_b (p − y)² = (p̄ − ȳ)² + var_b(p − y).
        within = score - reliability + resolution - uncertainty
        return dict(zip(TERMS, (score, reliability, resolution, uncertainty, within), strict=True))

    def decomposition(self) -> dict[str, float]:
        """Returns the five terms by name, as numbers."""
        return {name: float(ops.convert_to_numpy(value)) for name, value in self.terms().items()}

    def result(self) -> Any:
        return self.terms()[self.term]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "bins": self.bins, "term": self.term}
