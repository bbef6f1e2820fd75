"""Whether a sentence holds in Keras as well, and on which way to the loss: from the rows of the path checks.

Mathematics does not become false on a backend, so that this never turns a sentence's verdict. Keras' own
cross-entropies decide it at the dtype policies that Keras comes with or offers for speed. Its focal losses
and a float64 policy, under which parts of Keras go on computing in float32, are counted but do not decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from crosscheck.claims.judged import CheckRecord
from crosscheck.claims.sentences import Sentence
from crosscheck.claims.words import Verdict

EVERYWHERE, FROM_LOGITS, NOT_AS_SHIPPED = "everywhere", "from logits", "not as shipped"
AXES = 8  # of a path: loss, backend, device, mode, policy, head, entry, implementation
Checks = Mapping[str, CheckRecord]  # by full id


def in_keras(sentence: Sentence, checks: Checks) -> tuple[str, str]:
    """The word and, in a line, on how many paths it rests; both empty where nothing of Keras was measured."""
    paths = paths_of(sentence, checks)
    if NOT_AS_SHIPPED in set(shipped(sentence.keras, checks)):
        return NOT_AS_SHIPPED, counted(paths)
    if not paths:
        return "", ""
    own = {path: verdict for path, verdict in paths.items() if decides(path)}
    from_logits = [verdict for path, verdict in own.items() if entry(path) == "logits"]
    if not from_logits or not all(verdict is Verdict.HOLDS for verdict in from_logits):
        word = NOT_AS_SHIPPED if Verdict.FAILS in from_logits else ""
    else:
        others = [*paths.values(), *handed_probabilities(sentence.probabilities, checks)]
        word = EVERYWHERE if all(verdict is Verdict.HOLDS for verdict in others) else FROM_LOGITS
    return word, counted(paths)


def paths_of(sentence: Sentence, checks: Checks) -> dict[str, Verdict]:
    """The worst verdict by path, over all path checks that were run and whose control failed."""
    paths: dict[str, Verdict] = {}
    for id in sentence.paths:
        check = checks.get(id)
        if check is None or check.verdict is Verdict.INVALID:
            continue
        for label, verdict in check.scope.items():
            path = label.rpartition(" · ")[2]
            if kind(path) in sentence.losses or not sentence.losses:
                paths[path] = min(verdict, paths.get(path, verdict), key=lambda word: word.rank)
    return paths


def shipped(ids: Iterable[str], checks: Checks) -> list[str]:
    """`not as shipped` for each check of something that Keras ships that fails."""
    return [NOT_AS_SHIPPED for id in ids if id in checks and checks[id].verdict is Verdict.FAILS]


def handed_probabilities(ids: Iterable[str], checks: Checks) -> list[Verdict]:
    """What the checks say that hand Keras a probability; behind a `!` holding means that Keras breaks."""
    turned = {Verdict.HOLDS: Verdict.FAILS, Verdict.FAILS: Verdict.HOLDS}
    words = []
    for id in ids:
        if check := checks.get(id.removeprefix("!")):
            words.append(turned.get(check.verdict, check.verdict) if id.startswith("!") else check.verdict)
    return words


def counted(paths: Mapping[str, Verdict]) -> str:
    """On how many paths it holds: `254 of 302 paths from logits, 342 of 1318 from probabilities`."""
    counts: list[str] = []
    for name in ("logits", "probabilities"):
        words = [verdict for path, verdict in paths.items() if entry(path) == name]
        if words:
            held = sum(verdict is Verdict.HOLDS for verdict in words)
            counts.append(f"{held} of {len(words)} {'paths ' if not counts else ''}from {name}")
    return ", ".join(counts)


def kind(path: str) -> str:
    return path.split("/")[0]


def entry(path: str) -> str:
    """`logits` or `probabilities`; empty for a label that is no path."""
    parts = path.split("/")
    return parts[6] if len(parts) == AXES else ""


def decides(path: str) -> bool:
    """Whether the path is one of Keras' cross-entropies, at a policy that Keras offers for use."""
    parts = path.split("/")
    return len(parts) == AXES and "focal" not in parts[7] and parts[4] != "float64"
