"""Chooses the tests that `make test` leaves to `make test-all`, and writes them to `longer.txt`.

A test stays if it is cheap, if nothing of it is seen (other processes do its work), or if it reaches a line
of the package or of a study that no test does that stays; the cheapest for their lines come first. It wants

    pytest -m "long or not long" --record-seconds --cov=crosscheck --cov=studies --cov-context=test

to have been run, with pytest-cov, which is in no lock file.
"""

from __future__ import annotations

import heapq
import json
import sqlite3
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

from conftest import LONGER, SECONDS_OF_TESTS, without_group

Line = tuple[int, int]  # a file's number in the coverage data, and the line's
CHEAP = 0.1  # seconds: what all cheaper ones take together is little
STAY = (
    "test_replicates_random.py",  # as many as the design asks for
    # Those that killed a mutation, or a mistake, which no other test that reached the same lines did:
    "test_a_minimum_beside_the_true_probabilities_is_no_wrong_gradient",
    "test_a_title_too_long_and_ticks_too_near_are_seen",
    "test_a_saved_model_gets_the_same_diagnosis[models1-ours-0]",
    "test_replicate_equals_a_plain_fit_under_mixed_policies[stacked-mixed_float16]",
    "test_replicates_decay_by_their_own_numbers_under_a_loss_scale",
)


def lines_by_test(data: Path) -> dict[str, set[Line]]:
    """The lines that each test reaches in its own process."""
    reached: dict[str, set[Line]] = defaultdict(set)
    with sqlite3.connect(data) as db:
        names = dict(db.execute("SELECT id, context FROM context"))
        for file, context, bits in db.execute("SELECT file_id, context_id, numbits FROM line_bits"):
            test = without_group(names[context].rpartition("|")[0])
            lines = (8 * i + k for i, byte in enumerate(bits) for k in range(8) if byte >> k & 1)
            reached[test] |= {(file, line) for line in lines} if test else set()
    return reached


def longer(seconds: Mapping[str, float], reached: Mapping[str, set[Line]], times: int = 1) -> set[str]:
    """The tests without which each line is reached as often as with them, `times` at most."""
    bound = {test for test, taken in seconds.items() if taken < CHEAP or not reached.get(test)}
    bound |= {test for test in seconds if any(name in test for name in STAY)}
    staying = set(bound)
    wanted = Counter(line for test in seconds for line in reached.get(test, ()))
    wanted = Counter({line: min(times, n) for line, n in wanted.items()})
    wanted.subtract(line for test in staying for line in reached.get(test, ()))
    gain = lambda test: sum(wanted[line] > 0 for line in reached[test]) / seconds[test]
    queue = [(-gain(test), test) for test in sorted(set(seconds) - staying)]
    heapq.heapify(queue)
    while queue:
        test = heapq.heappop(queue)[1]
        if queue and -gain(test) > queue[0][0]:  # others have reached some of its lines meanwhile
            heapq.heappush(queue, (-gain(test), test))
        elif gain(test):
            staying.add(test)
            wanted.subtract(reached[test])
    chosen = set(seconds) - staying
    for test in sorted(staying - bound, key=lambda test: -seconds[test]):
        if all(wanted[line] < 0 for line in reached[test]):  # those that came after it reach all of its lines
            chosen.add(test)
            wanted.update(reached[test])
    return chosen


def main() -> None:
    seconds = json.loads(SECONDS_OF_TESTS.read_text())
    chosen = longer(seconds, lines_by_test(Path(sys.argv[1] if len(sys.argv) > 1 else ".coverage")))
    LONGER.write_text("\n".join(sorted(chosen)) + "\n", encoding="utf-8")
    left, whole = sum(seconds[test] for test in chosen), sum(seconds.values())
    print(f"{len(chosen)} of {len(seconds)} tests, {left:.0f} of {whole:.0f} s, are left to `make test-all`.")


if __name__ == "__main__":
    main()
