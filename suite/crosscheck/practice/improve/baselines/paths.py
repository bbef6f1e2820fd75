"""A gradient on every path. Confident mistakes must keep their gradient however the loss is reached.

The grid runs eager, compiled, by XLA and through `fit`, in float32, bfloat16 and float16. `head` is the layer
of the grid's model ("dense" has a sigmoid in it, "logits" none); `loss` takes its outputs, [B, 1], and gives
a value per example. Keep the gradient of every mistake, to within a tenth, on every path.
"""

import keras

from crosscheck.practice.improve.gradients import try_out

head = "dense"


def loss(y_true, y_pred):
    """Labels and outputs of the head, [B, 1] each, to a value per example, [B]."""
    return keras.losses.binary_crossentropy(y_true, y_pred)


if __name__ == "__main__":
    try_out(head, loss)
