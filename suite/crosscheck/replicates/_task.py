"""What one replicate computes on one batch: what `keras.Model.train_step` does, without side effects.

Forward pass, loss, penalties, optimiser, constraints and metrics are called as Keras' own `train_step` calls
them, on a model that `compile` has set up. A `keras.StatelessScope` stands between them and the model's
variables, so that the same code is a function from values to values, which a backend maps over replicates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import keras
from keras import ops

from crosscheck._keras import (
    assigned_in,
    compiled_metrics,
    compute_loss,
    loss_tracker_of,
    mask_of,
    optimizers_without_side_effects,
    set_mask,
    takes_training,
    versions_of,
)
from crosscheck.optimizers import Proximal
from crosscheck.replicates.backends import current

Values = dict[str, list[Any]]
NUMBERS = ("loss_arguments", "penalty_scale", "optimizer_arguments")


class Task:
    """A compiled model as a function from values to values.

    Args:
        model: built and, unless it only predicts, compiled. Its variables are placeholders.
        numbers: where the model's loss and penalties look for the replicate's own, by `NUMBERS`.
        bare: whether the model only predicts, even if it is compiled.

    Attributes:
        variables: by kind ("trainable", "state", "optimizer", "metrics"), what `Values` stand for.
    """

    def __init__(self, model: keras.Model, numbers: dict[str, Any] | None = None, bare: bool = False):
        self.model, self.numbers = model, {} if numbers is None else numbers
        compiled = model.compiled and not bare
        optimizer: Any = model.optimizer if compiled else None
        self.optimizer = optimizer
        self.variables = {
            "trainable": model.trainable_variables,
            "state": model.non_trainable_variables,
            "optimizer": optimizer.variables if compiled else [],
            "metrics": model.metrics_variables if compiled else [],
        }
        self.logged: set[str] | None = None
        self.known = {id(variable) for kind in self.variables.values() for variable in kind}

    # --- one batch ---------------------------------------------------------------------------------------

    def trained(self, values: Values, batch: Mapping[str, Any], alone: bool = False) -> Values:
        """Returns the values after one step on a batch.

        Args:
            values: of the model's variables, by kind.
            batch: `x`, `y`, `sample_weight`; `real`, the number of examples that count, where the others
                were filled in; and the replicate's own numbers, as in `NUMBERS`.
            alone: whether the values are tensors of one replicate, which no program or map stands for.
        """
        in_place = alone and self.steps_in_place(batch)
        with self.given_numbers(batch):
            objective = lambda weights: self.objective({**values, "trainable": weights}, batch)
            gradients, aside = current().value_and_gradient(objective, alone)(values["trainable"])
            start = {**aside["values"], "trainable": values["trainable"]}
            if in_place:
                start |= {
                    kind: [tensor.clone() for tensor in start[kind]] for kind in ("trainable", "optimizer")
                }
            with self.scope(start) as scope:
                self.report(batch, aside)
                if gradients:
                    with nullcontext() if in_place else optimizers_without_side_effects():
                        self.optimizer.apply(gradients)
                return self.values(scope)

    def steps_in_place(self, batch: Mapping[str, Any]) -> bool:
        """Returns whether the optimiser may change copies of tensors all at once, as PyTorch's do in `fit`.

        Not where it may go back on a step, nor with numbers of a replicate's own, which are tensors.
        """
        kind, numbers = type(self.optimizer), "optimizer_arguments" in batch
        by_torch = kind.__module__.startswith("keras.src.backend.torch.")
        return by_torch and not numbers and not self.optimizer.gradient_accumulation_steps

    def tested(self, values: Values, batch: Mapping[str, Any]) -> Values:
        """Returns the values after an evaluation on a batch; arguments as in `trained`."""
        with self.given_numbers(batch):
            _, aside = self.objective(values, batch, training=False)
            with self.scope(aside["values"]) as scope:
                self.report(batch, aside)
                return self.values(scope)

    def predicted(self, values: Values, x: Any) -> Any:
        """Returns the model's output outside training."""
        with self.scope(values):
            return self.called(x, training=False)

    def finalized(self, values: Values) -> list[Any]:
        """Returns the trained weights as `fit` leaves them at its end: the averages, where there are any."""
        with self.scope(values) as scope, optimizers_without_side_effects():
            self.optimizer.finalize_variable_values(self.model.trainable_weights)
            return self.values(scope)["trainable"]

    def results(self, values: Values) -> dict[str, Any]:
        """Returns loss and metrics by the names under which `fit` logs them."""
        with self.scope(values):
            return dict(self.model.get_metrics_result())

    # --- within ------------------------------------------------------------------------------------------

    def objective(self, values: Values, batch: Mapping[str, Any], training: bool = True) -> tuple[Any, Any]:
        """Returns what to differentiate, and aside the loss, the output and the values after them."""
        with self.scope(values) as scope:
            before = self.weights_in(scope)
            output = self.called(batch["x"], training)
            weight = batch.get("sample_weight")
            if "real" in batch:  # Σ over the examples that count / their number, by a mean over all
                weight = counts(batch) if weight is None else weight * counts(batch)
                weight = weight * (length(batch) / ops.cast(batch["real"], weight.dtype))
            versions = versions_of(weight)
            loss = compute_loss(self.model, batch["x"], batch["y"], output, weight, training)
            if versions_of(weight) != versions and compiled_metrics(self.model)[1]:
                raise NotImplementedError(
                    "The loss changes the sample weights in place, as Keras' own do on PyTorch where a mask "
                    "or `ignore_class` leaves examples out: what `weighted_metrics` see depends on the "
                    "weights' dtype. Replicates(…, mode=\"fit\") trains the replicates by Keras' own `fit`."
                )
            if training:
                self.refuse_assigned(before, self.weights_in(scope))
            scaled = self.optimizer.scale_loss(loss) if training else loss
            masks = {str(i): mask_of(part) for i, part in enumerate(keras.tree.flatten(output))}
            masks = {i: mask for i, mask in masks.items() if mask is not None}
            return scaled, {"loss": loss, "output": output, "masks": masks, "values": self.values(scope)}

    def weights_in(self, scope: keras.StatelessScope) -> list[Any]:
        return [scope.get_current_value(variable) for variable in self.variables["trainable"]]

    def refuse_assigned(self, before: list[Any], after: list[Any]) -> None:
        """Layers that assign to trained weights as they are called: `fit` differentiates from there on.

        Here the gradient would go on through the assignment. On JAX `fit` drops it, and so does this.

        Raises:
            NotImplementedError: where a weight was assigned to, naming it.
        """
        if keras.backend.backend() == "jax":
            return
        for variable, old, new in zip(self.variables["trainable"], before, after, strict=True):
            if old is not new:
                raise NotImplementedError(
                    f'The forward pass assigns to "{variable.path}", a weight that is trained. '
                    'Replicates(…, mode="fit") trains the replicates by Keras\' own `fit`.'
                )

    def called(self, x: Any, training: bool) -> Any:
        """Returns the model's output; `training` only for a `call` that takes it."""
        return self.model(x, training=training) if takes_training(self.model) else self.model(x)

    def report(self, batch: Mapping[str, Any], aside: Mapping[str, Any]) -> None:
        """Updates loss and metrics as Keras does after a step."""
        output, weight = aside["output"], batch.get("sample_weight")
        if (
            keras.backend.backend() == "torch"
        ):  # whose gradient does not hand masks on; JAX' loses them in `fit`
            for i, mask in aside["masks"].items():
                set_mask(keras.tree.flatten(output)[int(i)], mask)
        loss_tracker_of(self.model).update_state(
            aside["loss"], sample_weight=batch.get("real", length(batch))
        )
        if "real" in batch:
            unweighted, weighted = compiled_metrics(self.model)
            for metric in unweighted:
                metric.update_state(batch["y"], output, counts(batch))
            for metric in weighted:
                both = counts(batch) if weight is None else counts(batch) * weight
                metric.update_state(batch["y"], output, both)
            return
        logs = self.model.compute_metrics(batch["x"], batch["y"], output, weight)
        if self.logged is None:  # the same at every step, which `fit` on PyTorch takes one by one
            self.logged = set(self.model.get_metrics_result())
        if set(logs) != self.logged:
            raise NotImplementedError(
                "`compute_metrics` of the model returns other numbers than its metrics hold. "
                'Replicates(…, mode="fit") trains the replicates by Keras\' own `fit`.'
            )

    @contextmanager
    def scope(self, values: Values) -> Iterator[keras.StatelessScope]:
        """Has the model's variables hold these values within the context."""
        pairs = [pair for kind in values for pair in zip(self.variables[kind], values[kind], strict=True)]
        is_torch = keras.backend.backend() == "torch"  # where each step is run, and not traced once
        with keras.StatelessScope([] if is_torch else pairs, collect_losses=True) as scope:
            if is_torch:  # they are tensors of the right kind, which the constructor would convert again
                scope.state_mapping = {id(variable): value for variable, value in pairs}
            yield scope
        strangers = assigned_in(scope) - self.known
        if strangers:
            raise NotImplementedError(
                f"A step assigns to {len(strangers)} variables that belong to neither the model, its metrics "
                "nor its optimiser, such as a variable of a loss: replicates would share them. "
                'Replicates(…, mode="fit") trains the replicates by Keras\' own `fit`.'
            )

    def values(self, scope: keras.StatelessScope) -> Values:
        """Returns what the variables hold in a scope."""
        return {
            kind: [plain_value(scope, variable) for variable in variables]
            for kind, variables in self.variables.items()
        }

    @contextmanager
    def given_numbers(self, batch: Mapping[str, Any]) -> Iterator[None]:
        """Has loss, penalties and optimiser see the replicate's own numbers within the context."""
        self.numbers.update({name: batch[name] for name in NUMBERS if name in batch})
        with ExitStack() as stack:
            inner = getattr(self.optimizer, "inner_optimizer", self.optimizer)  # of a loss scale around it
            for name, value in batch.get("optimizer_arguments", {}).items():
                stack.callback(object.__setattr__, inner, name, getattr(inner, name))
                object.__setattr__(inner, name, value)
            if isinstance(inner, Proximal) and "penalty_scale" in batch:
                stack.enter_context(inner.scaled(batch["penalty_scale"]))
            yield


def plain_value(scope: keras.StatelessScope, variable: keras.Variable) -> Any:
    """Returns the tensor that a scope holds for a variable; its own where the scope has none."""
    value = scope.get_current_value(variable)
    value = variable.value if value is None else value
    return value if ops.is_tensor(value) else ops.convert_to_tensor(value)


def length(batch: Mapping[str, Any]) -> int:
    """Returns the number of examples in a batch, those filled in included."""
    return keras.tree.flatten(batch["x"])[0].shape[0]


def counts(batch: Mapping[str, Any]) -> Any:
    """Returns 1 for each example that counts and 0 for those filled in, [B]."""
    return ops.cast(ops.arange(length(batch), dtype="int32") < batch["real"], keras.config.floatx())
