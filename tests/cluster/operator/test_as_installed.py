"""The operator with the rights that its chart gives it: in the namespace that it watches, and no more."""

from __future__ import annotations

import dataclasses
import getpass
import logging
from pathlib import Path

import pytest
from cluster.control_plane import ControlPlane, kubeconfig
from cluster.helm import Helm
from cluster.operator.conftest import Cluster, Running
from cluster.operator.scripted import GOOD
from cluster.service_accounts import installed, token_of

pytestmark = pytest.mark.heavy


def test_it_promotes_cleans_up_and_is_never_forbidden_anything(
    cluster: Cluster,
    control_plane: ControlPlane,
    helm: Helm,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(getpass, "getuser", _nameless)
    installed(helm, cluster.api, cluster.namespace)
    token = token_of(cluster.api, cluster.namespace)
    config = kubeconfig(tmp_path / "kubeconfig", control_plane.url, control_plane.authority, token)
    running = Running(dataclasses.replace(control_plane, kubeconfig=config), cluster)
    try:
        with caplog.at_level(logging.INFO):
            cluster.create()
            cluster.until_step("1/2")
            cluster.source().bring(3, GOOD)
            cluster.until_step("2/2")
            cluster.source().bring(40, GOOD)
            cluster.until_phase("Promoted")
            cluster.delete()
            cluster.gone()
    finally:
        running.stop()
    assert cluster.split() == {"v2": 100}
    assert "orbidden" not in caplog.text


def _nameless() -> str:
    """As in the image, whose user has a number and no name."""
    raise KeyError("getpwuid(): uid not found: 8888")
