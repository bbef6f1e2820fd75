"""Labels that fit another output than their own, and that one's fit theirs: they may have changed places."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._outputs import Output, as_array, part_of, replaced_labels
from crosscheck.diagnose._program import Data, Program
from crosscheck.diagnose.checks._label_form import FORM, UNITS
from crosscheck.diagnose.checks._label_range import RANGE

Judge = Callable[[Output], Iterable[Finding]]


def with_exchanges(outputs: Sequence[Output], found: Sequence[Finding], judge: Judge) -> Iterator[Finding]:
    """The findings; a ✗ of labels that fit another output exactly says so, and tries that first."""
    named = {output.name: output for output in outputs}
    for finding in found:
        is_asked = finding.check in (FORM, UNITS) or (finding.check == RANGE and not finding.repair)
        output = named.get(finding.output) if finding.verdict == "✗" and is_asked else None
        other = partner_of(output, outputs, judge) if output and len(outputs) > 1 else None
        yield finding if output is None or other is None else exchanging(finding, output, other)


def partner_of(output: Output, outputs: Sequence[Output], judge: Judge) -> Output | None:
    """The one output with which labels can be exchanged, so that nothing is wrong, and no unit is idle."""

    def fits(one: Output, other: Output) -> bool:
        found = judge(replace(one, labels=other.labels))
        return not any(f.verdict == "✗" or (f.check == UNITS and f.verdict == "note") for f in found)

    others = [other for other in outputs if other is not output and other.labels is not None]
    partners = [other for other in others if fits(output, other) and fits(other, output)]
    return partners[0] if len(partners) == 1 else None


def exchanging(finding: Finding, output: Output, other: Output) -> Finding:
    mine, theirs = output.anatomy.output, other.anatomy.output
    return replace(
        finding,
        measured=f"{finding.measured} They fit the output {theirs!r}, and its labels fit {mine!r}.",
        fix=f"the labels of {mine!r} and {theirs!r} in each other's place, if they were exchanged; or "
        f"{finding.fix}",
        repair=lambda program: exchanged(program, output, other),
    )


def exchanged(program: Program, one: Output, other: Output) -> Program:
    """A repair: two outputs have each other's labels, those of validation too."""

    def turned(data: Data) -> Data:
        mine, theirs = (as_array(part_of(data.y, output.anatomy)) for output in (one, other))
        if mine is None or theirs is None:
            return data
        return replaced_labels(replaced_labels(data, one, theirs), other, mine)

    held_out = program.validation
    return replace(program, training=turned(program.training), validation=held_out and turned(held_out))
