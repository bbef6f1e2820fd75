"""Which optimisers may move all replicates at once: those that act element by element."""

from __future__ import annotations

import keras
import numpy as np

from crosscheck.optimizers import Proximal

ELEMENTWISE = (
    keras.optimizers.SGD,
    keras.optimizers.RMSprop,
    keras.optimizers.Adam,
    keras.optimizers.AdamW,
    keras.optimizers.Adagrad,
    keras.optimizers.Adadelta,
    keras.optimizers.Adamax,
    keras.optimizers.Nadam,
    keras.optimizers.Ftrl,
    keras.optimizers.Lion,
)


def refuse_coupling(optimizer: keras.Optimizer) -> None:
    """Raises a ValueError if one replicate's gradient would change another's step."""
    if isinstance(optimizer, Proximal):  # acts element by element itself
        optimizer = optimizer.optimizer
    norms = [name for name in ("clipnorm", "global_clipnorm") if getattr(optimizer, name, None) is not None]
    if norms:
        reason = f"clips by norm (`{norms[0]}`)"
    elif type(optimizer) in ELEMENTWISE or acts_elementwise(optimizer):
        return
    else:
        reason = f"({type(optimizer).__name__}) does not act element by element"
    raise ValueError(
        f"`optimizer` {reason}, which would couple replicates that are stacked. "
        'Replicates(…, mode="loop") trains the replicates one after the other.'
    )


def acts_elementwise(optimizer: keras.Optimizer) -> bool:
    """Returns whether two steps on two stacked matrices and vectors equal those on each alone."""
    rng = np.random.default_rng(0)
    shapes = ((2, 4, 3), (2, 3))
    start = [rng.normal(size=shape).astype("float32") for shape in shapes]
    steps = [[rng.normal(size=shape).astype("float32") for shape in shapes] for _ in range(2)]
    for gradients in steps:
        for gradient in gradients:
            gradient[1] *= 100
    together = moved(optimizer, start, steps)
    for r in range(2):
        alone = moved(
            optimizer, [value[r] for value in start], [[value[r] for value in step] for step in steps]
        )
        for first, stacked, single in zip(start, together, alone, strict=True):
            if np.abs(stacked[r] - single).max() > 1e-3 * np.abs(single - first[r]).max():
                return False
    return True


def moved(
    optimizer: keras.Optimizer, start: list[np.ndarray], steps: list[list[np.ndarray]]
) -> list[np.ndarray]:
    """Returns where a copy of the optimiser puts variables that begin at `start`, after these gradients."""
    copy = type(optimizer).from_config(optimizer.get_config())
    variables = [keras.Variable(value) for value in start]
    copy.build(variables)
    for gradients in steps:
        copy.apply([keras.ops.convert_to_tensor(gradient) for gradient in gradients], variables)
    return [keras.ops.convert_to_numpy(variable) for variable in variables]
