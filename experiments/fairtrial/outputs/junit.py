"""JUnit XML: a test case for each gate and claim, and one for the verdict.

There is no one schema. This is valid by that of Ant's JUnit task, the strictest in use, and by Jenkins's: no
attribute of `testsuites`, a suite's elements in a fixed order, a time stamp without a zone.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from fairtrial.console.text import printable
from fairtrial.judge.verdict import ClaimResult, Decision, Gate, MetricResult, Verdict
from fairtrial.outputs.outcome import Ending, Outcome
from fairtrial.report import figures
from fairtrial.report.standing import AGAINST

#: Gates that wait for more, or for a machine to compare on; all others say that the sample is not fair.
_WAITING = frozenset({"minimumData", "warmUp", "fullCycle", "wholeLoad", "lastStep", "sameMachine"})


class _Mark(StrEnum):
    """What is wrong with a case, as the element that says so."""

    FAILURE = "failure"
    ERROR = "error"
    SKIPPED = "skipped"


_OF_ENDING = {Ending.FAILED: _Mark.FAILURE, Ending.OPEN: _Mark.SKIPPED, Ending.BROKEN: _Mark.ERROR}


@dataclass(frozen=True)
class _Case:
    """Names say nothing that changes from run to run, so that a server can show their history."""

    name: str
    mark: _Mark | None = None
    message: str = ""
    kind: str = ""
    seconds: float = 0.0


def junit(outcome: Outcome) -> str:
    """A suite for each candidate. The verdict stands in that of the candidate which speaks for the run."""
    root = Element("testsuites")
    for verdict in outcome.finals or (None,):
        suite = f"fairtrial.{outcome.experiment}" + (f".{verdict.candidate}" if verdict else "")
        cases = [] if verdict is None else [*map(_of_gate, verdict.gates), *_of_claims(outcome, verdict)]
        if verdict is outcome.chosen:
            cases.append(_of_verdict(outcome))
        _add_suite(root, suite, cases, outcome, verdict)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=False).join(
        ('<?xml version="1.0" encoding="UTF-8"?>\n', "\n")
    )


def _of_gate(gate: Gate) -> _Case:
    name = f"gate: {figures.in_words(gate.name)}"
    if gate.passed:
        return _Case(name)
    return _Case(name, _Mark.SKIPPED if gate.name in _WAITING else _Mark.ERROR, gate.message, gate.name)


def _of_claims(outcome: Outcome, verdict: Verdict) -> Iterable[_Case]:
    for metric in verdict.metrics:
        for claim in metric.claims:
            yield _of_claim(metric, claim, counts=not _lost(outcome, verdict))


def _of_claim(metric: MetricResult, claim: ClaimResult, *, counts: bool) -> _Case:
    label = figures.label(metric)
    if claim.claim in AGAINST:
        name = f"{label}: not {claim.claim}"
        if claim.crossed:
            return _Case(name, _Mark.FAILURE if counts else _Mark.SKIPPED, _shown(metric, claim), claim.claim)
    else:
        name = f"{label}: {claim.claim}"
        if not claim.crossed and claim.statistic is not None:
            return _Case(name, _Mark.SKIPPED, f"not shown: {_shown(metric, claim)}")
    if claim.statistic is None and not claim.crossed:
        return _Case(name, _Mark.SKIPPED, metric.waiting or "there is no evidence yet")
    return _Case(name)


def _shown(metric: MetricResult, claim: ClaimResult) -> str:
    return (
        f"{claim.sentence} (effect {figures.effect(metric, metric.effect)}, {figures.level(metric)} interval "
        f"{figures.interval(metric)}; z {figures.z(claim.statistic)} against {figures.z(claim.boundary)})"
    )


def _lost(outcome: Outcome, verdict: Verdict) -> bool:
    """Whether another candidate was promoted: who lost to it makes no build red."""
    chosen = outcome.chosen
    return chosen is not None and chosen is not verdict and chosen.decision is Decision.PROMOTE


def _of_verdict(outcome: Outcome) -> _Case:
    kind = "NO_VERDICT" if outcome.code is None else outcome.code.name
    mark = _OF_ENDING.get(outcome.ending)
    return _Case("verdict", mark, outcome.message if mark else "", kind, outcome.seconds)


def _add_suite(
    root: Element, name: str, cases: Sequence[_Case], outcome: Outcome, verdict: Verdict | None
) -> None:
    marks = [case.mark for case in cases]
    suite = SubElement(
        root,
        "testsuite",
        {
            "name": _token(name),
            "package": "fairtrial",
            "id": str(len(root)),
            "hostname": socket.gethostname() or "localhost",
            "timestamp": datetime.fromtimestamp(outcome.began, UTC).strftime("%Y-%m-%dT%H:%M:%S"),
            "tests": str(len(cases)),
            "failures": str(marks.count(_Mark.FAILURE)),
            "errors": str(marks.count(_Mark.ERROR)),
            "skipped": str(marks.count(_Mark.SKIPPED)),
            "time": f"{sum(case.seconds for case in cases):.3f}",
        },
    )
    properties = SubElement(suite, "properties")
    for key, value in _properties(outcome, verdict):
        SubElement(properties, "property", {"name": key, "value": printable(value)})
    for case in cases:
        element = SubElement(
            suite,
            "testcase",
            {"name": _token(case.name), "classname": _token(name), "time": f"{case.seconds:.3f}"},
        )
        if case.mark is not None:
            about = {"message": printable(case.message.partition("\n")[0])}
            if case.mark is not _Mark.SKIPPED:
                about["type"] = case.kind
            SubElement(element, case.mark.value, about).text = _lines(case.message)
    SubElement(suite, "system-out").text = _lines("\n".join(verdict.reasons) if verdict else "")
    SubElement(suite, "system-err").text = _lines(outcome.error or "")


def _properties(outcome: Outcome, verdict: Verdict | None) -> Iterable[tuple[str, str]]:
    if outcome.code is not None:
        yield "exitCode", str(int(outcome.code))
    if outcome.run is not None:
        yield "run", outcome.run
    if verdict is not None:
        yield "baseline", verdict.baseline
        yield "candidate", verdict.candidate
        yield "verdict", verdict.decision.value
        yield "rules", verdict.rules


def _token(text: str) -> str:
    """Text of an attribute that may have no runs of blanks."""
    return " ".join(printable(text).split()) or "unnamed"


def _lines(text: str) -> str:
    """Text that XML can hold: it has no control characters."""
    return "\n".join(printable(line) for line in text.split("\n"))
