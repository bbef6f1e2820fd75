"""The checks: each takes a `Program` and yields its `Finding`s."""

from collections.abc import Callable, Iterator

from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._laboratory import Laboratory
from crosscheck.diagnose._program import Program
from crosscheck.diagnose._suspicions import Suspicion
from crosscheck.diagnose.checks.activity import ACTIVITY
from crosscheck.diagnose.checks.history import HISTORY as HISTORY
from crosscheck.diagnose.checks.one_step import MODES
from crosscheck.diagnose.checks.one_step import ONE_STEP as ONE_STEP
from crosscheck.diagnose.checks.signals import SIGNALS
from crosscheck.diagnose.checks.training import TRAINING

Check = Callable[[Program], Iterator[Finding]]
Trial = Callable[[Laboratory], Iterator[Finding | Suspicion]]

EXACT: tuple[Check, ...] = ()
STATISTICAL: tuple[Trial, ...] = (*SIGNALS, *TRAINING, *ACTIVITY, *MODES)
