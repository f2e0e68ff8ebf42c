"""The pipeline file: what a short one means, and every mistake with its place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fairtrial.cli.group import cli
from fairtrial.delivery.pipeline.model import Pipeline
from fairtrial.delivery.pipeline.reading import load
from fairtrial.delivery.pipeline.schema import pipeline_schema_text
from fairtrial.delivery.pipeline.schema_file import pipeline_schema_file_text
from fairtrial.errors import UsageError
from fairtrial.experiment.problems import ExperimentFileError

LINES = """\
apiVersion: fairtrial.dev/v1alpha1
kind: Pipeline
metadata: {name: wine}
spec:
  registry: {mlflow: {model: wine, alias: champion}}
  challenger: candidate
  serve: {local: {port: 8080}}
  image: {push: registry.example/wine}
  listen: {port: 8077}
  retrain: {command: {run: [python, train.py], timeout: 2h}}
  notifications: [{webhook: "https://hooks.example/x", events: [promoted]}]
  triggers:
    - {name: new-version, registry: {every: 10s}}
    - {name: degraded, alert: {match: {alertname: ModelDegraded}}, do: [rollBack, notify]}
    - {name: drift, cloudEvent: {type: io.seldon.drift}, do: [retrain]}
    - {name: monthly, expiry: {timeToLive: 30d}, do: [tryNext]}
    - {name: nightly, schedule: {cron: "0 3 * * *", timeZone: Europe/Berlin}, do: [retrain]}
"""
SHORT = """\
apiVersion: fairtrial.dev/v1alpha1
kind: Pipeline
spec: {registry: {mlflow: {model: wine}}}
"""
EXPERIMENT = """\
apiVersion: fairtrial.dev/v1alpha1
kind: Experiment
spec:
  baseline: {name: v1, modelUri: "models:/wine@champion"}
  candidates: [{name: v2, modelUri: "models:/wine@challenger"}]
  traffic: {loadTest: {requests: {data: rows.jsonl}}}
  metrics: [{name: errorRate, maxRegression: 1pp}]
"""
SCHEMA: dict[str, Any] = json.loads(pipeline_schema_file_text())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "experiment.yaml").write_text(EXPERIMENT)
    (tmp_path / "rows.jsonl").touch()
    return tmp_path


def read(folder: Path, text: str) -> Pipeline:
    file = folder / "pipeline.yaml"
    file.write_text(text)
    return load(file)


def mistakes(folder: Path, text: str) -> list[str]:
    with pytest.raises(ExperimentFileError) as caught:
        read(folder, text)
    return [
        str(problem).removeprefix(f"{folder / 'pipeline.yaml'}:").replace(str(folder), "FOLDER")
        for problem in caught.value.problems
    ]


def test_a_file_that_says_all_has_no_mistake(folder: Path) -> None:
    spec = read(folder, LINES).spec
    assert [trigger.kind for trigger in spec.triggers] == [
        "registry", "alert", "cloudEvent", "expiry", "schedule",
    ]  # fmt: skip
    assert spec.triggers[3].expiry is not None
    assert spec.triggers[3].expiry.time_to_live == 30 * 86400
    assert spec.retrain is not None
    assert spec.retrain.command is not None
    assert spec.retrain.command.timeout == 7200


def test_a_short_file_means_this(folder: Path) -> None:
    pipeline = read(folder, SHORT)
    spec = pipeline.spec
    assert (pipeline.name, pipeline.folder) == ("pipeline", folder)
    assert (spec.registry.chosen.alias, spec.challenger) == ("champion", "challenger")
    assert spec.experiment == "experiment.yaml"
    (trigger,) = spec.triggers
    assert trigger.registry is not None
    assert (trigger.name, trigger.registry.every) == ("challenger", 30)
    assert (spec.image, spec.retrain, spec.listen, spec.notifications) == (None, None, None, ())


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "challenger:",
            "chalenger:",
            '6:3 spec.chalenger: unknown field, did you mean "challenger"?',
        ),
        (
            "challenger: candidate",
            "challenger: champion",
            "6:15 spec.challenger: that is the alias of the version in service; name another",
        ),
        (
            "challenger: candidate",
            "challenger: v7",
            "6:15 spec.challenger: expected a name that can move, such as champion; v7 says a version",
        ),
        (
            "challenger: candidate",
            "experiment: trial.yaml",
            "6:15 spec.experiment: there is no experiment file at FOLDER/trial.yaml",
        ),
        (
            "{local: {port: 8080}}",
            "{local: {}, kubernetes: {}}",
            "7:34 spec.serve.kubernetes: local is said already; choose one of the two",
        ),
        (
            "port: 8080",
            "port: 70000",
            "7:25 spec.serve.local.port: expected at most 65535, got the number 70000",
        ),
        (
            "{push: registry.example/wine}",
            "{}",
            "8:3 spec.image.push: required, such as registry.example/models/wine",
        ),
        (
            "{port: 8077}",
            "{port: 8077, address: 0.0.0.0}",
            "9:3 spec.listen.token: required: anybody who reaches 0.0.0.0 could roll back",
        ),
        (
            "  listen: {port: 8077}\n",
            "",
            "13:7 spec.triggers.1: is told by others: say where in spec.listen\n"
            "14:7 spec.triggers.2: is told by others: say where in spec.listen",
        ),
        (
            "  retrain: {command: {run: [python, train.py], timeout: 2h}}\n",
            "",
            "14:62 spec.triggers.2.do: say in spec.retrain how a retraining is started\n"
            "16:83 spec.triggers.4.do: say in spec.retrain how a retraining is started",
        ),
        (
            '  notifications: [{webhook: "https://hooks.example/x", events: [promoted]}]\n',
            "",
            "13:72 spec.triggers.1.do: say in spec.notifications who is told",
        ),
        (
            "{command: {run: [python, train.py], timeout: 2h}}",
            "{}",
            "10:12 spec.retrain: say how it is started: one of command, webhook, airflow, kubeflow\n"
            "15:62 spec.triggers.2.do: say in spec.retrain how a retraining is started\n"
            "17:83 spec.triggers.4.do: say in spec.retrain how a retraining is started",
        ),
        (
            "events: [promoted]",
            "events: [promotd]",
            "11:65 spec.notifications.0.events.0: expected adopted, promoted, refused, rolledBack, "
            'retraining, noted or failed, got the text "promotd"',
        ),
        (
            "{name: new-version, registry: {every: 10s}}",
            "{name: new-version}",
            "13:7 spec.triggers.0: say what it waits for: one of registry, alert, cloudEvent, "
            "schedule, expiry",
        ),
        (
            "registry: {every: 10s}",
            "registry: {}, do: [notify]",
            "13:45 spec.triggers.0.do: a registry trigger tries the version that got the alias; "
            "leave this out",
        ),
        (
            ", do: [tryNext]",
            "",
            "16:7 spec.triggers.3.do: required: what is done, such as [rollBack, notify]",
        ),
        (
            "do: [tryNext]",
            "do: [tryNxt]",
            "16:55 spec.triggers.3.do.0: expected tryNext, rollBack, retrain or notify, got the text "
            '"tryNxt"',
        ),
        (
            "name: drift",
            "name: degraded",
            '15:14 spec.triggers.2.name: another trigger is called "degraded" already',
        ),
        (
            "expiry: {timeToLive: 30d}",
            "expiry: {timeToLive: 30d}, registry: {}",
            "16:31 spec.triggers.3.expiry: registry is said already; a trigger is one of the two\n"
            "16:68 spec.triggers.3.do: a registry trigger tries the version that got the alias; "
            "leave this out",
        ),
        (
            "timeToLive: 30d",
            "timeToLive: 30",
            "16:44 spec.triggers.3.expiry.timeToLive: expected an age such as 30d or 12h, got the number 30",
        ),
        (
            '"0 3 * * *"',
            '"0 3 * *"',
            "17:40 spec.triggers.4.schedule.cron: expected five fields (minute, hour, day, month, "
            'day of the week) such as "0 3 * * 1", got 4',
        ),
        (
            "Europe/Berlin",
            "Europe/Bonn",
            '17:63 spec.triggers.4.schedule.timeZone: "Europe/Bonn" is no time zone of the IANA '
            'database; expected a name such as "Europe/Berlin" (where there are none at all, install '
            "tzdata)",
        ),
        (
            "alertname: ModelDegraded",
            "alertname: /Model(/",
            "14:51 spec.triggers.1.alert.match.alertname: is no regular expression: missing ), "
            "unterminated subpattern at position 5",
        ),
        (
            "kind: Pipeline",
            "kind: Experiment",
            '2:7 kind: expected Pipeline, got the text "Experiment"; `fairtrial run` takes it',
        ),
        (
            "alias: champion",
            'alias: champion, trackingUri: "https://ann:secret@host"',
            "5:66 spec.registry.mlflow.trackingUri: expected an address without a password or token, "
            "which would be copied into run folders: MLFLOW_TRACKING_USERNAME and its like are taken "
            "from the environment, see docs/registries.md",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place_and_the_way_out(
    folder: Path, old: str, new: str, expected: str
) -> None:
    assert LINES.count(old) == 1, "the change must be of one place"
    assert "\n".join(mistakes(folder, LINES.replace(old, new))) == expected


def test_all_mistakes_are_told_at_once(folder: Path) -> None:
    text = LINES.replace("push:", "psh:").replace("2h", "2 hours").replace("[tryNext]", "[]")
    assert [line.split(":")[0] for line in mistakes(folder, text)] == ["8", "10", "16"]


def test_the_default_experiment_that_is_not_there_is_told(folder: Path) -> None:
    (folder / "experiment.yaml").unlink()
    assert mistakes(folder, SHORT) == [
        "3:1 spec.experiment: there is no experiment file at FOLDER/experiment.yaml, the default; say where "
        "it is"
    ]


@pytest.mark.parametrize("text", ["", "[]", "kind: [", "\0", "spec: 7", "a: &a [*a]"])
def test_what_is_no_pipeline_at_all_is_told(folder: Path, text: str) -> None:
    assert mistakes(folder, text)


def test_a_file_that_is_not_there_is_told(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no file .*none\.yaml$"):
        load(folder / "none.yaml")
    with pytest.raises(UsageError, match=r"is a folder, not a pipeline file$"):
        load(folder)


class TestTheSchema:
    def properties(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, part in {"Pipeline": SCHEMA, **SCHEMA["$defs"]}.items():
            for field, schema in part["properties"].items():
                yield f"{name}.{field}", schema

    def test_the_checked_in_copy_is_in_step(self) -> None:
        assert pipeline_schema_file_text() == pipeline_schema_text(), (
            "run `python -m fairtrial.delivery.pipeline.schema`"
        )

    def test_only_what_is_needed_is_required(self) -> None:
        assert SCHEMA["required"] == ["apiVersion", "kind", "spec"]
        assert SCHEMA["$defs"]["Spec"]["required"] == ["registry"]
        assert SCHEMA["$defs"]["Trigger"]["required"] == ["name"]

    def test_unknown_fields_and_nulls_are_offered_nowhere(self) -> None:
        assert all(part["additionalProperties"] is False for part in [SCHEMA, *SCHEMA["$defs"].values()])
        assert "null" not in re.findall(r'"type": "(\w+)"|(null)', pipeline_schema_file_text())
        assert ": null" not in pipeline_schema_file_text()

    def test_every_field_is_described_and_every_default_is_in_words(self) -> None:
        for name, schema in self.properties():
            part = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
            assert schema.get("description") or part.get("description"), name
            default = schema.get("default", [])
            if default != []:
                word = str(default).lower() if isinstance(default, bool) else str(default)
                assert f"Default: {word}" in schema["description"], name

    def test_the_verb_prints_it(self) -> None:
        result = CliRunner().invoke(cli, ["schema", "--kind", "pipeline"])
        assert (result.exit_code, json.loads(result.stdout)) == (0, SCHEMA)


class TestValidating:
    def validated(self, *files: Path) -> tuple[int, str, str]:
        result = CliRunner().invoke(cli, ["validate", *map(str, files)])
        return result.exit_code, result.stdout, result.stderr

    def test_a_pipeline_without_mistakes(self, folder: Path) -> None:
        file = folder / "pipeline.yaml"
        file.write_text(LINES)
        assert self.validated(file) == (0, f"{file}: no mistakes\n", "")

    def test_a_mistake_of_its_own(self, folder: Path) -> None:
        file = folder / "pipeline.yaml"
        file.write_text(LINES.replace("push:", "psh:"))
        code, said, told = self.validated(file)
        assert (code, said) == (2, "")
        assert told == (
            f'{file}:8:11 spec.image.psh: unknown field, did you mean "push"?\nerror: 1 mistake in {file}\n'
        )

    def test_mistakes_of_its_experiment_are_told_of_that_file(self, folder: Path) -> None:
        file, experiment = folder / "pipeline.yaml", folder / "experiment.yaml"
        file.write_text(SHORT)
        experiment.write_text(
            EXPERIMENT + "  promotion: {mlflow: {model: wine}}\n  onInconclusive: hold\n  deadline: 7\n"
        )
        code, _, told = self.validated(file)
        assert code == 2
        assert told.splitlines()[:2] == [
            f"{experiment}:8:3 spec.promotion: the pipeline moves the registry's alias; remove it",
            f"{experiment}:9:19 spec.onInconclusive: hold leaves two versions in service; a pipeline needs "
            "one",
        ]
        assert told.splitlines()[2].startswith(
            f"{experiment}:10:3 spec.deadline: unknown field; known here: "
        )
