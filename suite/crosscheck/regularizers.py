"""Priors on weights as Keras regularisers, given in the prior's own units: τ, or b, and N.

The log posterior of weights w after N examples is −Σ_n ℓ_n(w) + ln prior(w). Keras averages the loss over the
batch, so the prior's share of it is −ln prior(w) / N: the N is part of Keras' λ. Left out, λ = 1/(2τ²) is the
prior N times over, as narrow as one of standard deviation τ/√N.

In minibatches each step's mean loss is an unbiased estimate of the mean over all N examples, whatever the
batch size, so that with the same penalty at every step its gradient estimates that of −ln posterior / N.
(Exactly so over an epoch whose batches are all of one size; a shorter last one weighs as much as a whole.)
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

__all__ = ["GaussianPrior", "LaplacePrior", "Prior"]

REDUCTIONS = ("sum_over_batch_size", "sum")


class Prior(keras.regularizers.Regularizer):
    """What both priors share: the number of examples that the loss of a step stands for.

    Args:
        n: N, the number of training examples.
        reduction: how the loss is reduced: "sum_over_batch_size", Keras' default, is the mean; "sum" adds up
            a step's examples.
        batch_size: examples a step, used for "sum" alone; all N where None.

    Raises:
        ValueError: if n or batch_size is below 1, or the reduction is neither of the two.
    """

    def __init__(self, n: int, reduction: str, batch_size: int | None):
        if not n >= 1:
            raise ValueError(f"`n`, the number of training examples, must be at least 1, not {n}.")
        if reduction not in REDUCTIONS:
            raise ValueError(f"`reduction` must be one of {', '.join(REDUCTIONS)}, not {reduction!r}.")
        if batch_size is not None and not batch_size >= 1:
            raise ValueError(f"`batch_size` must be at least 1, not {batch_size}.")
        self.n, self.reduction, self.batch_size = n, reduction, batch_size

    @property
    def share(self) -> float:
        """The share of Σ_n ℓ_n that a step's loss is on average: 1/N of it if averaged, B/N if summed."""
        return (self.batch_size or self.n) / self.n if self.reduction == "sum" else 1 / self.n

    def get_config(self) -> dict[str, Any]:
        return {"n": self.n, "reduction": self.reduction, "batch_size": self.batch_size}


@keras.saving.register_keras_serializable(package="crosscheck")
class GaussianPrior(Prior):
    """The prior N(0, τ²) on each weight: ‖w‖² / (2τ²N) beside a loss that is averaged.

    −ln N(w; 0, τ²I) is ‖w‖²/(2τ²) plus (D/2) ln(2πτ²) for D weights; that constant is left out, and a share
    of the rest (`Prior`) is the penalty. The optimum is the maximum a posteriori, that of
    `sklearn.linear_model.LogisticRegression(C=tau**2)`.

    On the weights of a layer, `kernel_regularizer=GaussianPrior(tau, n)`. As `activity_regularizer` it would
    be a prior on outputs, another model: see the study `gaussian_prior`.

    Args:
        tau: τ, the standard deviation, in the weights' units.
        n, reduction, batch_size: as in `Prior`.

    Raises:
        ValueError: if tau is not above 0; and as `Prior` does.

    Source: Advanced Perspectives and Applications; problem 3103388.

    >>> GaussianPrior(tau=0.5, n=100).l2  # 1 / (2 τ² N)
    0.02
    """

    def __init__(
        self, tau: float, n: int, reduction: str = "sum_over_batch_size", batch_size: int | None = None
    ):
        super().__init__(n, reduction, batch_size)
        if not tau > 0:
            raise ValueError(f"`tau`, the prior's standard deviation, must be above 0, not {tau}.")
        self.tau = tau

    @property
    def l2(self) -> float:
        """Keras' λ, as in `keras.regularizers.L2(l2)`, where it is rounded to float32."""
        return self.share / (2 * self.tau**2)

    def __call__(self, x: Any) -> Any:
        return self.l2 * ops.sum(ops.square(x))

    def get_config(self) -> dict[str, Any]:
        return {"tau": self.tau, **super().get_config()}


@keras.saving.register_keras_serializable(package="crosscheck")
class LaplacePrior(Prior):
    """The prior Laplace(0, b) on each weight: ‖w‖₁ / (bN) beside a loss that is averaged.

    −ln Laplace(w; 0, b) is ‖w‖₁/b plus D ln(2b) for D weights; that constant is left out, and a share of the
    rest (`Prior`) is the penalty. Its slope at 0 is taken as 0, as by Keras' own L1.

    As a penalty alone, under SGD or Adam, it makes no weight exactly zero (study `laplace_prior`): a gradient
    step hits zero by chance only. For zeros, leave the layer without and give the prior to the optimiser,
    `crosscheck.optimizers.Proximal(optimizer, l1=LaplacePrior(b, n).l1)`.

    Args:
        scale: b, in the weights' units; the standard deviation is b√2.
        n, reduction, batch_size: as in `Prior`.

    Raises:
        ValueError: if scale is not above 0; and as `Prior` does.

    Source: Advanced Perspectives and Applications; problem 3103435.

    >>> LaplacePrior(scale=0.5, n=100).l1  # 1 / (b N)
    0.02
    """

    def __init__(
        self, scale: float, n: int, reduction: str = "sum_over_batch_size", batch_size: int | None = None
    ):
        super().__init__(n, reduction, batch_size)
        if not scale > 0:
            raise ValueError(f"`scale`, the prior's b, must be above 0, not {scale}.")
        self.scale = scale

    @property
    def l1(self) -> float:
        """Keras' λ, as in `keras.regularizers.L1(l1)`, where it is rounded to float32."""
        return self.share / self.scale

    def __call__(self, x: Any) -> Any:
        return self.l1 * ops.sum(ops.absolute(x))

    def get_config(self) -> dict[str, Any]:
        return {"scale": self.scale, **super().get_config()}
