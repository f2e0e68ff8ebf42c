"""A summary in Markdown: for a job's page, a pull request's comment, and whatever else shows Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from fairtrial.console.text import printable
from fairtrial.judge.verdict import Decision, Verdict
from fairtrial.judge.wording import count
from fairtrial.outputs.chart import evidence_chart
from fairtrial.outputs.escaping import block, code, markdown
from fairtrial.outputs.outcome import Ending, Outcome
from fairtrial.report import figures
from fairtrial.report.standing import AGAINST, decisive, headline, reasons, standing

_SIGNS = {Ending.PASSED: "✅", Ending.FAILED: "❌", Ending.OPEN: "⚠️", Ending.BROKEN: "⛔"}


def summary(outcome: Outcome) -> str:
    """The whole text. Its first line is a comment by which a bot finds its own comment again."""
    # Nothing else in a name can end the comment.
    name = "".join(c for c in printable(outcome.experiment) if c not in "<>")
    parts = [f"<!-- fairtrial {name} -->", _head(outcome)]
    if outcome.error is not None:
        parts.append(block(outcome.error))
    for verdict in outcome.finals:
        parts += _of_candidate(outcome, verdict)
    parts.append(_foot(outcome))
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(outcome: Outcome) -> str:
    ending, chosen = outcome.ending, outcome.chosen
    if ending is Ending.BROKEN:
        said = f"NO VERDICT on {markdown(outcome.experiment)}"
    elif chosen is None:
        said = f"{markdown(outcome.experiment)}: recorded; nothing was to be judged"
    else:
        said = f"{chosen.decision.value}: {markdown(headline(chosen, over=True))}"
    return f"### {_SIGNS[ending]} {said}"


def _of_candidate(outcome: Outcome, verdict: Verdict) -> Iterable[str]:
    if len(outcome.looks) > 1:
        word = "no verdict" if verdict.decision is Decision.CONTINUE else verdict.decision.value
        yield f"#### {markdown(verdict.candidate)}: {word}"
    yield "\n".join(f"- {markdown(reason)}" for reason in reasons(verdict))
    yield _table(verdict)
    yield evidence_chart(outcome.looks[verdict.candidate])
    yield _small_print(verdict)


def _table(verdict: Verdict) -> str:
    if not verdict.metrics:
        return ""
    levels = {figures.level(metric) for metric in verdict.metrics}
    interval = f"{levels.pop()} interval" if len(levels) == 1 else "interval"
    head = ("", verdict.baseline, verdict.candidate, "effect", interval, "margin", "")
    rows = [f"| {' | '.join(map(markdown, head))} |", "|:--|--:|--:|--:|--:|--:|:--|"]
    for metric in verdict.metrics:
        cells = (
            f"{figures.label(metric)} ({metric.role})",
            figures.estimate(metric, metric.baseline),
            figures.estimate(metric, metric.candidate),
            figures.effect(metric, metric.effect),
            figures.interval(metric),
            f"{figures.margin_name(metric)} {figures.margin(metric)}",
        )
        claim, (_, word) = decisive(metric), standing(metric)
        sign = "" if claim is None else "❌ " if claim.claim in AGAINST else "✅ "
        rows.append(f"| {' | '.join(map(markdown, cells))} | {sign}{word} |")
    return "\n".join(rows)


def _small_print(verdict: Verdict) -> str:
    requests = ", ".join(
        f"{arm.name} {count(arm.requests)} ({count(arm.errors)} failed)" for arm in verdict.arms
    )
    looks = f"{count(verdict.look)} looks in {figures.duration(verdict.elapsed)} of traffic"
    lines = [
        f"Requests: {requests}; {looks}.",
        *(f"{'Passed' if gate.passed else 'Not passed'}: {gate.message}" for gate in verdict.gates),
        *verdict.notes,
        *verdict.assumptions,
    ]
    body = "\n".join(f"- {markdown(line)}" for line in lines)
    return f"<details><summary>Gates, notes and assumptions</summary>\n\n{body}\n\n</details>"


def _foot(outcome: Outcome) -> str:
    said = [f"took {figures.duration(outcome.seconds)}"]
    if outcome.code is not None:
        said.append(f"exit code {int(outcome.code)}")
    if outcome.run is not None:
        said = [f"run {code(outcome.run)}", *said, code(f"fairtrial explain {outcome.run}")]
    return f"<sub>{' · '.join(said)}</sub>"
