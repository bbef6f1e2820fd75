"""The checks: each takes a `Program` and yields its `Finding`s."""

from collections.abc import Callable, Iterator

from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._program import Program
from crosscheck.diagnose.checks.arguments import arguments
from crosscheck.diagnose.checks.head import head
from crosscheck.diagnose.checks.inputs import inputs
from crosscheck.diagnose.checks.labels import labels
from crosscheck.diagnose.checks.layers import layers
from crosscheck.diagnose.checks.metrics import metrics
from crosscheck.diagnose.checks.splits import splits
from crosscheck.diagnose.checks.weights import weights

Check = Callable[[Program], Iterator[Finding]]

EXACT: tuple[Check, ...] = (inputs, labels, head, arguments, layers, weights, splits, metrics)
STATISTICAL: tuple[Check, ...] = ()
