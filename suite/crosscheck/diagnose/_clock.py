"""The time that a diagnosis takes."""

from __future__ import annotations

import time


class Clock:
    """Seconds since it was made; where others use the machine too, those in which this process ran.

    So what is skipped for want of time hardly depends on what else runs. At least an eighth of the time by
    the clock on the wall counts, for on an accelerator the process only waits.
    """

    def __init__(self) -> None:
        self.began = time.monotonic(), time.process_time()

    def spent(self) -> float:
        wall, own = time.monotonic() - self.began[0], time.process_time() - self.began[1]
        return max(min(wall, own), wall / 8)
