"""Reports of runs that are not as they should be."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from experiments.edited_histories import both, changed, looking, with_observations
from experiments.histories import BETTER, SLOWER, Story, run
from experiments.report.test_page import Page
from fairtrial.judge.verdict import Decision, Verdict
from fairtrial.report.history import History, Shift
from fairtrial.report.page import render_report
from fairtrial.report.sections.effects import EffectsSection
from fairtrial.report.sections.evidence import EvidenceSection
from fairtrial.report.sections.latency import LatencySection
from fairtrial.report.sections.ratio import SampleRatioSection
from fairtrial.report.sections.traffic import TrafficSection
from fairtrial.report.sections.verdict import VerdictSection


@pytest.fixture(scope="module")
def slower(tmp_path_factory: pytest.TempPathFactory) -> History:
    return run(tmp_path_factory.mktemp("slower"), SLOWER)


def ending_with(history: History, last: Verdict) -> History:
    return dataclasses.replace(history, verdicts=[*history.verdicts[:-1], last])


def test_a_run_that_never_got_anywhere_still_has_a_report(slower: History, tmp_path: Path) -> None:
    history = dataclasses.replace(
        slower, verdicts=(), events=(), shifts=(), observations=tmp_path / "none", load={}, versions={}
    )
    text = Page(render_report(history)).text
    assert "The run ended before anything was judged." in text
    assert "No observation was recorded." in text
    assert "experiment.yaml" in text


def test_a_running_run_says_that_it_is_running(slower: History, tmp_path: Path) -> None:
    history = looking(with_observations(slower, tmp_path), 3, ended=False)
    text = Page(render_report(history, [VerdictSection()])).text
    assert "still running" in text
    assert "undecided so far" in text


def test_a_run_that_has_its_verdict_but_is_shutting_down_is_not_called_running(slower: History) -> None:
    assert dataclasses.replace(slower, ended=None).over


def test_a_run_that_was_cut_off_says_that_the_evidence_was_not_in(slower: History) -> None:
    text = Page(VerdictSection().render(looking(slower, 3))).text
    assert "NO VERDICT" in text
    assert "ended before the evidence on v2 was in" in text


def test_one_look_is_drawn_as_points(slower: History) -> None:
    section = EvidenceSection().render(looking(slower, 1))
    text = Page(section).text
    # p99 has nothing to show yet, the two other metrics have three panels each
    assert section.count('role="img"') == 6
    assert "a p99 needs 662 requests an arm" in text


def test_a_metric_without_effect_or_interval_says_why_there_is_none(slower: History) -> None:
    last = changed(
        slower.verdicts[-1], "latency", effect=None, interval=None, waiting="30 batches are needed"
    )
    history = dataclasses.replace(slower, verdicts=[last])
    assert "30 batches are needed" in Page(EffectsSection().render(history)).text
    last = changed(last, "accuracy", interval=None)
    Page(EvidenceSection().render(dataclasses.replace(slower, verdicts=[last])))


def test_an_interval_with_an_open_side_is_written_and_drawn_as_one(slower: History) -> None:
    last = changed(slower.verdicts[-1], "latency", interval=(0.02, math.inf))
    history = ending_with(slower, last)
    assert "above +2%" in Page(EffectsSection().render(history)).text
    drawn = EvidenceSection().render(history)
    assert "inf" not in drawn.split("above", 1)[0]
    assert "nan" not in drawn


def test_two_candidates_each_have_their_own_verdict_and_evidence(slower: History, tmp_path: Path) -> None:
    other = run(tmp_path, dataclasses.replace(BETTER, candidate="v3"))
    history = both(slower, other)
    assert history.candidates() == ("v2", "v3")
    chosen = history.chosen()
    assert chosen is not None
    assert (chosen.candidate, chosen.decision) == ("v3", Decision.PROMOTE)
    hero = Page(VerdictSection().render(history)).text
    assert "v3 earned its promotion over v1." in hero
    assert "v2 was rolled back" in hero
    parsed = Page(render_report(history, [EffectsSection(), EvidenceSection()]))
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert parsed.text.count("v3") > 1


def test_very_long_names_do_not_break_the_page(tmp_path: Path) -> None:
    name = "resnet-with-a-name-that-goes-on-" * 8
    history = run(tmp_path, Story(candidate=name, looks=5))
    sections = [VerdictSection(), LatencySection(), SampleRatioSection()]
    assert name in Page(render_report(history, sections)).text


def test_failed_requests_are_in_the_tail_of_the_latencies(tmp_path: Path) -> None:
    history = run(tmp_path, Story(failing=(0.0, 0.05), accuracy=(0.9, 0.9), looks=30))
    text = Page(LatencySection().render(history)).text
    recorded = pq.read_table(history.observations, columns=["arm", "status"]).to_pylist()
    failed = sum(o["status"] == 500 for o in recorded)
    assert failed > 10
    assert f"{failed} " in text
    assert "failed" in text.split("v2", 2)[2]
    assert "× where some failed" in Page(TrafficSection().render(history)).text


def test_an_arm_that_only_failed_has_no_histogram(tmp_path: Path) -> None:
    history = run(tmp_path, Story(failing=(1.0, 1.0), looks=2))
    assert "No request was answered." in Page(LatencySection().render(history)).text


def test_a_quantile_is_not_stated_from_too_few_requests(slower: History) -> None:
    few = Page(LatencySection().render(slower)).text
    assert "too few" in few
    assert "p99.9 from 6,636" in few


def test_a_sample_ratio_mismatch_is_an_alarm_that_says_where(slower: History) -> None:
    ratio = slower.verdicts[-1].sample_ratio
    assert ratio is not None
    bad = dataclasses.replace(ratio, mismatch=True, where="segment r2", e_value=4e5, missing_halves=12)
    last = dataclasses.replace(slower.verdicts[-1], sample_ratio=bad)
    text = Page(SampleRatioSection().render(ending_with(slower, last))).text
    assert "mismatch" in text
    assert "segment r2" in text
    assert "12 pairs lack a half" in text
    without = dataclasses.replace(slower.verdicts[-1], sample_ratio=None)
    nothing = Page(SampleRatioSection().render(dataclasses.replace(slower, verdicts=[without]))).text
    assert "no sample ratio to check" in nothing


def test_traffic_without_observations_shows_the_weights(slower: History, tmp_path: Path) -> None:
    history = with_observations(slower, tmp_path)
    assert TrafficSection().render(history).count('role="img"') == 1
    history = dataclasses.replace(history, shifts=(Shift(history.started, "r0", {"v1": 1.0}),), events=())
    assert "No event was recorded." in Page(TrafficSection().render(history)).text
