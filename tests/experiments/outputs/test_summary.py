"""The summary says what the verdict rests on, and what others wrote in it stays text."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from experiments.edited_histories import both, looking
from experiments.histories import BETTER, SAME, WORSE, Story, run
from experiments.outputs.outcomes import broken, outcome_of
from fairtrial.outputs.chart import evidence_chart
from fairtrial.outputs.escaping import code, markdown
from fairtrial.outputs.summary import summary
from fairtrial.report.history import History


@pytest.fixture(scope="module")
def better(tmp_path_factory: pytest.TempPathFactory) -> History:
    return run(tmp_path_factory.mktemp("better"), BETTER)


def test_it_says_verdict_reasons_figures_and_exit_code(better: History):
    text = summary(outcome_of(better))
    assert text.startswith("<!-- fairtrial digits -->\n\n### ✅ PROMOTE: v2 earned its promotion over v1.\n")
    assert (
        "| accuracy (objective) | 88.6% | 97.1% | +8.5 pp | +5.52 pp to +11.5 pp | minEffect 1 pp | ✅ met |"
        in text
    )
    assert all(f"- {markdown(reason)}" in text for reason in better.verdicts[-1].reasons)
    assert "exit code 0" in text
    assert f"`fairtrial explain {better.run_id}`" in text


@pytest.mark.parametrize(("story", "head"), [(WORSE, "❌ ROLLBACK"), (SAME, "⚠️ INCONCLUSIVE")])
def test_the_heading_has_the_verdict(story: Story, head: str, tmp_path: Path):
    assert f"### {head}: " in summary(outcome_of(run(tmp_path, story)))


def test_each_candidate_has_a_part_of_its_own(better: History, tmp_path: Path):
    history = both(better, run(tmp_path, dataclasses.replace(WORSE, candidate="v3")))
    text = summary(outcome_of(history))
    assert "#### v2: PROMOTE" in text
    assert "#### v3: ROLLBACK" in text
    assert text.count("```mermaid") == 2


def test_a_run_that_broke_off_says_why_and_how_far_it_came(better: History):
    outcome = dataclasses.replace(outcome_of(looking(better, 9)), error="v2 died\n@channel ```")
    text = summary(outcome)
    assert "### ⛔ NO VERDICT on digits\n\n````text\nv2 died\n@channel ```\n````" in text
    assert "| accuracy (objective) |" in text


def test_a_run_without_a_look_has_no_table_and_no_chart():
    assert "|" not in summary(broken("no model"))


def test_the_chart_has_a_point_for_each_look_up_to_forty_and_ends_with_the_last(better: History):
    lines = [
        [int(point) for point in found.split(", ")]
        for found in re.findall(r"line \[(.*)\]", evidence_chart(better.looks("v2")))
    ]
    assert len(lines) == 4
    assert {len(line) for line in lines} == {36}
    assert [line[-1] for line in lines] == [100] * 4
    longer = run_of(better, 3)
    shown = re.findall(r"line \[(.*)\]", evidence_chart(longer.looks("v2")))
    assert {len(line.split(", ")) for line in shown} == {36}
    assert evidence_chart(better.looks("v2")[:1]) == ""


def run_of(history: History, times: int) -> History:
    """The run with each look repeated so often."""
    return dataclasses.replace(history, verdicts=[v for v in history.verdicts for _ in range(times)])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("models:/wine@champion", "models:/wine@<!-- -->champion"),
        ("a|b <b> `c` *d* [e](f) $x$", r"a\|b \<b\> \`c\` \*d\* \[e\](f) \$x\$"),
        ("see #12, !3 and 10%", "see #<!-- -->12, !<!-- -->3 and 10%"),
        ("at https://evil.example", "at h<!-- -->ttps://evil.example"),
        ("- item", r"\- item"),
        ("1. item", r"1\. item"),
        ("-5.1%", "-5.1%"),
        ("two\nlines \x1b[0m", "two lines \ufffd\\[0m"),
        ("&amp;", "&amp;amp;"),
    ],
)
def test_others_text_stays_text(text: str, shown: str):
    assert markdown(text) == shown


def test_code_has_more_backticks_than_its_text():
    assert code("a``b`") == "``` a``b` ```"
    assert code("plain") == "`plain`"


def test_nothing_in_a_name_ends_the_comment_that_finds_it():
    outcome = dataclasses.replace(broken("x"), experiment="a-->b")
    assert summary(outcome).startswith("<!-- fairtrial a--b -->\n")
