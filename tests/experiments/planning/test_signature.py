"""An arm that must be signed: the key reaches the server, and mistakes are said before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from fairtrial.errors import FairtrialError, UsageError
from fairtrial.experiment.reading import load
from fairtrial.planning.deployment import deployment_of
from fairtrial.planning.models import Models
from fairtrial_graphs.seldon.types import SeldonDeployment

_FILE = """\
apiVersion: fairtrial.dev/v1alpha1
kind: Experiment
metadata: {name: signed}
spec:
  baseline: {name: v1, modelUri: m.joblib, %s}
  candidates: [{name: v2, modelUri: m.joblib}]
  traffic: {loadTest: {requests: {data: data.parquet}}}
  metrics: [{name: errorRate, role: guardrail}]
"""


@pytest.fixture
def written(tmp_path):
    for name in ("m.joblib", "data.parquet"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "team.pub").write_text("-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----\n")
    (tmp_path / "team.key").write_text("-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n")

    def write(arm: str) -> Path:
        (tmp_path / "experiment.yaml").write_text(_FILE % arm)
        return tmp_path / "experiment.yaml"

    return write


def planned(file: Path) -> SeldonDeployment:
    experiment = load(file)
    return deployment_of(experiment, Models(experiment.folder))


def test_the_key_itself_is_a_parameter_of_the_node(written):
    deployment = planned(written("signature: {publicKey: team.pub, file: team.sig}"))
    signed, other = (predictor.graph for predictor in deployment.spec.predictors)
    said = {each.name: each.value for each in signed.parameters}
    assert said["signature_public_key"].startswith("-----BEGIN PUBLIC KEY-----")
    assert said["signature_file"] == "team.sig"
    assert not other.parameters


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        ("signature: {}", "say either publicKey or certificates"),
        ("signature: {publicKey: a, certificates: b}", "say either publicKey or certificates"),
        ("signature: {publicKey: nowhere.pub}", "there is no public key at"),
    ],
)
def test_mistakes_in_the_file_are_said_where_they_are(written, arm, said):
    with pytest.raises(FairtrialError, match=said):
        load(written(arm))


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        ("signature: {publicKey: team.key}", "holds a private key"),
        ("signature: {publicKey: team.pub}, implementation: mlserver_sklearn.SKLearnModel", "does not check"),
    ],
)
def test_a_key_that_must_not_be_handed_on_and_a_server_that_does_not_check_are_refused(written, arm, said):
    with pytest.raises(UsageError, match=said):
        planned(written(arm))
