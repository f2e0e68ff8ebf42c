"""`traffic.live` in the experiment file."""

from __future__ import annotations

from pathlib import Path

import pytest
from fairtrial.errors import UsageError
from fairtrial.experiment.model import Experiment
from fairtrial.experiment.reading import parse
from fairtrial.planning.claims import claims_of, horizon
from fairtrial.planning.plan import plan_of
from fairtrial.planning.steps import steps_of

_FILE = """
apiVersion: fairtrial.dev/v1alpha1
kind: Experiment
spec:
  baseline: {{name: v1, modelUri: "s3://models/a", format: sklearn}}
  candidates: [{{name: v2, modelUri: "s3://models/b", format: sklearn}}]
  strategy: {strategy}
  traffic: {{live: {live}{more}}}
  metrics: [{metrics}]
"""
_LOG = '{source: requestLog, collector: "http://c:8080"}'
_CANARY = "{canary: {steps: [{setWeight: 10}, {setWeight: 50}]}}"


def read(
    live: str = _LOG,
    *,
    strategy: str = _CANARY,
    metrics: str = "{name: accuracy}",
    more: str = "",
    analysis: str = "",
) -> Experiment:
    text = _FILE.format(strategy=strategy, live=live, metrics=metrics, more=more)
    text += f"  analysis: {analysis}\n" if analysis else ""
    return parse(text.encode(), source="e.yaml", folder=Path("/nowhere"))


def test_a_live_trial_needs_no_data_and_is_planned_by_its_expected_rate() -> None:
    experiment = read()
    steps = steps_of(experiment)
    assert horizon(experiment, steps) == (0, 3600)  # 10/s for an hour, a tenth of it to the candidate
    claims = claims_of(experiment, steps, 0)
    (metric,) = claims.metrics
    assert (metric.paired, metric.once_per_row, metric.max_observations) == (False, False, 3600)
    assert (claims.look_interval, claims.planned_looks, claims.max_duration) == (10.0, 360, 3600.0)
    assert claims.last_segment == "step-2"


def test_the_models_log_to_the_collector_and_say_where_the_unit_is() -> None:
    live = _LOG.replace("}", ', logTo: "http://in-cluster:80/base", unit: customer}')
    deployment = plan_of(read(live)).deployment
    loggers = [predictor.graph.logger for predictor in deployment.spec.predictors]
    assert [logger and (logger.mode, logger.url) for logger in loggers] == [
        ("all", "http://in-cluster:80/base/?unit=customer")
    ] * 2


def test_copies_to_a_shadow_are_judged_and_are_no_share_of_the_split() -> None:
    experiment = read(strategy="{shadow: {percent: 30}}")
    steps = steps_of(experiment)
    assert horizon(experiment, steps) == (0, 10_800)
    assert claims_of(experiment, steps, 0).weights == {}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"live": "{source: requestLog}"}, "spec.traffic.live.collector: required with requestLog"),
        ({"live": "{source: prometheus}"}, "spec.traffic.live.server: required with prometheus"),
        (
            {"live": '{source: prometheus, server: "http://p:90", unit: id}', "metrics": "{name: errorRate}"},
            "spec.traffic.live.unit: prometheus knows no single requests",
        ),
        (
            {"live": '{source: requestLog, collector: "c:8080"}'},
            "spec.traffic.live.collector: expected",
        ),
        ({"more": ", loadTest: {}"}, "spec.traffic.live: loadTest is said already"),
        ({"live": _LOG.replace("}", ", feedbackWindow: 0s}")}, "live.feedbackWindow: expected at least 1s"),
        ({"live": _LOG.replace("}", ", maxDuration: 0s}")}, "live.maxDuration: expected more than 0s"),
        ({"strategy": "{blueGreen: {}}"}, "spec.traffic.live: blueGreen sends no requests to the candidate"),
        ({"metrics": "{name: clicks, kind: mean, direction: increase}"}, "the request log does not tell"),
        (
            {"live": '{source: prometheus, server: "http://p:90"}'},
            'spec.metrics.0.name: prometheus tells error rates, .* and no "accuracy"',
        ),
        ({"analysis": "{unit: user}"}, "spec.analysis.unit: say where a request names its user"),
        ({"analysis": "{lookInterval: 1s}"}, "more than 1,000 looks .* say at least 3.6s"),
        ({"analysis": "{lookInterval: 2h}"}, "not shorter than traffic.live.maxDuration"),
    ],
)
def test_mistakes_are_told(changes: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read(**changes)


def test_a_manifest_by_hand_must_log_what_is_to_be_judged(tmp_path: Path) -> None:
    logger = "logger: {mode: all, url: 'http://c:8080/'}"
    manifest = """
apiVersion: machinelearning.seldon.io/v1
kind: SeldonDeployment
metadata: {name: wine}
spec:
  protocol: v2
  predictors:
  - {name: v1, traffic: 90, graph: {name: a, implementation: SKLEARN_SERVER, modelUri: 's3://a', LOGGER}}
  - {name: v2, traffic: 10, graph: {name: b, implementation: SKLEARN_SERVER, modelUri: 's3://b'}}
"""
    text = _FILE.format(strategy=_CANARY, live=_LOG, metrics="{name: accuracy}", more="")
    text = text.replace(', modelUri: "s3://models/a", format: sklearn', "").replace(
        ', modelUri: "s3://models/b", format: sklearn', ""
    )
    text = text.replace("spec:\n", "spec:\n  deployment: wine.yaml\n")
    (tmp_path / "wine.yaml").write_text(manifest.replace("LOGGER", logger), encoding="utf-8")
    experiment = parse(text.encode(), source="e.yaml", folder=tmp_path)
    with pytest.raises(UsageError, match=r"no node of v2 logs its requests; traffic.live needs `logger: "):
        plan_of(experiment)
