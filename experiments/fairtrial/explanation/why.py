"""Why this verdict: the judge's reasons, and every claim with its figures."""

from __future__ import annotations

from fairtrial.explanation.paragraph import Paragraph
from fairtrial.judge.verdict import ClaimResult, MetricResult, Verdict
from fairtrial.judge.wording import percent
from fairtrial.report import figures
from fairtrial.report.standing import headline, reasons


def why(verdict: Verdict, *, over: bool) -> Paragraph:
    """The verdict in a sentence, and its reasons. `over`: nothing more will be judged."""
    looks = f"Decided at look {verdict.look}, after {figures.duration(verdict.elapsed)} of traffic."
    return Paragraph("Why", f"{headline(verdict, over=over)} {looks}", (*reasons(verdict), *verdict.notes))


def claims(verdict: Verdict) -> Paragraph:
    """Every claim that was tested, whether it held, and how far it came."""
    points = tuple(_claim(metric, claim) for metric in verdict.metrics for claim in metric.claims)
    failed = tuple(gate.message for gate in verdict.gates if not gate.passed)
    text = "Each claim is one-sided and holds once its statistic z reaches its boundary."
    return Paragraph("The claims", text if points else "No claim was tested.", points + failed)


def _claim(metric: MetricResult, claim: ClaimResult) -> str:
    said = f"{figures.label(metric)} {claim.claim}: {claim.sentence}."
    if claim.statistic is None or claim.boundary is None:
        return f"{said} Not tested: {metric.waiting or 'too little data'}."
    z = f"z {figures.z(claim.statistic)}, boundary {figures.z(claim.boundary)}"
    on = f"{figures.observations(metric)}, {percent(min(claim.information, 1))} of the horizon"
    if claim.crossed:
        since = f" since look {claim.crossed_at_look}" if claim.crossed_at_look else ""
        return f"{said} Shown{since} ({z}; {on})."
    return f"{said} Not shown ({z}; {on})."
