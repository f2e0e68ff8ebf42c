"""What a real Envoy writes of a split, read as observations."""

import json
import math
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from fairtrial.errors import UsageError
from fairtrial.evidence.sources import open_source
from fairtrial.retrospective import judge_recorded
from fairtrial_graphs.backends.interface import HeaderMatch, Route, Sticky
from fairtrial_graphs.backends.local import LocalBackend
from fairtrial_graphs.backends.local.access_log import AccessLog
from fairtrial_graphs.build import Arm, build
from graphs.processes import until
from graphs.standin import launcher
from graphs.traffic import Load

EXPERIMENT = """
apiVersion: fairtrial.dev/v1alpha1
kind: Experiment
spec:
  baseline: {name: v1, modelUri: a}
  candidates: [{name: v2, modelUri: b}]
  metrics: [{name: latency, quantile: 0.9, role: guardrail, maxRegression: 50ms}]
  analysis: {warmUp: 0s}
"""


def table(folder: Path) -> pa.Table:
    return pa.Table.from_batches(list(open_source(folder).batches()))


def lines(folder: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in folder.iterdir())


def test_live_traffic_through_a_split_is_logged_in_bounded_files_and_judged(tmp_path: Path):
    log = AccessLog(tmp_path / "access", max_bytes=100_000, files=50)
    arms = [
        Arm("v1", "one", "STANDIN", parameters={"delay": "0.01"}),
        Arm("v2", "two", "STANDIN", parameters={"delay": "0.15"}),
    ]
    with LocalBackend(tmp_path / "run", launcher, access_log=log) as backend:
        route = Route("step-1", Sticky("x-user"), matches=(HeaderMatch("x-user", "tester", "v2"),))
        serving = backend.apply(build("d", arms, {"v1": 50, "v2": 50}), route, lambda _: None)
        answers = Load(
            serving.url, count=1_500, callers=64, key_of=lambda n: f"user-{n}" if n % 10 else "tester"
        ).run()
        until(lambda: lines(log.folder) == 1_500, 5, "all requests to be in the log")
        until(lambda: len(list(log.folder.iterdir())) > 1, 5, "a second file")
        assert lines(log.folder) == 1_500
    observed = table(log.folder)
    drawn = [answer for answer in answers if answer.revision is not None]
    assert sorted(zip(observed["unit"].to_pylist(), observed["arm"].to_pylist(), strict=True)) == sorted(
        (answer.key or "", answer.arm or "") for answer in drawn
    )
    assert observed["time"].to_pylist() == sorted(observed["time"].to_pylist())
    assert set(observed["segment"].to_pylist()) == {"step-1"}
    assert set(observed["status"].to_pylist()) == {200}
    for arm, seconds in (("v1", 0.01), ("v2", 0.15)):
        latencies = observed.filter(pa.compute.equal(observed["arm"], arm))["latency"].to_pylist()
        assert min(latencies) >= seconds
        assert len({round(latency * 1e6) % 1000 for latency in latencies}) > 20  # microseconds
    file = tmp_path / "experiment.yaml"
    file.write_text(EXPERIMENT)
    verdict = judge_recorded(file, log.folder)
    assert {arm.name: arm.requests for arm in verdict.arms} == Counter(answer.arm for answer in drawn)
    assert verdict.sample_ratio is not None
    assert not verdict.sample_ratio.mismatch


def test_the_oldest_file_makes_room_for_the_newest(tmp_path: Path):
    log = AccessLog(tmp_path, max_bytes=10, files=3)
    for number in range(6):
        log.path.write_text(f"{number} is a line\n")
        log.rotate(lambda: None)
    log.path.write_text("short")
    log.rotate(lambda: None)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "access-000005.jsonl",
        "access-000006.jsonl",
        "access.jsonl",
    ]


LINE = {
    "time": "1.5", "microseconds": 1500, "milliseconds": 1, "status": 200, "grpc": None, "cluster": "v1@3",
    "segment": "r", "id": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, ("v1", 0.0015, 200, None)),
        ({"microseconds": None, "status": 0}, ("v1", 0.001, 0, None)),  # the caller hung up
        ({"cluster": None, "status": 503}, ("", 0.0015, 503, None)),
        ({"grpc": 0}, ("v1", 0.0015, 200, None)),
        ({"grpc": 14}, ("v1", 0.0015, 503, None)),
        ({"grpc": 2}, ("v1", 0.0015, 500, None)),
        ({"unit": None, "newUnit": "fresh"}, ("v1", 0.0015, 200, "fresh")),
        ({"unit": "old", "newUnit": "fresh"}, ("v1", 0.0015, 200, "old")),
    ],
)
def test_what_a_line_says(tmp_path: Path, said: dict[str, object], expected: tuple[object, ...]):
    (tmp_path / "access.jsonl").write_text(json.dumps({**LINE, **said}) + "\n" + '{"time": "half a li')
    (row,) = table(tmp_path).to_pylist()
    assert math.isclose(row["latency"], expected[1])
    assert (row["arm"], row["status"], row["unit"]) == (expected[0], *expected[2:])


def test_older_files_come_first_and_what_is_no_log_is_told_with_its_line(tmp_path: Path):
    (tmp_path / "access.jsonl").write_text(json.dumps({**LINE, "id": "new"}) + "\n")
    (tmp_path / "access-000002.jsonl").write_text(json.dumps({**LINE, "id": "old"}) + "\n")
    batches = list(open_source(tmp_path).scan())
    assert [row["id"] for batch in batches for row in batch.to_pylist()] == ["old", "new"]
    (tmp_path / "access-000002.jsonl").write_text(json.dumps(LINE) + "\n[1]\n")
    with pytest.raises(UsageError, match=r"access-000002.jsonl:2: this is no line of a split's access log"):
        list(open_source(tmp_path).batches())
