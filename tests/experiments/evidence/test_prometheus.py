"""Saved answers of Prometheus: read, and judged as the weaker evidence that they are."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from experiments.runs import fairtrial
from fairtrial.errors import UsageError
from fairtrial.evidence.prometheus import read_range_answer

EDGES = (0.005, 0.01, 0.025, 0.05, 0.1, float("inf"))
START, STEP, SCRAPES = 1_795_377_600, 15, 41

FILE = """
apiVersion: fairtrial.dev/v1alpha1
kind: Experiment
spec:
  baseline: {name: v1, modelUri: models/v1}
  candidates: [{name: v2, modelUri: models/v2}]
  metrics:
    - {name: latency, slo: 50ms, maxRegression: 1pp}
    - {name: errorRate, maxRegression: 1pp}
"""


def answer(slower: float, failing: float = 0.001) -> dict[str, Any]:
    """Two arms with 20 requests a second each; the candidate's latencies are longer by this factor."""
    rng = np.random.default_rng(5)
    result: list[dict[str, Any]] = []
    for arm, factor in (("v1", 1.0), ("v2", slower)):
        ok, failed = (np.zeros((SCRAPES, len(EDGES))) for _ in range(2))
        for scrape in range(1, SCRAPES):
            latency = factor * rng.lognormal(np.log(0.02), 0.5, 20 * STEP)
            bad = rng.random(latency.size) < failing
            for table, of in ((ok, latency[~bad]), (failed, latency[bad])):
                table[scrape] = table[scrape - 1] + [(of <= edge).sum() for edge in EDGES]
        for code, table in (("200", ok), ("500", failed)):
            for column, edge in enumerate(EDGES):
                le = "+Inf" if edge == float("inf") else str(edge)
                values = [[START + STEP * k, str(int(n))] for k, n in enumerate(table[:, column])]
                labels = {"predictor_name": arm, "code": code, "le": le, "method": "post"}
                result.append({"metric": labels, "values": values})
    return {"status": "success", "data": {"resultType": "matrix", "result": result}}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "experiment.yaml").write_text(FILE)
    return tmp_path


def judged(project: Path, document: dict[str, Any]) -> dict[str, Any]:
    (project / "prom.json").write_text(json.dumps(document))
    done = fairtrial("judge", "--data", "prom.json", "--output", "json", cwd=project)
    assert done.returncode in (0, 10, 11), done.stderr
    return json.loads(done.stdout)


def test_series_of_one_arm_are_summed_and_failures_told_by_their_code(tmp_path: Path):
    (tmp_path / "prom.json").write_text(json.dumps(answer(1.0, failing=0.1)))
    first, second = read_range_answer(tmp_path / "prom.json")
    assert (first.arm, second.arm) == ("v1", "v2")
    assert first.counts[-1, -1] == 20 * STEP * (SCRAPES - 1)
    assert first.errors is not None
    assert 0.05 < first.errors[-1] / first.counts[-1, -1] < 0.15


def test_the_same_model_is_promoted_on_its_guardrails_and_the_verdict_says_how_weak_it_is(project: Path):
    verdict = judged(project, answer(1.0))
    assert verdict["verdict"] == "PROMOTE"
    assert any("from histograms, which is weaker" in note for note in verdict["notes"])


def test_a_slower_candidate_is_rolled_back(project: Path):
    verdict = judged(project, answer(1.6))
    assert verdict["verdict"] == "ROLLBACK"
    assert "share of latency above 50 ms" in verdict["reasons"][0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("nonsense", "cannot be read as JSON"),
        ('{"status": "success"}', "is no answer of Prometheus"),
        ('{"status": "success", "data": {"resultType": "vector", "result": []}}', "query_range"),
        (
            '{"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {"le": "1"}, '
            '"values": []}]}}',
            "to tell its arm by",
        ),
    ],
)
def test_another_file_is_refused_in_words(tmp_path: Path, content: str, said: str):
    (tmp_path / "prom.json").write_text(content)
    with pytest.raises(UsageError, match=said):
        read_range_answer(tmp_path / "prom.json")
