"""Whether requests that are sent from here can reach the arms of a cluster; asked before it has any."""

from __future__ import annotations

import socket
from collections.abc import Callable

from fairtrial.controller.placing import Cluster
from fairtrial.errors import UsageError
from fairtrial.experiment.model import Experiment

#: In every cluster, whatever runs there.
_KNOWN = "kubernetes.default.svc.cluster.local"


def resolves(name: str) -> bool:
    """Whether this machine knows a name."""
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        return False
    return True


def check_reachable(
    cluster: Cluster, experiment: Experiment, resolves: Callable[[str], bool] = resolves
) -> None:
    """Raises UsageError where requests would go to names that only the cluster knows."""
    if experiment.spec.traffic.live is not None or cluster.load_image is not None:
        return  # nothing is sent from here
    missing = [
        flag
        for flag, needed in (
            ("--gateway-url", cluster.route == "istio" and cluster.gateway_url is None),
            ("--service-url", cluster.service_url is None),
        )
        if needed
    ]
    if missing and not resolves(_KNOWN):
        raise UsageError(
            f"requests are sent from this machine, which does not know the cluster's names ({_KNOWN} does "
            f"not resolve): say {' and '.join(missing)}, such as addresses that `kubectl port-forward` or an "
            "ingress gives, or run it inside the cluster, or send from there with --load-image"
        )
