"""The verbs of the command line that are about an experiment on a cluster."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result
from cluster.control_plane import ControlPlane
from cluster.operator.conftest import Cluster, Start
from cluster.operator.scripted import GOOD
from fairtrial.cli.group import cli

pytestmark = pytest.mark.heavy


@pytest.fixture
def said(control_plane: ControlPlane, cluster: Cluster):
    def run(*args: str) -> Result:
        where = ["--namespace", cluster.namespace, "--kubeconfig", str(control_plane.kubeconfig)]
        return CliRunner().invoke(cli, [*args, *where])

    return run


def test_an_experiment_is_paused_resumed_aborted_and_begun_again(cluster: Cluster, start: Start, said):
    start()
    cluster.create()
    cluster.until_step("1/2")
    assert said("pause", "wine").exit_code == 0
    cluster.until_phase("Paused")
    assert said("resume", "wine").exit_code == 0
    cluster.until_phase("Running")
    again = said("resume", "wine")
    assert again.exit_code == 2
    assert "is not paused" in again.output
    assert said("abort", "wine").exit_code == 0
    cluster.until_phase("Aborted")
    ended = said("abort", "wine")
    assert ended.exit_code == 2
    assert "has ended: Aborted, aborted on request" in ended.output
    assert said("resume", "wine").exit_code == 0
    cluster.until(lambda status: status["run"]["attempt"] == 2)


def test_status_shows_where_an_experiment_is(cluster: Cluster, start: Start, said):
    cluster.create()
    assert "no operator has seen it yet" in said("status", "wine").output
    start()
    cluster.until_step("1/2")
    cluster.source().bring(40, GOOD)
    cluster.until_phase("Promoted")
    shown = said("status", "wine").output
    assert "phase       Promoted" in shown
    assert "weights     v2 100" in shown
    document = json.loads(said("status", "wine", "--output", "json").output)
    assert document["verdict"]["verdict"] == "PROMOTE"
    assert "journal" not in document


def test_what_cannot_be_asked_is_told(cluster: Cluster, said):
    missing = said("approve", "beer")
    assert missing.exit_code == 2
    assert "there is no experiment beer in namespace" in missing.output
    cluster.create()
    waiting = said("approve", "wine")
    assert waiting.exit_code == 2
    assert "waits for nobody's approval" in waiting.output
    assert said("abort").exit_code == 2
