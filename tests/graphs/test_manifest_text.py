"""Manifests as text: nothing is lost, the bytes are stable, mistakes are told with their place."""

import json
from pathlib import Path

import pytest
from fairtrial_graphs.build import Arm, build
from fairtrial_graphs.seldon.text import ManifestError, parse, read, render
from ruamel.yaml import YAML

AB_TEST = """
# Two versions of a model, with much that Fairtrial itself never looks at.
apiVersion: machinelearning.seldon.io/v1
kind: SeldonDeployment
metadata:
  name: income
  namespace: risk
  creationTimestamp: 2023-05-04T10:00:00Z
  labels: {team: "7", tier: gold}
  annotations:
    seldon.io/istio-host: income.example.com
    seldon.io/no-engine: "false"
    seldon.io/timeout: "1e3"
spec:
  name: income
  protocol: v2
  annotations: {seldon.io/rest-timeout: "60000"}
  predictors:
  - name: main
    traffic: 75
    replicas: 2
    engineResources: {requests: {cpu: 100m}}
    svcOrchSpec:
      env: [{name: SELDON_LOG_LEVEL, value: debug}]
    componentSpecs:
    - metadata: {creationTimestamp: null}
      hpaSpec: {minReplicas: 1, maxReplicas: 3}
      spec:
        terminationGracePeriodSeconds: 20
        containers:
        - name: main-model
          image: registry.example.com/mlserver:1.7.1
          imagePullPolicy: IfNotPresent
          env:
          - {name: OMP_NUM_THREADS, value: "1"}
          - name: TOKEN
            valueFrom: {secretKeyRef: {name: hub, key: token}}
          resources: {limits: {cpu: 1, memory: 2Gi}}
          volumeMounts: [{name: cache, mountPath: /cache}]
        volumes: [{name: cache, emptyDir: {}}]
    graph:
      name: main-model
      implementation: SKLEARN_SERVER
      modelUri: gs://bucket/income/1
      envSecretRefName: rclone
      logger: {mode: all, url: http://broker/default}
      children: []
    explainer: {type: AnchorTabular, modelUri: gs://bucket/explainer}
    ssl: {certSecretName: tls}
  - name: canary
    traffic: 25
    labels: {canary: "true"}
    graph:
      name: canary-model
      type: MODEL
      implementation: XGBOOST_SERVER
      modelUri: s3://bucket/income/2
      parameters: [{name: method, value: predict_proba, type: STRING}]
status:
  state: Available
  replicas: 3
"""

ROUTER = """{
  "apiVersion": "machinelearning.seldon.io/v1alpha2",
  "kind": "SeldonDeployment",
  "metadata": {"name": "bandit", "labels": {"app": "seldon"}},
  "spec": {
    "oauth_key": "k", "oauth_secret": "s", "name": "bandit",
    "predictors": [{
      "name": "p", "replicas": 1,
      "componentSpecs": [{"spec": {"containers": [
        {"image": "a:1", "name": "a"}, {"image": "b:1", "name": "b"}, {"image": "r:1", "name": "r"}]}}],
      "graph": {"name": "r", "type": "ROUTER", "endpoint": {"type": "REST"},
        "parameters": [{"name": "epsilon", "type": "FLOAT", "value": "0.1"}],
        "children": [{"name": "a", "type": "MODEL", "children": []}, {"name": "b", "methods": ["ROUTE"]}]}
    }]
  }
}"""

SINGLE = """\
kind: SeldonDeployment
apiVersion: machinelearning.seldon.io/v1alpha3
metadata: {generateName: iris-}
spec:
  transport: grpc
  serverType: rpc
  predictors:
  - graph: {implementation: SKLEARN_SERVER, modelUri: "gs://b/iris", name: classifier}
    name: default
    shadow: false
    progressDeadlineSeconds: 600
"""


def plain(text: str) -> object:
    """As an API server would see it: JSON types only, timestamps being strings."""
    loaded = YAML(typ="safe", pure=True).load(text)
    return json.loads(json.dumps(loaded, default=lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%SZ")))


@pytest.mark.parametrize("text", [AB_TEST, ROUTER, SINGLE], ids=["ab-test", "json-v1alpha2", "minimal"])
def test_a_hand_written_manifest_is_written_back_with_nothing_lost_or_added(text: str):
    assert plain(render(parse(text))) == plain(text)


@pytest.mark.parametrize("text", [AB_TEST, ROUTER, SINGLE], ids=["ab-test", "json-v1alpha2", "minimal"])
def test_rendering_is_stable_under_reading(text: str):
    once = render(parse(text))
    assert render(parse(once)) == once


def test_strings_that_a_yaml_1_1_reader_would_take_for_something_else_are_quoted():
    values = [
        "yes",
        "On",
        "n",
        "~",
        "null",
        "",
        "1",
        "1e3",
        "0x1F",
        "12:30:45",
        "2020-01-01",
        " a",
        "a: b",
        "#x",
    ]
    values += [
        "- x",
        "=",
        "<<",
        "line\nbreak",
        "ümlaut",
        "a #b",
        "@x",
        "100%",
        "true",
        ".5",
        "v1",
        "gs://b/x",
    ]
    annotations = {f"a{number}": value for number, value in enumerate(values)}
    text = render(build("d", [Arm("v1", "gs://b/x", "SKLEARN_SERVER")], annotations=annotations))

    old = YAML(typ="safe", pure=True)
    old.version = (1, 1)  # pyright: ignore[reportAttributeAccessIssue]
    assert old.load(text)["metadata"]["annotations"] == annotations
    assert plain(text) == json.loads(json.dumps(old.load(text)))
    assert "a24: v1\n" in text


def test_the_only_seldon_deployment_among_several_documents_is_found(tmp_path: Path):
    path = tmp_path / "all.yaml"
    path.write_text(f"kind: Secret\napiVersion: v1\n---\n{SINGLE}---\nkind: Service\n", encoding="utf-8")
    assert read(path).spec.predictors[0].name == "default"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "m.yaml:1:"),
        ("kind: Secret", "there is none"),
        (f"{SINGLE}---\n{SINGLE}", "there are 2"),
        (
            SINGLE.replace("shadow: false", "shadow: maybe"),
            "m.yaml:10:13 spec.predictors.0.shadow: input should be",
        ),
        (SINGLE.replace("shadow: false", 'traffic: "50"'), "spec.predictors.0.traffic: input should be"),
        (SINGLE.replace("    name: default\n", ""), "spec.predictors.0.name: field required"),
        (SINGLE.replace("/v1alpha3", "/v2"), "apiVersion: input should be"),
        (
            SINGLE.replace("    shadow: false", "    name: twice"),
            "m.yaml:10:5: is not YAML: found duplicate key",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, message: str):
    with pytest.raises(ManifestError) as error:
        parse(text, source="m.yaml")
    assert message in str(error.value)


def test_all_mistakes_are_told_at_once():
    wrong = SINGLE.replace("shadow: false", "shadow: maybe").replace("    name: default\n", "")
    with pytest.raises(ManifestError) as error:
        parse(wrong)
    assert len(str(error.value).splitlines()) == 2


def test_a_file_that_is_not_there_is_a_manifest_error(tmp_path: Path):
    with pytest.raises(ManifestError, match=r"none\.yaml"):
        read(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &a [*a]", "within itself"),
        ("[" * 500, "levels deep"),
        (
            "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
            + "".join(
                f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 10)}]\n" for i in range(8)
            ),
            "aliases counted",
        ),
        ("kind: !!python/object:os.system x", "is not YAML"),
        ("a: !!binary aGk=", "m.yaml:1:4 a: a value of type bytes"),
        ("a: .nan", "no number that JSON has"),
        ("a: {1: x}", "quote 1"),
        ('{"a": 1, "a": 2}', "duplicate key"),
        ("\x00", "is not YAML"),
        ("x" * 5_000_000, "larger than 4 MB"),
    ],
)
def test_a_file_that_is_hostile_or_damaged_is_a_sentence(text: str, message: str):
    with pytest.raises(ManifestError) as error:
        parse(text, source="m.yaml")
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) == 1
