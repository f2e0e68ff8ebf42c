"""Loads whose rate changes: what the file may say, and what follows for horizon, looks and promotion."""

from pathlib import Path

import pytest
from fairtrial.errors import UsageError
from fairtrial.experiment.defaults import filled_in
from fairtrial.experiment.model import Experiment
from fairtrial.experiment.problems import ExperimentFileError
from fairtrial.experiment.reading import parse
from fairtrial.judge.spec import JudgeSpec
from fairtrial.planning.claims import claims_of, horizon
from fairtrial.planning.needs import needs_of
from fairtrial.planning.sending import arrivals_of, sending_of
from fairtrial.planning.steps import steps_of
from fairtrial_loadtests.plan import Stage

_FILE = """
apiVersion: fairtrial.dev/v1alpha1
kind: Experiment
spec:
  baseline: {{name: v1, modelUri: m/v1}}
  candidates: [{{name: v2, modelUri: m/v2}}]
  traffic: {{loadTest: {{requests: {{data: rows.csv}}, {load}}}}}
  metrics: [{{name: errorRate, maxRegression: 1pp}}]
"""
_SPIKE = "arrivals: {spike: {base: 50/s, peak: 500/s, at: 30s, for: 10s}}"


def read(load: str, folder: Path = Path()) -> Experiment:
    return parse(_FILE.format(load=load).encode(), source="e.yaml", folder=folder, check_files=False)


def mistakes(load: str) -> list[str]:
    with pytest.raises(ExperimentFileError) as caught:
        read(load)
    return [str(problem).split(" ", 1)[1] for problem in caught.value.problems]


def claims(experiment: Experiment) -> JudgeSpec:
    return claims_of(experiment, steps_of(experiment), rows=100)


def trace(folder: Path, seconds: list[float]) -> str:
    (folder / "trace.csv").write_text("time\n" + "".join(f"{each:.3f}\n" for each in seconds))
    return "arrivals: {trace: {file: trace.csv}}"


@pytest.mark.parametrize(
    ("load", "stages", "seconds", "arrivals"),
    [
        ("arrivalRate: 40/s", (), 120, 4800),
        (
            "arrivals: {stepped: [{rate: 50/s, for: 30s}, {rate: 600/m, for: 20s}]}",
            (Stage(30, 50), Stage(20, 10)),
            50,
            1700,
        ),
        (_SPIKE, (Stage(30, 50), Stage(10, 500), Stage(80, 50)), 120, 10_500),
        (f"{_SPIKE}, maxDuration: 40s", (Stage(30, 50), Stage(10, 500)), 40, 6500),
        (
            "arrivals: {soak: {rate: 50/s, for: 1h, rampUp: 10m}}",
            (Stage(600, 0, 50), Stage(3000, 50)),
            3600,
            165_000,
        ),
        ("arrivals: {soak: {rate: 50/s, for: 1h}}, maxDuration: 10m", (Stage(3600, 50),), 600, 30_000),
    ],
)
def test_every_kind_is_so_many_arrivals_in_so_many_seconds(
    load: str, stages: tuple[Stage, ...], seconds: float, arrivals: float
) -> None:
    experiment = read(load)
    assert arrivals_of(experiment).stages == stages
    sending = sending_of(experiment)
    assert (sending.seconds, sending.arrivals) == (seconds, pytest.approx(arrivals))
    assert claims(experiment).max_duration == seconds
    assert horizon(experiment, steps_of(experiment))[0] == round(arrivals * 0.9)


def test_a_load_that_changes_is_promoted_on_no_part_of_it() -> None:
    assert claims(read("arrivalRate: 40/s")).load_cycle == 0
    spike = claims(read(_SPIKE))
    assert 110 < spike.load_cycle < spike.max_duration
    stepped = claims(read("arrivals: {stepped: [{rate: 10/s, for: 90s}, {rate: 100/s, for: 10s}]}"))
    assert 98 < stepped.load_cycle < 100


def test_a_pause_longer_than_the_load_has_by_itself_is_none_of_it(tmp_path: Path) -> None:
    assert claims(read("arrivalRate: 40/s")).load_gap == 0
    assert claims(read(_SPIKE)).load_gap == pytest.approx(0.2, rel=0.01)  # ten arrivals at the base rate
    night = trace(tmp_path, [*(i / 10 for i in range(400)), *(700 + i / 10 for i in range(400))])
    assert sending_of(read(f"{night}, maxDuration: 20m", tmp_path)).longest_gap == pytest.approx(660.1)


def test_a_trace_says_how_long_it_is_and_every_arrival_counts(tmp_path: Path) -> None:
    times = [i / 10 for i in range(400)]
    experiment = read(trace(tmp_path, times), tmp_path)
    sending = sending_of(experiment)
    assert (round(sending.arrivals), round(sending.seconds)) == (400, 40)
    told = claims(experiment)
    assert (told.max_duration, told.planned_looks) == (40, 40)
    assert 30 < told.load_cycle < times[-1]
    assert sending_of(read(f"{trace(tmp_path, times)}, maxDuration: 10s", tmp_path)).arrivals == 100
    twice = trace(tmp_path, times).replace("}}", ", speed: 2.0}}")
    assert round(sending_of(read(twice, tmp_path)).seconds) == 20


def test_a_trace_that_changed_is_read_again(tmp_path: Path) -> None:
    assert round(sending_of(read(trace(tmp_path, [0, 1, 2]), tmp_path)).arrivals) == 3
    assert round(sending_of(read(trace(tmp_path, [0, 1, 2, 3]), tmp_path)).arrivals) == 4


def test_a_trace_that_cannot_be_read_is_a_mistake_of_the_users(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        sending_of(read("arrivals: {trace: {file: none.csv}}", tmp_path))
    raw = _FILE.format(load="arrivals: {trace: {file: none.csv}}").encode()
    with pytest.raises(ExperimentFileError, match=r"trace\.file: there is no trace at"):
        parse(raw, source="e.yaml", folder=tmp_path)


def test_what_is_needed_is_there_sooner_where_the_peak_is() -> None:
    """About 2,100 requests of 9,975: at a steady rate after 25 s, here as the peak begins."""
    experiment = read(_SPIKE)
    steps = steps_of(experiment)
    (need,) = needs_of(experiment, claims_of(experiment, steps, 100), steps, 100, None)
    safe = next(claim for claim in need.claims if claim.claim.name == "safe")
    assert safe.seconds is not None
    assert 30 < safe.seconds < 34


def test_a_long_load_is_not_looked_at_every_second() -> None:
    assert claims(read("maxDuration: 10m")).look_interval == 1
    soak = claims(read("arrivals: {soak: {rate: 50/s, for: 8h}}"))
    assert (soak.look_interval, soak.planned_looks) == (80, 360)


def test_the_defaults_that_have_no_effect_are_not_told() -> None:
    load = "spec.traffic.loadTest."

    def told(text: str) -> set[str]:
        return {each.path.removeprefix(load) for each in filled_in(read(text)) if each.path.startswith(load)}

    assert not told("arrivals: {soak: {rate: 5/s, for: 1m}}") & {"arrivalRate", "maxDuration"}
    assert told(_SPIKE) & {"arrivalRate", "maxDuration", "process"} == {"maxDuration", "process"}
    assert "process" not in told("arrivals: {trace: {file: a.csv}}")


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        ("arrivals: {}", "loadTest.arrivals: expected exactly one kind: stepped, spike, soak or trace"),
        (f"{_SPIKE}, arrivalRate: 5/s", "arrivalRate: arrivals say the rate already; remove one of the two"),
        ("arrivals: {stepped: []}", "stepped: expected at least one"),
        ("arrivals: {stepped: [{rate: 5/s, for: 0s}]}", "stepped.0.for: expected more than 0s"),
        ("arrivals: {stepped: [{rate: 5/s}]}", "stepped.0.for: required"),
        ("arrivals: {stepped: [{rate: 5/s, for: 5s}]}, maxDuration: 1m", "maxDuration: the arrivals last 5s"),
        (f"{_SPIKE}, maxDuration: 35s", "spike.for: the peak ends after maxDuration, 35s"),
        ("arrivals: {soak: {rate: 5/s, for: 1m, rampUp: 1m}}", "rampUp: expected less than the time"),
        ("arrivals: {trace: {file: a.txt}}", "trace.file: "),
        ("arrivals: {trace: {file: a.csv, speed: 0}}", "trace.speed: expected more than 0"),
        ("arrivals: {trace: {file: a.csv}}, process: constant", "process: a trace has the moments"),
        ("arrivals: {spike: {bse: 5/s}}", 'did you mean "base"?'),
    ],
)
def test_a_mistake_is_told_where_it_is(load: str, expected: str) -> None:
    assert any(expected in each for each in mistakes(load)), mistakes(load)


def generating(load: str, metrics: str, folder: Path, *, check: bool = True) -> Experiment:
    text = _FILE.replace("requests: {{data: rows.csv}}, ", "").replace(
        "{name: errorRate, maxRegression: 1pp}", metrics
    )
    for arm in ("v1", "v2"):
        (folder / "m" / arm).mkdir(parents=True, exist_ok=True)
    return parse(text.format(load=load).encode(), source="e.yaml", folder=folder, check_files=check)


def test_requests_are_made_up_where_nothing_is_said_and_nothing_is_there(tmp_path: Path) -> None:
    experiment = generating("", "{name: errorRate}", tmp_path)
    assert experiment.generate is not None
    assert experiment.data is None
    assert "made up" in claims(experiment).weaknesses[0]
    (tmp_path / "holdout.parquet").touch()
    there = generating("", "{name: errorRate}", tmp_path)
    assert there.generate is None
    assert there.data == tmp_path / "holdout.parquet"


def test_nothing_is_made_up_unasked_where_answers_are_needed_or_data_are_named(tmp_path: Path) -> None:
    for load, metric in (("", "{name: accuracy}"), ("requests: {target: y}", "{name: errorRate}")):
        with pytest.raises(ExperimentFileError, match=r"holdout\.parquet, the default"):
            generating(load, metric, tmp_path)


def test_made_up_requests_are_sized_as_said_and_bring_no_claim_on_answers(tmp_path: Path) -> None:
    load = "requests: {generate: {rows: 50, size: 9}}"
    made_up = generating(load, "{name: errorRate}", tmp_path).generate
    assert made_up is not None
    assert (made_up.rows, made_up.size) == (50, 9)
    for metric in ("{name: accuracy}", "{name: mine, column: score, kind: binary, role: objective}"):
        with pytest.raises(ExperimentFileError, match="these requests have no right answers"):
            generating(load, metric, tmp_path, check=False)
    with pytest.raises(ExperimentFileError, match="come from no file"):
        generating("requests: {generate: {}, target: y}", "{name: errorRate}", tmp_path, check=False)


def with_users(load: str, metric: str = "{name: errorRate}") -> Experiment:
    text = _FILE.replace("requests: {{data: rows.csv}}, ", "").replace(
        "{name: errorRate, maxRegression: 1pp}", metric
    )
    return parse(text.format(load=load).encode(), source="e.yaml", folder=Path(), check_files=False)


def test_a_teams_own_users_are_no_pairs_and_their_verdict_says_what_they_are() -> None:
    experiment = with_users("locustfile: users.py, arrivalRate: 50/s, maxDuration: 1m")
    told = claims(experiment)
    assert experiment.data is None
    assert not told.metrics[0].paired
    assert told.metrics[0].max_observations == 1500
    assert "wait for an answer before they ask again" in told.weaknesses[0]


@pytest.mark.parametrize(
    ("load", "metric", "said"),
    [
        (
            "locustfile: users.py, requests: {target: y}",
            "{name: errorRate}",
            "requests: the users of the loc",
        ),
        (f"locustfile: users.py, {_SPIKE}", "{name: errorRate}", "arrivals: the users of the locustfile"),
        ("locustfile: users.py, paired: true", "{name: errorRate}", "paired: users send no pairs"),
        ("locustfile: users.py", "{name: accuracy}", "these requests have no right answers"),
    ],
)
def test_what_means_nothing_to_users_is_refused(load: str, metric: str, said: str) -> None:
    with pytest.raises(ExperimentFileError, match=said):
        with_users(load, metric)
