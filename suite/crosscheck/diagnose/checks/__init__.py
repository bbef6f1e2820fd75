"""The checks: each takes a `Program` and yields its `Finding`s."""

from collections.abc import Callable, Iterator

from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._laboratory import Laboratory
from crosscheck.diagnose._program import Program
from crosscheck.diagnose._suspicions import Suspicion
from crosscheck.diagnose.checks.activity import ACTIVITY
from crosscheck.diagnose.checks.arguments import arguments
from crosscheck.diagnose.checks.head import head
from crosscheck.diagnose.checks.history import HISTORY as HISTORY
from crosscheck.diagnose.checks.inputs import inputs
from crosscheck.diagnose.checks.labels import labels
from crosscheck.diagnose.checks.layers import layers
from crosscheck.diagnose.checks.metrics import metrics
from crosscheck.diagnose.checks.one_step import MODES
from crosscheck.diagnose.checks.one_step import ONE_STEP as ONE_STEP
from crosscheck.diagnose.checks.signals import SIGNALS
from crosscheck.diagnose.checks.splits import splits
from crosscheck.diagnose.checks.training import TRAINING
from crosscheck.diagnose.checks.weights import weights

Check = Callable[[Program], Iterator[Finding]]
Trial = Callable[[Laboratory], Iterator[Finding | Suspicion]]

EXACT: tuple[Check, ...] = (inputs, labels, head, arguments, layers, weights, splits, metrics)
STATISTICAL: tuple[Trial, ...] = (*SIGNALS, *TRAINING, *ACTIVITY, *MODES)
