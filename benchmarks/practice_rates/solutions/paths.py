"""No activation in the head, and a loss of logits."""

from crosscheck.losses import binary_crossentropy

head = "logits"
loss = binary_crossentropy
