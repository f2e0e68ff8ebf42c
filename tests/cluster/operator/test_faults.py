"""The API server is slow, busy, wrong and deaf; every experiment comes to its end all the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from cluster.control_plane import ControlPlane
from cluster.faults import Faults, FaultyProxy
from cluster.operator.conftest import Cluster, Running
from cluster.operator.many import Many

pytestmark = pytest.mark.heavy


@pytest.mark.timeout(150)
def test_experiments_come_to_their_ends_through_faults(
    control_plane: ControlPlane, cluster: Cluster, tmp_path: Path
):
    proxy = FaultyProxy(control_plane, tmp_path, Faults.all(0.1))
    proxy.start()
    many = Many(cluster, 12)
    many.create()
    running = Running(
        control_plane,
        cluster,
        kubeconfig=proxy.kubeconfig,
        lease_duration=15,
        ready_timeout=60.0,
        unready_limit=2.0,
    )
    try:
        many.drive(timeout=90)
    finally:
        running.stop()
        proxy.stop()
    assert many.troubles() == []
    assert min(proxy.faulted.values()) > 0
