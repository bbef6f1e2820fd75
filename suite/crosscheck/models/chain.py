"""A classifier chain: dependent binary labels with one output each, where 2^L outcomes are too many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck import information
from crosscheck.losses import binary_crossentropy, computed, within_limit


@keras.saving.register_keras_serializable(package="crosscheck")
class ClassifierChain(keras.Model):
    """P(y | x) = Π_l P(y_l | x, y_<l), each factor a logistic regression on features and the labels before.

    The logit of label l is w_l · h(x) + b_l + Σ_{k before l} A_kl y_k, with h the `features`. Every law of
    the labels is a product of such conditionals, in any order; that their logits are linear in the labels
    before is exact for two labels without features, and elsewhere an approximation that depends on the order.

    Called with the true labels, as in training, the model gives every factor's logit at once, and trains with
    the ordinary loss of independent labels::

        chain = ClassifierChain(14)
        chain.compile("adam", BinaryCrossentropy())
        chain.fit([x, y], y)

    That loss is the mean over labels: L times it is the mean of −`log_probability`.

    Args:
        labels: L.
        features: a Keras model or layer h from x, [N, …], to [N, D]; x itself where None.
        order: the labels in the order of the chain, as 0…L−1 where None. Labels go in and come out in their
            own order, whatever the chain's.
        name, dtype, trainable: as in `keras.Model`.

    Raises:
        ValueError: if L < 1, or `order` is no permutation of 0…L−1.

    Source: Read et al. 2011. As `sklearn.multioutput.ClassifierChain` of logistic regressions without
    penalty, but trained as one.
    """

    def __init__(
        self,
        labels: int,
        features: keras.Layer | None = None,
        order: Sequence[int] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.labels, self.features = labels, features
        self.order = [int(label) for label in (range(labels) if order is None else order)]
        if labels < 1 or sorted(self.order) != list(range(labels)):
            raise ValueError(f"`order` must be a permutation of 0…{labels - 1}, not {order}.")
        self.head = keras.layers.Dense(labels, name="head", dtype=self.dtype_policy)
        self.coupling: Any = None

    def build(self, input_shape: Any) -> None:
        shape, _ = input_shape
        if self.features is not None:
            if not self.features.built:
                self.features.build(shape)
            shape = self.features.compute_output_shape(shape)
        self.head.build(shape)
        self.coupling = self.add_weight(
            name="coupling", shape=(self.labels, self.labels), initializer="zeros"
        )
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Logits of P(y_l = 1 | x, y_<l), [N, L], for `[x, y]` with the labels y in {0, 1}, [N, L]."""
        x, y = inputs
        return self.from_features(x) + self.from_labels(y)

    def from_features(self, x: Any) -> Any:
        """Returns the part of the logits that the features give, [N, L]."""
        x = ops.convert_to_tensor(x)
        return self.head(x if self.features is None else self.features(x))

    def from_labels(self, y: Any) -> Any:
        """Returns the part of the logits that the labels before give: y [..., L] to [..., L]."""
        rank = np.argsort(self.order)
        before = ops.convert_to_tensor(rank[:, None] < rank[None, :], dtype=self.coupling.dtype)
        labels = ops.expand_dims(ops.cast(y, self.coupling.dtype), -1)
        return ops.cast(ops.sum(labels * (self.coupling * before), axis=-2), self.compute_dtype)

    def log_probability(self, x: Any, y: Any) -> Any:
        """Returns ln P(y | x) in nats, without approximation: [N]."""
        return log_likelihood(self([x, y]), y)

    def sample(self, x: Any, seed: int | keras.random.SeedGenerator | None = None) -> Any:
        """Returns one draw of all labels for each example, from their joint law: int32 [N, L]."""
        generator = seed if isinstance(seed, keras.random.SeedGenerator) else keras.random.SeedGenerator(seed)
        return self.decoded(x, lambda p: keras.random.uniform(ops.shape(p), seed=generator) < p)

    def greedy(self, x: Any) -> Any:
        """Returns, label by label, the likelier value given those decided before: int32 [N, L].

        This need not be the most probable outcome; where L is small, `joint_probabilities` tells that one.
        """
        return self.decoded(x, lambda p: p > 0.5)

    def decoded(self, x: Any, decide: Any) -> Any:
        """Returns labels decided along the chain; `decide` takes P(y_l = 1 | x, labels so far), [N]."""
        alone = self.from_features(x)
        y = ops.zeros_like(alone)
        for label in self.order:
            p = ops.sigmoid(computed(alone + self.from_labels(y))[:, label])
            column = ops.one_hot(label, self.labels, dtype=y.dtype)
            y = y + ops.expand_dims(ops.cast(decide(p), y.dtype), -1) * column
        return ops.cast(y, "int32")

    def joint_probabilities(self, x: Any) -> Any:
        """Returns P(y | x) of every outcome, counted as in `crosscheck.information.outcomes`: [N, 2^L].

        Raises:
            ValueError: for more than 12 labels.
        """
        outcomes = information.outcomes(within_limit(self.labels)).astype("float32")  # [2^L, L]
        logits = ops.expand_dims(self.from_features(x), 1) + self.from_labels(outcomes)  # [N, 2^L, L]
        return ops.exp(log_likelihood(logits, ops.broadcast_to(outcomes, ops.shape(logits))))

    def marginals(self, x: Any) -> Any:
        """Returns P(Y_l = 1 | x) of each label, summed over all outcomes of the others: [N, L].

        Raises:
            ValueError: for more than 12 labels, where the mean of many `sample`s estimates them.
        """
        joint = ops.expand_dims(self.joint_probabilities(x), -1)
        return ops.sum(joint * ops.cast(information.outcomes(self.labels), joint.dtype), axis=1)

    def get_config(self) -> dict[str, Any]:
        features = keras.saving.serialize_keras_object(self.features)
        own = {"labels": self.labels, "features": features, "order": list(self.order)}
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> ClassifierChain:
        features = keras.saving.deserialize_keras_object(config["features"], custom_objects)
        return cls(**{**config, "features": features})


def log_likelihood(logits: Any, y: Any) -> Any:
    """Returns Σ_l ln P(y_l), from logits and labels [..., L]: [...]."""
    return -y.shape[-1] * binary_crossentropy(y, logits)
