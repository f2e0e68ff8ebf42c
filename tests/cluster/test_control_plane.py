"""What the other tests of this folder take for granted: real servers, reached by us alone, which end."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import psutil
import pytest
from cluster import control_plane as starting
from cluster import programs
from cluster.client import Client, RefusedError
from cluster.control_plane import ControlPlane, NotStartedError

pytestmark = pytest.mark.heavy

CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
POD = {"containers": [{"name": "pause", "image": "example.org/pause:1"}]}


def deployment(replicas: int) -> dict[str, object]:
    labels = {"app": "d"}
    template = {"metadata": {"labels": labels}, "spec": POD}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}


@pytest.mark.skipif("KUBEBUILDER_ASSETS" in os.environ, reason="another version may be in KUBEBUILDER_ASSETS")
def test_the_server_is_of_the_pinned_version(api: Client):
    assert api.version() == programs.version()


def test_it_is_reached_from_this_machine_only(control_plane: ControlPlane):
    for process in control_plane.processes:
        connections = psutil.Process(process.pid).net_connections("inet")
        listening = {each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN}
        assert listening == {"127.0.0.1"}


def test_strangers_are_refused(control_plane: ControlPlane):
    stranger = Client(control_plane.url, control_plane.authority, "guessed")
    with pytest.raises(RefusedError) as refused:
        stranger.list("v1", "ConfigMap")
    assert refused.value.code == 401
    stranger.close()


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no kubectl")
def test_kubectl_takes_the_kubeconfig(control_plane: ControlPlane, namespace: str):
    command = [
        "kubectl",
        "get",
        "namespace",
        namespace,
        "--output=name",
        f"--kubeconfig={control_plane.kubeconfig}",
    ]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout == f"namespace/{namespace}\n"


def test_a_dry_run_leaves_nothing_behind(api: Client, namespace: str):
    assert api.apply(CONFIG, namespace=namespace, dry_run=True)["metadata"]["uid"]
    assert api.get("v1", "ConfigMap", "c", namespace=namespace) is None


@pytest.mark.parametrize("dry_run", [True, False])
def test_an_unknown_field_is_refused(api: Client, namespace: str, dry_run: bool):
    for verb in (api.apply, api.create):
        with pytest.raises(RefusedError, match=r"dta"):
            verb({**CONFIG, "dta": {}}, namespace=namespace, dry_run=dry_run)


def test_two_who_set_a_field_are_in_conflict(api: Client, namespace: str):
    api.apply({**CONFIG, "data": {"k": "1"}}, namespace=namespace, manager="one")
    other = {**CONFIG, "data": {"k": "2"}}
    with pytest.raises(RefusedError, match=r"\.data\.k") as refused:
        api.apply(other, namespace=namespace, manager="two")
    assert refused.value.code == 409
    assert api.apply(other, namespace=namespace, manager="two", force=True)["data"] == {"k": "2"}


def test_waiting_ends_with_the_change_that_was_waited_for(api: Client, namespace: str):
    api.apply(CONFIG, namespace=namespace)
    seen: list[object] = []

    def until(found: dict[str, object] | None) -> bool:
        if not seen:  # change it while it is watched
            api.patch("v1", "ConfigMap", "c", {"data": {"k": "1"}}, namespace=namespace)
        seen.append(found)
        return found is not None and found.get("data") == {"k": "1"}

    api.wait("v1", "ConfigMap", "c", until, namespace=namespace)
    assert len(seen) == 2
    with pytest.raises(TimeoutError, match=r"ConfigMap c, after 1 s: .*uid"):
        api.wait("v1", "ConfigMap", "c", lambda found: found is None, namespace=namespace, timeout=1)
    api.delete("v1", "ConfigMap", "c", namespace=namespace)
    assert api.wait("v1", "ConfigMap", "c", lambda found: found is None, namespace=namespace) is None


def test_the_controller_manager_makes_pods(controller_manager: None, api: Client, namespace: str):
    api.apply(deployment(replicas=2), namespace=namespace)

    def made(found: dict[str, dict[str, object]] | None) -> bool:
        return found is not None and found.get("status", {}).get("replicas") == 2

    api.wait("apps/v1", "Deployment", "d", made, namespace=namespace, timeout=60)
    assert len(api.list("v1", "Pod", namespace=namespace, labels="app=d")) == 2


def test_a_second_one_runs_beside_the_first_and_ends(control_plane: ControlPlane, tmp_path: Path):
    first = control_plane.processes
    etcd, apiserver = (Path(psutil.Process(process.pid).exe()) for process in first)
    with starting.control_plane(etcd, apiserver, tmp_path) as second:
        pids = [process.pid for process in second.processes]
        assert second.url != control_plane.url
        client = Client(second.url, second.authority, second.token)
        assert client.list("v1", "Namespace")
        client.close()
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert all(process.exit_code() is None for process in first)


def test_a_program_that_does_not_start_is_told(control_plane: ControlPlane, tmp_path: Path):
    with (
        pytest.raises(NotStartedError, match=r"^false ended with exit code 1"),
        starting.control_plane(Path("/bin/false"), Path("/bin/false"), tmp_path),
    ):
        pass
