"""`--backend kubernetes` and what it needs to know of the cluster: the options of `run`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fairtrial.cli.options import together
from fairtrial.controller.placing import Cluster
from fairtrial.errors import UsageError

#: The verb makes a `Cluster` of their values by `cluster_of`.
cluster_options = together(
    click.option(
        "--backend",
        type=click.Choice(["local", "kubernetes"]),
        default="local",
        show_default=True,
        help="Where the arms run: on this machine, or on a cluster with Seldon Core.",
    ),
    click.option(
        "--kubeconfig", type=click.Path(path_type=Path), help="[default: KUBECONFIG, or ~/.kube/config]"
    ),
    click.option("--context", help="Of the kubeconfig.  [default: the current one]"),
    click.option("--namespace", "-n", help="[default: the context's]"),
    click.option(
        "--route",
        type=click.Choice(["istio", "gateway-api", "none"]),
        help="What brings requests to the arms.  [default: istio]",
    ),
    click.option("--gateway", help="What the route calls the gateway, [NAMESPACE/]NAME."),
    click.option(
        "--gateway-url", help="Where requests reach the gateway.  [default: Istio's own name in the cluster]"
    ),
    click.option(
        "--service-url",
        help="Where requests reach an arm's Service, as in http://{service}.{namespace}:8000.  "
        "[default: its name in the cluster]",
    ),
    click.option(
        "--load-image",
        metavar="IMAGE",
        help="Send the load from pods of this image, as many as --expect-workers says, which reach this "
        "process at --bind.  [default: from this machine]",
    ),
    click.option(
        "--ready-timeout",
        type=click.FloatRange(1),
        metavar="SECONDS",
        help="Of a wait for pods.  [default: 600]",
    ),
    click.option("--take-over", is_flag=True, help="Take what others have set there, or another run holds."),
)


def cluster_of(
    backend: str,
    *,
    kubeconfig: Path | None,
    context: str | None,
    namespace: str | None,
    ready_timeout: float | None,
    take_over: bool,
    **rest: str | None,
) -> Cluster | None:
    """None for this machine. Raises UsageError for an option that says nothing there."""
    said: dict[str, Any] = {
        "kubeconfig": str(kubeconfig.absolute()) if kubeconfig else None,
        "context": context,
        "namespace": namespace,
        "ready_timeout": ready_timeout,
        "take_over": take_over or None,
        **rest,
    }
    said = {name: value for name, value in said.items() if value is not None}
    if backend == "kubernetes":
        return Cluster(**said)
    if said:
        option = "--" + next(iter(said)).replace("_", "-")
        raise UsageError(f"{option} is about a cluster: say --backend kubernetes, too")
    return None
