"""A Pipeline's spec becomes the two files that a watch takes, or every mistake is told with its path."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from experiments.operator.pipelines.specs import (
    EXPERIMENT,
    LISTENING,
    experiment,
    mistakes,
    read,
    spec,
)
from fairtrial.delivery.pinning import load_template
from fairtrial.delivery.pipeline.reading import load
from ruamel.yaml import YAML


def test_the_files_are_what_a_watch_takes_and_mean_the_same(tmp_path: Path):
    odd = ["1.10", "yes", "0x10", "2026-11-28", "null", "1e3", "12:30", "", "~", "010", "<<", "é😀", "a\nb\n"]
    parameters = {f"p{number}": text for number, text in enumerate(odd)}
    arms = [EXPERIMENT["candidates"][0] | {"parameters": parameters}]
    said = experiment(candidates=arms)
    said["triggers"] = [{"name": "old", "expiry": {"timeToLive": "30d"}, "do": ["tryNext"]}]
    found = read(said)
    (tmp_path / "pipeline.yaml").write_text(found.pipeline, encoding="utf-8")
    (tmp_path / "experiment.yaml").write_text(found.experiment, encoding="utf-8")
    (tmp_path / "rows.csv").touch()
    pipeline = load(tmp_path / "pipeline.yaml")
    assert pipeline.name == "wine"
    assert pipeline.spec.serve.kubernetes is not None
    assert pipeline.spec.triggers == found.spec.triggers
    template = load_template(tmp_path / "experiment.yaml")
    assert template.metadata.name == "wine"
    assert template.spec == found.spec.experiment
    assert template.spec.candidates[0].parameters == parameters
    assert YAML(typ="safe").load(found.experiment)["spec"] == said["experiment"]


def test_the_order_of_fields_makes_no_other_file():
    turned = dict(reversed(spec().items()))
    turned["experiment"] = dict(reversed(EXPERIMENT.items()))
    assert read(turned).pipeline == read(spec()).pipeline
    assert read(turned).experiment == read(spec()).experiment


def test_every_mistake_is_told_with_its_path():
    said = experiment(metrics=[{"name": "accuracy", "minEfect": "1pp"}], onInconclusive="hold")
    said |= {"trigers": [], "challenger": "champion", "serve": {"local": {"port": 8080}}}
    said["pod"] = {"storage": {"size": "big"}, "env": [{"name": "A"}, {"name": "A"}, {"value": "1"}]}
    told = mistakes(said, files=())
    for part in (
        'spec.experiment.metrics.0.minEfect: unknown field, did you mean "minEffect"?',
        "spec.experiment.onInconclusive: hold leaves two versions in service",
        'spec.trigers: unknown field, did you mean "triggers"?',
        "spec.challenger: that is the alias of the version in service",
        "spec.serve: in a pod nobody would reach",
        'spec.pod.storage.size: expected a size such as 10Gi, got the text "big"',
        "spec.pod.env.1: another variable is called A already",
        "spec.pod.env.2: required: the variable's name",
        "spec.experiment.traffic.loadTest.requests.data: there is no data at rows.csv",
    ):
        assert part in told, part
    assert len(re.findall(r"spec[.\w]+: ", told)) == 9, told


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({}, "spec.registry: required"),
    (spec(experiment=...), "spec.experiment: required"),
    (spec(experiment="experiment.yaml"), "spec.experiment: expected a mapping"),
    (spec(serve={"kubernetes": {"kubeconfig": "/x"}}), "spec.serve.kubernetes.kubeconfig: a pod has no"),
    (spec(serve={"kubernetes": {"context": "x"}}), "spec.serve.kubernetes.context: a pod has no"),
    (
        spec(serve={"kubernetes": {"namespace": "shop"}}),
        "serves in its own namespace, models; create it in shop",
    ),
    (spec(serve={}), "spec.serve: in a pod nobody"),
    (experiment(promotion={"mlflow": {"model": "wine"}}), "spec.experiment.promotion: the pipeline moves"),
    (experiment(deployment="wine"), "spec.experiment.deployment: a pipeline replaces"),
    (
        experiment(candidates=[*EXPERIMENT["candidates"], {"name": "b", "modelUri": "s3://b"}]),
        "one version at a time",
    ),
    (
        experiment(baseline={"name": "old", "modelUri": "models/v1"}),
        "spec.experiment.baseline.modelUri: models/v1 is a file of one machine",
    ),
    (
        experiment(traffic={"loadTest": {"locustfile": "users.py"}}),
        "there is no locustfile at users.py; bring it",
    ),
    (
        experiment(traffic={"loadTest": {"requests": {"data": "data/rows.csv"}}}),
        "there is no data at data/rows.csv; bring it",
    ),
    (spec(listen={"port": 8077}), "spec.listen.address: 127.0.0.1 is reached from nowhere outside"),
    (spec(listen=LISTENING), "spec.listen.token: nothing sets TOKEN"),
    (
        spec(listen=LISTENING | {"port": 80}, pod={"envFrom": [{"secretRef": {"name": "s"}}]}),
        "spec.listen.port: say one from 1024",
    ),
    (spec(listen={"address": "0.0.0.0", "port": 8077}), "spec.listen.token: required"),
    (spec(pod={"listenToken": {"secret": "s"}}), "spec.pod.listenToken: nothing listens"),
    (
        spec(pod={"env": [{"name": "FAIRTRIAL_PIPELINE", "value": "x"}]}),
        "the operator sets FAIRTRIAL_PIPELINE itself",
    ),
    (spec(listen=LISTENING, pod={"env": [{"name": "TOKEN"}], "listenToken": {"secret": "s"}}), "say it once"),
    (
        spec(pod={"files": {"configMap": "Hold Out"}}),
        "spec.pod.files.configMap: expected the name of an object",
    ),
]


@pytest.mark.parametrize(("said", "told"), REFUSED, ids=[told for _, told in REFUSED])
def test_what_no_pod_could_watch_is_refused(said: dict[str, Any], told: str):
    assert told in mistakes(said)


@pytest.mark.parametrize("name", ["a" * 44, "wine.v1"])
def test_a_name_that_its_objects_cannot_have_is_refused(name: str):
    assert mistakes(spec(), name=name).startswith("metadata.name: expected ")


def test_a_name_with_which_no_service_can_begin_is_refused_where_there_is_one():
    listening = spec(listen=LISTENING)
    listening["pod"]["listenToken"] = {"secret": "s"}
    assert "metadata.name: a Service's name" in mistakes(listening, name="1wine")
    assert read(spec(), name="1wine").name == "1wine"


def test_a_file_of_a_name_that_is_taken_is_refused():
    assert "spec.pod.files: experiment.yaml is a name" in mistakes(
        spec(), files=("rows.csv", "experiment.yaml")
    )


def test_what_is_on_a_volume_is_left_to_the_pod():
    said = experiment(traffic={"loadTest": {"requests": {"data": "./data/rows.csv"}}})
    said["pod"] = {"data": {"claim": "rows"}}
    assert read(said, files=()).spec.pod.data is not None
    said["experiment"]["traffic"]["loadTest"]["requests"]["data"] = "data/../rows.csv"
    assert "there is no data" in mistakes(said, files=())


def test_the_pipelines_own_namespace_may_be_said():
    assert "namespace: models" in read(spec(serve={"kubernetes": {"namespace": "models"}})).pipeline
