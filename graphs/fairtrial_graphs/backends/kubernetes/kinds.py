"""The kinds of objects that the backend reads or writes, and where the API has them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    name: str
    api_version: str
    plural: str

    @property
    def group(self) -> str:
        """ "" for the core group."""
        return self.api_version.rpartition("/")[0]

    def path(self, namespace: str | None, name: str | None = None) -> str:
        """Of all objects of a namespace (of all namespaces if it is None), or of one of them."""
        base = f"/apis/{self.api_version}" if self.group else f"/api/{self.api_version}"
        inside = f"/namespaces/{namespace}" if namespace is not None else ""
        return f"{base}{inside}/{self.plural}" + (f"/{name}" if name is not None else "")


SELDON_DEPLOYMENT = Kind("SeldonDeployment", "machinelearning.seldon.io/v1", "seldondeployments")
DEPLOYMENT = Kind("Deployment", "apps/v1", "deployments")
SERVICE = Kind("Service", "v1", "services")
LEASE = Kind("Lease", "coordination.k8s.io/v1", "leases")
SECRET = Kind("Secret", "v1", "secrets")
JOB = Kind("Job", "batch/v1", "jobs")
POD = Kind("Pod", "v1", "pods")
VIRTUAL_SERVICE = Kind("VirtualService", "networking.istio.io/v1beta1", "virtualservices")
DESTINATION_RULE = Kind("DestinationRule", "networking.istio.io/v1beta1", "destinationrules")
HTTP_ROUTE = Kind("HTTPRoute", "gateway.networking.k8s.io/v1", "httproutes")


def kind_of(manifest_kind: str) -> Kind:
    """By the name in a manifest, of those that Fairtrial applies. Raises KeyError."""
    return {each.name: each for each in (SELDON_DEPLOYMENT, HTTP_ROUTE, SECRET, JOB)}[manifest_kind]
