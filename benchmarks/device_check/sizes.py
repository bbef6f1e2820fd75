"""How much each section of the device check does, and how long it may take. It imports no backend."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """What is run.

    Attributes:
        replicates: R, in turn.
        examples: N of the perceptron and of the network of convolutions; `batch`: examples a step.
        epochs: that are timed.
        logits: down the paths; `losses`: which.
        images: N of the wide network; `depth`, `width`: its own; `image_batch`: images a step.
        repeated: R of what is trained twice.
        limited: bytes of a plan that has to cut its replicates into blocks.
        most_epochs: of the wide network; fewer where time is up.
    """

    replicates: tuple[int, ...] = (1, 4, 16, 64, 256, 1024, 4096)
    examples: int = 1792
    batch: int = 64
    epochs: int = 4
    logits: tuple[float, ...] = (0, 1, 2, 5, 10, 15, 20, 30, 40, 60, 88, 100, 1000, 9984)
    losses: tuple[str, ...] = ("binary", "categorical", "sparse")
    images: int = 4096
    depth: int = 40
    width: int = 2
    image_batch: int = 128
    repeated: int = 64
    limited: int = 2**26
    most_epochs: int = 1000


TINY = Sizes(
    replicates=(2,),
    examples=40,
    batch=16,
    epochs=1,
    logits=(0, 5, 20),
    losses=("binary",),
    images=16,
    depth=10,
    width=1,
    image_batch=8,
    repeated=2,
    limited=2**18,
    most_epochs=2,
)
# Of the time that a backend has. Determinism is a section twice, for its switches are read at the start.
SHARES = {
    "replicates": 0.4,
    "memory": 0.08,
    "paths": 0.16,
    "wide network": 0.2,
    "as it comes": 0.08,
    "deterministic": 0.08,
}
BUDGET = 450.0  # seconds, of all backends together: under eight minutes with what starting takes
TINY_BUDGET = 3600.0  # every line is to run, however slow the machine
EXTRA = {
    "paths": {"JAX_ENABLE_X64": "1"},
    "deterministic": {"XLA_FLAGS": "--xla_gpu_deterministic_ops=true", "TF_DETERMINISTIC_OPS": "1"},
}
