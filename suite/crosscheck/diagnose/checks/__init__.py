"""The checks: each takes a `Program` and yields its `Finding`s."""

from collections.abc import Callable, Iterator

from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._program import Program

Check = Callable[[Program], Iterator[Finding]]

EXACT: tuple[Check, ...] = ()
STATISTICAL: tuple[Check, ...] = ()
