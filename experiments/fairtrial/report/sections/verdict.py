"""The verdict in a sentence, with what it rests on at a glance."""

from __future__ import annotations

from markupsafe import Markup

from fairtrial.judge.verdict import Decision
from fairtrial.judge.wording import count
from fairtrial.report import figures
from fairtrial.report.history import History
from fairtrial.report.standing import Tone, headline, reasons, standing, tone_of
from fairtrial.report.templating import render


class VerdictSection:
    anchor = "verdict"
    title = "Verdict"

    def render(self, history: History) -> Markup:
        verdict = history.chosen()
        over = history.over
        if verdict is None:
            return render(
                "verdict.html",
                tone=Tone.QUIET.value,
                word="NO VERDICT",
                sentence="The run ended before anything was judged."
                if over
                else "Nothing has been judged yet.",
                because=None,
                tiles=[],
                facts=[],
                others=[],
            )
        tiles = [
            {
                "name": figures.label(metric),
                "effect": figures.effect(metric, metric.effect),
                "arms": " → ".join(
                    figures.estimate(metric, value) for value in (metric.baseline, metric.candidate)
                ),
                "tone": standing(metric)[0].value,
                "word": standing(metric)[1],
            }
            for metric in verdict.metrics
        ]
        requests = sum(arm.requests for arm in verdict.arms)
        facts = [
            ("requests", count(requests)),
            ("errors", count(sum(arm.errors for arm in verdict.arms))),
            ("traffic judged", figures.duration(verdict.elapsed)),
            ("looks", count(verdict.look)),
        ]
        return render(
            "verdict.html",
            tone=tone_of(verdict.decision).value,
            word=verdict.decision.value if verdict.decision is not Decision.CONTINUE else "NO VERDICT",
            sentence=headline(verdict, over=over),
            because=next(iter(reasons(verdict)), None),
            tiles=tiles,
            facts=facts,
            others=[
                (other.decision.value, headline(other, over=over), tone_of(other.decision).value)
                for other in history.finals()
                if other is not verdict
            ],
        )
