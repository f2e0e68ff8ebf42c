"""Which cluster is meant, and what is told where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from fairtrial_graphs.backends.interface import NotReady
from fairtrial_graphs.backends.kubernetes.connection import connect


def test_a_pod_without_a_service_account_is_told_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    with pytest.raises(
        NotReady, match=r"this pod's ServiceAccount cannot be used: .*automountServiceAccount"
    ):
        connect()
