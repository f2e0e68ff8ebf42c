"""One run at a time on a SeldonDeployment: a Lease says whose it is, from the first change to the last."""

from __future__ import annotations

from fairtrial_graphs.backends.interface import Interfered
from fairtrial_graphs.backends.kubernetes.api import Api
from fairtrial_graphs.backends.kubernetes.kinds import LEASE


def claim(api: Api, namespace: str, deployment: str, holder: str, *, take_over: bool = False) -> None:
    """Make it this run's, unless it is already. Raises Interfered when another run holds it, and ApiError.

    A run that was killed still holds it, until it is resumed and ends, or is aborted. take_over: take it
    anyway.
    """
    wanted = {
        "apiVersion": LEASE.api_version,
        "kind": LEASE.name,
        "metadata": {"name": name_of(deployment), "namespace": namespace},
        "spec": {"holderIdentity": holder},
    }
    if api.create(LEASE, wanted) is not None:
        return
    found = api.get(LEASE, namespace, name_of(deployment))
    if found is None:  # it was given up in between
        claim(api, namespace, deployment, holder, take_over=take_over)
        return
    by = (found.get("spec") or {}).get("holderIdentity")
    if by == holder:
        return
    if not take_over:
        raise Interfered(
            f"SeldonDeployment {namespace}/{deployment} is on trial in run {by} already: wait for it, or end "
            f"it with `fairtrial abort {by}`; if that run is lost for good, take over with --take-over"
        )
    # With the version that was read: of two who take over, one fails.
    version = found["metadata"]["resourceVersion"]
    api.patch(
        LEASE,
        namespace,
        name_of(deployment),
        {"metadata": {"resourceVersion": version}, "spec": wanted["spec"]},
    )


def release(api: Api, namespace: str, deployment: str, holder: str) -> None:
    """Give it up, if it is this run's. Raises ApiError."""
    found = api.get(LEASE, namespace, name_of(deployment))
    if found is not None and (found.get("spec") or {}).get("holderIdentity") == holder:
        api.delete(LEASE, namespace, name_of(deployment))


def name_of(deployment: str) -> str:
    """The name of the Lease."""
    return f"fairtrial-{deployment}"
