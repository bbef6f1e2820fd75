"""The execution-path grid: one and the same loss, reached in every way that a Keras user reaches it.

A path is data; the grid is a table of paths.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass

LOSSES = ("binary", "categorical", "sparse")
# JAX compiles with XLA or not at all, and nobody trains it uncompiled; PyTorch is not compiled by default.
MODES = {
    "tensorflow": ("eager", "graph", "xla", "fit eager", "fit graph", "fit xla"),
    "jax": ("eager", "xla", "fit xla"),
    "torch": ("eager", "fit eager"),
}
POLICIES = ("float64", "float32", "mixed_bfloat16", "mixed_float16")
HEADS = ("dense", "activation", "float32", "reshape", "logits")
ULP = {"float64": 2.0**-52, "float32": 2.0**-23, "mixed_bfloat16": 2.0**-7, "mixed_float16": 2.0**-10}


@dataclass(frozen=True)
class ExecutionPath:
    """How a loss was reached.

    Attributes:
        loss: "binary", "categorical" (one-hot labels) or "sparse" (integer labels).
        backend: "tensorflow", "jax" or "torch".
        device: "cpu" or "gpu".
        mode: "eager", "graph" or "xla" for a direct call; with "fit ", through `train_on_batch`.
        policy: dtype policy of the model.
        head: "dense" (activation in the Dense layer), "activation" (in a layer of its own), "float32" (the
            same in float32), "reshape" (a Reshape behind the first), "logits" (none).
        entry: "probabilities" or "logits".
        implementation: "keras class", "keras function", "keras ops", "keras focal" (the focal class at γ = 0
            and unweighted, which is the same loss; there is none for integer labels) or "ours".
    """

    loss: str
    backend: str
    device: str
    mode: str
    policy: str
    head: str
    entry: str
    implementation: str

    def __str__(self) -> str:
        return "/".join(astuple(self))

    @property
    def trains(self) -> bool:
        """Whether the gradient is read off a step of `train_on_batch`."""
        return self.mode.startswith("fit")

    @property
    def ulp(self) -> float:
        """One unit in the last place, at 1, of the dtype that the user chose: gradients lie within ±1.

        That is the policy's compute dtype, or the float32 of a float32 head. A loss object that computes in
        less, as Keras' do under a float64 policy, is not excused.
        """
        return max(ULP[self.policy], ULP["float32"] if self.head == "float32" else 0.0)


def grid(
    losses: Iterable[str] = LOSSES,
    backend: str = "tensorflow",
    modes: Iterable[str] | None = None,
    policies: Iterable[str] = POLICIES,
    device: str = "cpu",
) -> tuple[ExecutionPath, ...]:
    """All paths of these losses, modes and policies on one backend; all its modes where none are given.

    >>> len(grid(["binary"], "tensorflow", policies=["float32"]))
    81
    >>> print(grid(["sparse"], "torch", ["eager"], ["float32"])[0])
    sparse/torch/cpu/eager/float32/dense/probabilities/keras class
    """
    modes, policies = tuple(MODES[backend] if modes is None else modes), tuple(policies)
    return tuple(
        ExecutionPath(loss, backend, device, mode, policy, head, entry_of(head), implementation)
        for loss in losses
        for mode in modes
        for policy in policies
        for head in HEADS
        for implementation in implementations(loss, mode, head)
    )


def entry_of(head: str) -> str:
    """What the loss is given behind a head: logits or probabilities."""
    return "logits" if head == "logits" else "probabilities"


def implementations(loss: str, mode: str, head: str) -> tuple[str, ...]:
    """The implementations that can be used with a head in a mode.

    Ours takes logits only. `compile` turns Keras' function into its class and is not given an op. The focal
    class is called directly alone, to save time.
    """
    focal = () if loss == "sparse" else ("keras focal",)
    direct_calls = () if mode.startswith("fit") else ("keras function", "keras ops", *focal)
    ours = ("ours",) if head == "logits" else ()
    return ("keras class", *direct_calls, *ours)
