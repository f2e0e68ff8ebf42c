"""What would have changed a verdict."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path

import pytest
from experiments.edited_histories import changed
from experiments.histories import BETTER, SAME, SLOWER, WORSE, run
from fairtrial.explanation.change import what_would_change
from fairtrial.judge.verdict import Decision, Gate, Verdict


@pytest.fixture(scope="module")
def slower(tmp_path_factory: pytest.TempPathFactory) -> Verdict:
    return run(tmp_path_factory.mktemp("slower"), SLOWER).verdicts[-1]


@pytest.fixture(scope="module")
def same(tmp_path_factory: pytest.TempPathFactory) -> Verdict:
    return run(tmp_path_factory.mktemp("same"), SAME).verdicts[-1]


def told(verdict: Verdict) -> str:
    paragraph = what_would_change(verdict)
    return " ".join((paragraph.text, *paragraph.points))


def test_a_harmed_guardrail_names_the_margin_above_its_interval(slower: Verdict) -> None:
    latency = slower.metrics[1]
    assert latency.interval is not None
    found = re.search(
        r"with a maxRegression of (\d+)% instead of 10%, v2 would have been promoted", told(slower)
    )
    assert found
    assert latency.interval[1] <= int(found.group(1)) / 100 < latency.interval[1] * 1.1


def test_an_open_objective_names_the_smaller_gain_that_was_shown(same: Verdict) -> None:
    verdict = changed(same, "accuracy", effect=0.012, interval=(0.0043, 0.021))
    assert "with a minEffect of 0.43 pp instead of 1 pp, v2 would have been promoted" in told(verdict)


def test_an_interval_that_reaches_below_zero_has_no_margin_to_offer(same: Verdict) -> None:
    assert "no minEffect of 0 or more would have been met" in told(same)


def test_a_metric_where_lower_is_better_is_turned_round(same: Verdict) -> None:
    lower = changed(same, "accuracy", higher_is_better=False, effect=-0.012, interval=(-0.021, -0.0043))
    assert "with a minEffect of 0.43 pp" in told(lower)


def test_more_data_is_reckoned_from_the_boundary(same: Verdict) -> None:
    met, worse = same.metrics[0].claims
    open_claim = dataclasses.replace(met, statistic=1.405, boundary=2.81, information=0.2)
    verdict = changed(same, "accuracy", claims=(open_claim, worse), n_pairs=100)
    assert "about 300 more pairs at the observed effect (z is 1.41" in told(verdict)
    late = dataclasses.replace(open_claim, information=0.5)
    verdict = changed(same, "accuracy", claims=(late, worse), n_pairs=100)
    assert "about 300 more pairs at the observed effect, which is beyond the horizon" in told(verdict)


def test_more_data_is_no_remedy_for_an_effect_that_speaks_against_the_claim(same: Verdict) -> None:
    assert "would not help" in told(same)


def test_a_shown_loss_is_not_a_question_of_margins(tmp_path: Path) -> None:
    verdict = run(tmp_path, WORSE).verdicts[-1]
    assert "accuracy: no minEffect would have changed it, for a loss was shown" in told(verdict)


def test_what_else_stood_in_the_way_is_said(same: Verdict) -> None:
    gate = Gate("sampleRatio", False, "Sample ratio mismatch in segment r2.")
    verdict = changed(same, "accuracy", effect=0.012, interval=(0.0043, 0.021))
    verdict = dataclasses.replace(verdict, gates=(gate,))
    text = told(verdict)
    assert "this metric would have passed, with the sample ratio gate still open" in text
    assert "Sample ratio mismatch in segment r2." in text


def test_a_promotion_tells_how_much_room_there_was(tmp_path: Path) -> None:
    verdict = run(tmp_path, BETTER).verdicts[-1]
    accuracy = verdict.metrics[0]
    assert accuracy.interval is not None
    found = re.search(r"accuracy: a minEffect of up to ([\d.]+) pp", told(verdict))
    assert found
    assert accuracy.interval[0] * 0.9 < float(found.group(1)) / 100 <= accuracy.interval[0]


def test_an_abort_limit_is_no_matter_of_margins(same: Verdict) -> None:
    aborted = dataclasses.replace(same, decision=Decision.ROLLBACK)
    assert "ended by a limit and not by a claim" in told(aborted)


@pytest.mark.parametrize(
    "bounds", [None, (-math.inf, 0.02), (-0.02, math.inf), (math.nan, math.nan), (0.0, 0.0)]
)
def test_any_interval_can_be_spoken_of(
    same: Verdict, slower: Verdict, bounds: tuple[float, float] | None
) -> None:
    for verdict in (same, slower):
        for name in ("accuracy", "latency", "errorRate"):
            for decision in Decision:
                odd = dataclasses.replace(changed(verdict, name, interval=bounds), decision=decision)
                assert "nan" not in told(odd)
