"""`Proximal`: a wrapper under which any Keras optimiser gives weights that are exactly zero."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
from keras import ops

from crosscheck._keras import share_iterations, trained_variables

__all__ = ["Proximal"]


def soft_threshold(w: Any, threshold: Any) -> Any:
    """Returns S(w, t) = sign(w) max(|w| − t, 0), the proximal step of t‖w‖₁, element by element; t ≥ 0."""
    return ops.sign(w) * ops.maximum(ops.absolute(w) - threshold, 0)


def direction(w: Any, gradient: Any, l1: Any) -> Any:
    """Returns ξ ∈ {−1, 0, 1}: the side of zero on which w is, or to which it would move from zero.

    From zero it moves where |g| exceeds λ, and then to −sign S(g, λ).
    """
    return ops.where(w == 0, -ops.sign(soft_threshold(gradient, l1)), ops.sign(w))


def penalised_gradient(w: Any, gradient: Any, l1: Any) -> Any:
    """Returns the shortest subgradient of loss + λ‖w‖₁: g + λ sign(w), and S(g, λ) where w = 0.

    It is 0 exactly at the optimum: g = −λ sign(w) where w ≠ 0, |g| ≤ λ where w = 0.
    """
    return ops.where(w == 0, soft_threshold(gradient, l1), gradient + l1 * ops.sign(w))


def proximal(w: Any, moved: Any, gradient: Any, l1: Any) -> Any:
    """Returns where the proximal step puts weights that the optimiser moved along the penalised gradient.

    With Δ = moved − w, the penalised gradient d and its share s of the penalty (d = g + λs, |s| ≤ 1), the
    step is S(w + Δ + ts, t) for the threshold t = λ |Δ/d|. This comes to: a weight that stays on its side of
    zero, or leaves zero, stays where the optimiser put it; one that crosses zero becomes S(moved, 2t).
    Where d = 0, t may be taken as large as one likes, so that a zero stays zero, whatever momentum is left.
    """
    slope = penalised_gradient(w, gradient, l1)
    still = slope == 0
    step = ops.absolute((moved - w) / ops.where(still, ops.ones_like(slope), slope))
    crossed = ops.where(
        ops.logical_and(still, l1 > 0), ops.zeros_like(moved), soft_threshold(moved, 2 * l1 * step)
    )
    return ops.where(moved * direction(w, gradient, l1) > 0, moved, crossed)


@keras.saving.register_keras_serializable(package="crosscheck")
class Proximal(keras.optimizers.Optimizer):
    """Minimises loss + λ‖w‖₁ with any Keras optimiser, to weights that are exactly zero.

    The wrapped optimiser is given the gradient g of the loss with the shortest subgradient of the penalty
    (`penalised_gradient`); what it moves across zero is put through the soft threshold
    S(w, t) = sign(w) max(|w| − t, 0) (`proximal`). The threshold is λ times the step that the optimiser took
    per unit of gradient, coordinate by coordinate, measured and not assumed: schedules, bias corrections and
    per-weight scales are contained in it.

    - For plain `SGD` that is learning_rate · λ, and the whole step is S(w − ηg, ηλ): exactly ISTA.
    - For momentum, Adam and any optimiser that rests where its gradient vanishes, the points where it rests
      are exactly the optima of loss + λ‖w‖₁, for every positive threshold. Proof: where w ≠ 0,
      S(w + Δ + t sign w, t) = w means Δ = 0, so d = 0; where w = 0 it means |Δ + ts| ≤ t, which for d ≠ 0,
      s = sign Δ = ±1, is not so, and for d = 0 is.
    - The soft threshold by learning_rate · λ *after* Adam's step on g has no such points for λ < 1: in a
      standstill Adam moves by η g/|g|, so it would come to rest only where ηλ = η. After momentum β it
      comes to rest at the optimum of λ(1 − β).

    In minibatches a zero weight leaves zero where a single batch pulls harder than λ, so let the rate fall;
    accumulated gradients are penalised batch by batch, too. The penalty is no term of the reported loss. Do
    not give the layer an L1 regulariser as well: it would count twice. With weight decay in the wrapped
    optimiser, the fixed points are those of loss, decay and penalty together.

    `Replicates.compile(Proximal(...), penalty_scale=[...])` gives each replicate its own λ · scale.

    Args:
        optimizer: the Keras optimiser to wrap, or its name; unused.
        l1: λ ≥ 0, beside a loss averaged over examples: `LaplacePrior(b, n).l1` is 1/(bN).
        only: which variables: those whose path contains this text, or for which a function of the variable
            says so (to be loaded again it must be registered with Keras). Biases are left alone unless named.
        name: as in `keras.Optimizer`.

    Raises:
        ValueError: if l1 is negative, or, when built, if no variable is concerned.

    Source: ISTA, Beck & Teboulle 2009; the shortest subgradient and the halt at zero, Andrew & Gao 2007.
    """

    def __init__(
        self,
        optimizer: keras.Optimizer | str,
        l1: float,
        only: str | Callable[[Any], bool] = "kernel",
        name: str = "proximal",
    ):
        optimizer = keras.optimizers.get(optimizer)
        if not l1 >= 0:
            raise ValueError(f"`l1` must be at least 0, not {l1}.")
        super().__init__(learning_rate=lambda: optimizer.learning_rate, name=name)
        self.optimizer, self.l1, self.only = optimizer, l1, only
        self.scale: Any = None
        share_iterations(self, optimizer)

    def concerns(self, variable: Any) -> bool:
        """Returns whether the penalty is on this variable."""
        return self.only in variable.path if isinstance(self.only, str) else bool(self.only(variable))

    def build(self, variables: Sequence[Any]) -> None:
        if not any(map(self.concerns, variables)):
            paths = ", ".join(variable.path for variable in variables)
            raise ValueError(f"`only={self.only!r}` concerns none of the variables: {paths}.")
        self.optimizer.build(variables)
        super().build(variables)

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> None:
        variables = list(trained_variables(self) if trainable_variables is None else trainable_variables)
        if not self.built:
            self.build(variables)
        grads = list(grads)
        before = {
            i: (ops.copy(variable.value), ops.cast(dense(grads[i]), variable.dtype))
            for i, variable in enumerate(variables)
            if grads[i] is not None and self.concerns(variable)
        }
        for i, (w, gradient) in before.items():
            grads[i] = penalised_gradient(w, gradient, self.strength(w))
        self.optimizer.apply(grads, variables)
        for i, (w, gradient) in before.items():
            moved = ops.convert_to_tensor(variables[i].value)
            variables[i].assign(proximal(w, moved, gradient, self.strength(w)))

    def strength(self, w: Any) -> Any:
        """Returns λ in the gradients' scale, to broadcast against w: one number, or one a replicate."""
        l1 = ops.convert_to_tensor(self.l1 * (self.optimizer.loss_scale_factor or 1.0), dtype=w.dtype)
        if self.scale is None:
            return l1
        scale = ops.cast(self.scale, w.dtype)
        return l1 * ops.reshape(scale, (*scale.shape, *[1] * (len(w.shape) - len(scale.shape))))

    @contextmanager
    def scaled(self, scale: Any) -> Iterator[None]:
        """Multiplies λ within the context by a scalar, or by a vector [R] along the weights' leading axis."""
        self.scale = scale
        try:
            yield
        finally:
            self.scale = None

    # --- the rest is the wrapped optimiser's --------------------------------------------------------

    @property
    def variables(self) -> list[Any]:
        return self.optimizer.variables

    @property
    def iterations(self) -> Any:
        return self.optimizer.iterations

    @property
    def learning_rate(self) -> Any:
        return self.optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        self.optimizer.learning_rate = learning_rate

    def scale_loss(self, loss: Any) -> Any:
        return self.optimizer.scale_loss(loss)

    def finalize_variable_values(self, var_list: Any) -> None:
        self.optimizer.finalize_variable_values(var_list)

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        only = self.only if isinstance(self.only, str) else serialize(self.only)
        return {"optimizer": serialize(self.optimizer), "l1": self.l1, "only": only, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Proximal:
        deserialize = keras.saving.deserialize_keras_object
        parts = {
            part: deserialize(config[part], custom_objects=custom_objects) for part in ("optimizer", "only")
        }
        return cls(**{**config, **parts})


def dense(gradient: Any) -> Any:
    """Returns a gradient as one tensor: that of an embedding comes as slices on TensorFlow, to be summed."""
    return ops.convert_to_tensor(gradient)
