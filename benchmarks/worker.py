"""One process, one backend: takes requests as JSON lines, answers with seconds."""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

ANSWER = "benchmark: "  # libraries print to the same stream


def main() -> None:
    from benchmarks import contenders, limit

    jobs: dict[str, Any] = {}
    for line in sys.stdin:
        request = json.loads(line)
        name, setting = request["contender"], request["setting"]
        key = json.dumps([name, setting])
        if name == "rates":
            answer = limit.rates(setting)
        else:
            if key not in jobs:
                jobs[key] = getattr(contenders, name)(setting)
            start = time.perf_counter()
            jobs[key]()
            answer = {"seconds": time.perf_counter() - start}
        # Kilobytes on Linux, bytes on macOS.
        unit = 1 if sys.platform == "darwin" else 1024
        answer["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        print(ANSWER + json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
