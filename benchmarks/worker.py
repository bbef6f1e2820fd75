"""One process, one backend: takes requests as JSON lines, answers with seconds."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks import contenders, limit
from benchmarks.settings import ANSWER


class Timed:
    """A job, which remembers how long its first run took: that one compiles."""

    def __init__(self, run: Callable[[], Any]):
        self.run = run
        self.first: float | None = None

    def __call__(self) -> dict[str, float]:
        start = time.perf_counter()
        self.run()
        seconds = time.perf_counter() - start
        self.first = seconds if self.first is None else self.first
        return {"seconds": seconds, "first": self.first}


def peak() -> int:
    """Bytes of memory held at most so far; the system counts kilobytes on Linux, bytes on macOS."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    """Answers requests {"contender", "setting"} until the input ends."""
    base = peak()
    send({})  # ready: whatever takes long to import is there
    jobs: dict[str, Timed] = {}
    for line in sys.stdin:
        request = json.loads(line)
        name, setting = request["contender"], request["setting"]
        key = json.dumps([name, setting])
        if name == "rates":
            answer = limit.rates(setting)
        else:
            if key not in jobs:
                jobs[key] = Timed(getattr(contenders, name)(setting))
            answer = jobs[key]()
        send({**answer, "peak": peak(), "base": base})


def send(answer: dict[str, Any]) -> None:
    """Writes an answer as one line for the parent."""
    print(ANSWER + json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
