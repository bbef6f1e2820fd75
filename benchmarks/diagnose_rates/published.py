"""What others have published of such tools, and how their protocol differs from ours.

Recall and precision count the types of faults that are named for programs known to be broken; none of these
tools, as far as we have read, has published how often it alarms on healthy programs.
"""

from __future__ import annotations

from typing import Any

STUDY = "Humbatova et al., Empirical Software Engineering 30:124, 2025"
LINK = "https://doi.org/10.1007/s10664-025-10657-7"
PUBLISHED: dict[str, Any] = {
    "study": STUDY,
    "link": LINK,
    "tools": "DeepFD (2022), DeepLocalize (2021), NeuraLint (2021), UMLAUT (2021)",
    "best": {
        "tool": "DeepFD",
        "recall": 0.55,
        "precision": 0.37,
        "of": "alternative right answers accepted",
    },
    "single_truth": {"recall": 0.33, "precision": 0.21, "of": "the best tool, one right answer"},
    "false_alarms": "not published by any of them, as far as we have read",
    "differences": [
        "Theirs are real faults from public posts and mutants of a few programs; ours are operators on "
        "random programs, one fault at a time, so that ours are easier.",
        "Theirs counts fault types over programs that are all broken; ours counts programs, healthy ones "
        "apart, each with an exact interval.",
        "Both accept several right answers: theirs by patches that are equivalent, ours by a list of checks "
        "that is written down beside each fault (`names` in rates.json).",
        "The operators were written by the authors of the checks' specification, and know what is checked; "
        "the public collections, which nobody here wrote, are counted apart.",
        "Of a fault that comes in sizes we judge only mutants that, trained once, miss the goal that their "
        "healthy original reached; what is harmless at its size is counted apart.",
    ],
}
