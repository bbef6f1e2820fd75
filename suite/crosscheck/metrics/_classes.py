"""Metrics of decisions among exclusive classes: balanced accuracy, and the distance in a tree."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from crosscheck.metrics._base import Examples, MeanMetric, ProbabilityMetric, one_of, per_count
from crosscheck.trees import as_levels, tree_distances

OVER = ("examples", "mistakes")
DECISIONS = ("most_probable", "nearest")


def decided(p: Any, places: Any) -> Any:
    """Returns one-hot rows of decisions [n], with a NaN of the probabilities in every place."""
    chosen = ops.one_hot(places, p.shape[-1], dtype=p.dtype)
    return chosen + 0 * ops.sum(p, axis=-1, keepdims=True)


@keras.saving.register_keras_serializable(package="crosscheck")
class BalancedAccuracy(ProbabilityMetric):
    """The mean over classes of the share of each that is recognised: accuracy as if all were as frequent.

    Classes that do not occur are left out of the mean, as scikit-learn leaves them. The decision is the most
    probable class, of equals the first; for a single output, class 1 where p > ½.

    Args:
        from_logits: whether predictions are logits.
        name, dtype: as in `keras.metrics.Metric`; float32 or float64.

    >>> metric = BalancedAccuracy()
    >>> metric.update_state([0, 0, 0, 1], [[0.9, 0.1]] * 4)  # 75 % right, by never saying 1
    >>> float(metric.result())
    0.5
    """

    hits: Any
    count: Any

    def __init__(self, from_logits: bool = False, name: str = "balanced_accuracy", dtype: Any = None):
        super().__init__(from_logits=from_logits, name=name, dtype=dtype)
        self.started = False

    def accumulate(self, batch: Examples) -> None:
        if not self.started:
            self.add_sums((batch.labels.shape[-1],), "hits", "count")
            self.started = True
        p = batch.probabilities
        right = batch.labels * decided(p, ops.argmax(p, axis=-1))
        for total, values in ((self.hits, right), (self.count, batch.labels)):
            total.assign(total + ops.sum(values * batch.weight[:, None], axis=0))

    def result(self) -> Any:
        if not self.started:
            return ops.full((), float("nan"), self.dtype)
        hits, count = ops.convert_to_tensor(self.hits), ops.convert_to_tensor(self.count)
        occurring = ops.sum(ops.cast(count > 0, self.dtype))
        return ops.sum(per_count(hits, count)) / occurring + 0 * ops.sum(count)


@keras.saving.register_keras_serializable(package="crosscheck")
class MeanTreeDistance(ProbabilityMetric, MeanMetric):
    """How far the decided class is from the true one in a tree of classes, on the mean.

    With one level of nodes it is 0 where right, 1 within the node, 2 outside. The mean over mistakes alone is
    not comparable between models: a better one is left with harder examples. Report it second.

    Args:
        tree: K integers, the node of each class, or a list of such levels, as in `crosscheck.trees`.
        over: "examples", the mean over all; or "mistakes", over those that are wrong (NaN where none is).
        decision: "most_probable"; or "nearest", the class of least expected distance under the prediction.
        from_logits: whether predictions are logits.
        name, dtype: as in `keras.metrics.Metric`; float32 or float64.

    Raises:
        ValueError: for a tree that does not nest, or an unknown choice; at the first batch, if the tree is of
            another number of classes.

    Source: Bertinetto et al. 2020, section 4; Karthik et al. 2021 for the decision and the mean over all.

    >>> metric = MeanTreeDistance([0, 0, 1])
    >>> metric.update_state([0, 0, 0], np.eye(3))  # right, beside, outside
    >>> float(metric.result())
    1.0
    """

    def __init__(
        self,
        tree: Any,
        over: str = "examples",
        decision: str = "most_probable",
        from_logits: bool = False,
        name: str = "mean_tree_distance",
        dtype: Any = None,
    ):
        self.tree = as_levels(tree)
        self.over, self.decision = one_of("over", over, OVER), one_of("decision", decision, DECISIONS)
        super().__init__(from_logits=from_logits, name=name, dtype=dtype)

    def accumulate(self, batch: Examples) -> None:
        p, distances = batch.probabilities, tree_distances(self.tree)
        if len(distances) != p.shape[-1]:
            raise ValueError(f"`tree` is of {len(distances)} classes, the predictions of {p.shape[-1]}.")
        table = ops.convert_to_tensor(distances, dtype=p.dtype)
        place = ops.argmax(p, axis=-1) if self.decision == "most_probable" else nearest(p, table)
        chosen = decided(p, place)
        distance = ops.sum(ops.matmul(batch.labels, table) * chosen, axis=-1)
        wrong = 1 - ops.sum(batch.labels * chosen, axis=-1)
        counted = ops.ones_like(wrong) if self.over == "examples" else wrong
        self.total.assign(self.total + ops.sum(distance * batch.weight))
        self.weight.assign(self.weight + ops.sum(counted * batch.weight))

    def get_config(self) -> dict[str, Any]:
        own = {"tree": self.tree, "over": self.over, "decision": self.decision}
        return {**super().get_config(), **own}


def nearest(p: Any, table: Any) -> Any:
    """Returns the class of least expected distance, of equals the first: [n, K] to [n]."""
    return ops.argmin(ops.matmul(p, table), axis=-1)
