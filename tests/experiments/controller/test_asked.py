"""What does not go together is told before anything is deployed."""

from __future__ import annotations

from pathlib import Path

import pytest
from fairtrial.controller.asked import check_asked, check_resumed
from fairtrial.controller.placing import Cluster
from fairtrial.controller.session import Options
from fairtrial.errors import UsageError
from fairtrial.experiment.elsewhere import at_addresses
from fairtrial.experiment.model import Experiment
from fairtrial.experiment.reading import parse
from fairtrial.planning.plan import plan_of
from fairtrial.planning.stored import Stored
from fairtrial_loadtests.crew import Address, Crew

_FILE = """
apiVersion: fairtrial.dev/v1alpha1
kind: Experiment
spec:
  baseline: {name: v1, modelUri: s3://models/v1, format: sklearn}
  candidates: [{name: v2, modelUri: s3://models/v2, format: sklearn}]
  traffic: {loadTest: {LOAD}}
  metrics: [{name: errorRate, maxRegression: 2pp}]
"""
_ROWS = "requests: {data: rows.csv}"
_GRPC = f"protocol: grpc, {_ROWS}"
_USERS = "locustfile: users.py"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rows.csv").write_text("x\n" + "1\n" * 2000, encoding="utf-8")
    (tmp_path / "users.py").write_text("", encoding="utf-8")
    return tmp_path


def _experiment(folder: Path, load: str, more: str = "") -> Experiment:
    return parse((_FILE.replace("LOAD", load) + more).encode(), source="e.yaml", folder=folder)


@pytest.mark.parametrize(
    ("load", "more", "options", "wrong"),
    [
        (_GRPC, "", Options(cluster=Cluster()), "say `protocol: rest`"),
        (_GRPC, "  sticky: {key: customer}\n", Options(), "no query string"),
        (_USERS, "", Options(crew=Crew(2)), "run by one process"),
        (_USERS, "", Options(crew=Crew(1, Address("127.0.0.1", 1))), "run by one process"),
    ],
)
def test_what_the_load_would_refuse_once_the_arms_serve_is_refused_before(
    folder: Path, load: str, more: str, options: Options, wrong: str
) -> None:
    experiment = _experiment(folder, load, more)
    with pytest.raises(UsageError, match=wrong):
        check_asked(experiment, options)
    plan = plan_of(experiment)
    with pytest.raises(UsageError, match=wrong):
        check_resumed(plan, options, sends=True)
    check_resumed(plan, options, sends=False)  # it may have to return to the baseline


def test_arms_at_addresses_are_asked_by_rest(folder: Path) -> None:
    addresses = {"v1": "http://127.0.0.1:1", "v2": "http://127.0.0.1:2"}
    check_asked(at_addresses(_experiment(folder, _ROWS), addresses), Options())
    with pytest.raises(UsageError, match="addresses of their own"):
        check_asked(at_addresses(_experiment(folder, _GRPC), addresses), Options())


@pytest.mark.parametrize("option", [Options(keep_serving=True), Options(port=1)])
def test_a_resumed_run_serves_nothing_of_arms_at_addresses(folder: Path, option: Options) -> None:
    addresses = {"v1": "http://127.0.0.1:1", "v2": "http://127.0.0.1:2"}
    plan = plan_of(at_addresses(_experiment(folder, _ROWS), addresses))
    check_resumed(plan, Options(), sends=True)
    with pytest.raises(UsageError, match="the arms run already"):
        check_resumed(plan, option, sends=True)


def test_nothing_goes_on_serving_beside_a_stored_baseline(folder: Path) -> None:
    experiment = _experiment(folder, _ROWS)
    with pytest.raises(UsageError, match="fairtrial serve"):
        check_asked(experiment, Options(baseline_run=folder, keep_serving=True))
    plan = plan_of(experiment, stored=Stored("wine-1", "v1", 60.0, True, (1.0,), None, None))
    check_resumed(plan, Options(), sends=True)
    with pytest.raises(UsageError, match="fairtrial serve"):
        check_resumed(plan, Options(keep_serving=True), sends=True)


def test_a_run_with_a_budget_does_not_go_on_serving(folder: Path) -> None:
    experiment, endless = _experiment(folder, _ROWS), Options(budget=60.0, keep_serving=True)
    with pytest.raises(UsageError, match="has no end"):
        check_asked(experiment, endless)
    with pytest.raises(UsageError, match="has no end"):
        check_resumed(plan_of(experiment), endless, sends=True)
    check_resumed(plan_of(experiment), endless, sends=False)  # it is over, and may be served


def test_made_up_requests_are_not_recorded(folder: Path) -> None:
    check_asked(_experiment(folder, _ROWS), Options(record="v1"))
    with pytest.raises(UsageError, match="made up"):
        check_asked(_experiment(folder, "requests: {generate: {rows: 10}}"), Options(record="v1"))
