"""Wide residual networks for small colour images, as published; they end in logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

MEAN, SPREAD = (0.4914, 0.4824, 0.4467), (0.2471, 0.2435, 0.2616)  # of CIFAR-10's training pixels, by channel
GROUPS = ((16, 1), (32, 2), (64, 2))  # filters at width 1, and stride


def wide_resnet(
    shape: Sequence[int],
    classes: int,
    depth: int = 40,
    width: int = 2,
    dropout: float = 0.3,
    decay: float = 5e-4,
    policy: str = "float32",
) -> Callable[[], keras.Model]:
    """A builder of a WRN-`depth`-`width`: uint8 images [B, height, width, 3] to logits [B, K], float32.

    Args:
        shape: height, width, channels of an image.
        classes: K.
        depth: 6 n + 4, for n blocks of two convolutions in each of three groups.
        width: the groups have 16, 32 and 64 filters times this.
        dropout: between the convolutions of a block.
        decay: d, the rate of decay of every parameter, biases and scales too: the loss gains d/2 · Σw².
        policy: dtype policy of all but normalising the pixels and the head.

    Raises:
        ValueError: for a depth that is not 6 n + 4, n ≥ 1.

    Source: Zagoruyko & Komodakis 2016, with dropout.
    """
    blocks, rest = divmod(depth - 4, 6)
    if rest or blocks < 1:
        raise ValueError(f"`depth` must be 6 n + 4 (10, 16, 22, … 40), not {depth}.")
    parts = Parts(decay, policy)

    def build() -> keras.Model:
        x = keras.Input(tuple(shape), dtype="uint8")
        scale, offset = [1 / (255 * s) for s in SPREAD], [-m / s for m, s in zip(MEAN, SPREAD, strict=True)]
        h = parts.convolution(16)(keras.layers.Rescaling(scale, offset, dtype="float32")(x))
        for filters, stride in GROUPS:
            for i in range(blocks):
                h = parts.block(h, filters * width, 1 if i else stride, dropout)
        h = keras.layers.GlobalAveragePooling2D(dtype=policy)(parts.activated(h))
        return keras.Model(x, parts.head(classes)(h))

    return build


class Parts:
    """What the network is made of, all under one rate of decay and one dtype policy."""

    def __init__(self, decay: float, policy: str):
        self.decay, self.policy = decay, policy

    def penalty(self) -> keras.regularizers.Regularizer:
        """d/2 · Σw²: Keras' L2 is without the ½."""
        return keras.regularizers.L2(self.decay / 2)

    def convolution(self, filters: int, size: int = 3, stride: int = 1) -> keras.layers.Layer:
        """`size` × `size` without bias, initialised as He et al. 2015 do, by fan-out; unpadded if strided."""
        initializer = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
        return keras.layers.Conv2D(
            filters,
            size,
            stride,
            padding="valid" if stride > 1 else "same",
            use_bias=False,
            kernel_initializer=initializer,
            kernel_regularizer=self.penalty(),
            dtype=self.policy,
        )

    def strided(self, h: Any, filters: int, stride: int) -> Any:
        """3 × 3, a border of one pixel on all sides: Keras' own padding of a stride pads on two alone."""
        padded = keras.layers.ZeroPadding2D(1, dtype=self.policy)(h) if stride > 1 else h
        return self.convolution(filters, 3, stride)(padded)

    def activated(self, h: Any) -> Any:
        """ReLU of batch normalisation."""
        normalise = keras.layers.BatchNormalization(
            momentum=0.9,
            epsilon=1e-5,
            gamma_regularizer=self.penalty(),
            beta_regularizer=self.penalty(),
            dtype=self.policy,
        )
        return keras.layers.ReLU(dtype=self.policy)(normalise(h))

    def block(self, h: Any, filters: int, stride: int, dropout: float) -> Any:
        """Two convolutions beside a shortcut; where the number of filters changes, the shortcut is 1 × 1."""
        first = self.activated(h)
        inner = self.activated(self.strided(first, filters, stride))
        inner = keras.layers.Dropout(dropout, dtype=self.policy)(inner)
        inner = self.convolution(filters)(inner)
        shortcut = h if h.shape[-1] == filters else self.convolution(filters, 1, stride)(first)
        return keras.layers.Add(dtype=self.policy)([inner, shortcut])

    def head(self, classes: int) -> keras.layers.Layer:
        """In float32 whatever the policy: an energy of −23 would be rounded to an eighth in bfloat16."""
        initializer = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
        return keras.layers.Dense(
            classes,
            kernel_initializer=initializer,
            kernel_regularizer=self.penalty(),
            bias_regularizer=self.penalty(),
            dtype="float32",
        )
