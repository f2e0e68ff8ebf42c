"""Where requests reach the split and each predictor."""

from __future__ import annotations

from dataclasses import dataclass

from fairtrial_graphs.routes.routed import HTTP_PORT, prefix, service_name
from fairtrial_graphs.seldon.types import Predictor, SeldonDeployment

#: What a gateway is reached at from inside the cluster, by route.
GATEWAYS = {"istio": "http://istio-ingressgateway.istio-system.svc.cluster.local"}
SERVICES = f"http://{{service}}.{{namespace}}.svc.cluster.local:{HTTP_PORT}"


@dataclass(frozen=True)
class Addresses:
    """How the cluster is reached from where requests are sent: its own names, unless said otherwise."""

    gateway: str | None = None  # base URL, as in http://10.0.0.7:31380
    services: str = SERVICES  # of a predictor's Service: a text with {service} and {namespace} in it

    def of_split(self, deployment: SeldonDeployment, route: str | None) -> str:
        """Of the split; where no gateway is known, of the first predictor, which then has all requests."""
        gateway = self.gateway or GATEWAYS.get(route or "")
        if gateway is None:
            return self.of_predictor(deployment, deployment.receiving[0])
        return gateway.rstrip("/") + prefix(deployment)

    def of_predictor(self, deployment: SeldonDeployment, predictor: Predictor) -> str:
        namespace = deployment.metadata.namespace or "default"
        return self.services.format(service=service_name(deployment, predictor), namespace=namespace)
