"""Ambassador (Emissary), through the Mappings that Seldon Core makes itself.

With `AMBASSADOR_VERSION=v2` the operator makes a Mapping resource for each predictor; Mappings of our own for
the same prefix would add to the split.
"""

from __future__ import annotations

from collections.abc import Iterator

from fairtrial_graphs.backends.interface import Route, Unsupported
from fairtrial_graphs.routes.routed import Routed, with_annotations
from fairtrial_graphs.seldon.types import SeldonDeployment

ID = "seldon.io/ambassador-id"


def ambassador(deployment: SeldonDeployment, route: Route, ambassador_id: str | None = None) -> Routed:
    """The deployment with the annotation that Seldon Core reads. Raises Unsupported.

    The weight of the first predictor is never written: it gets what the others leave.
    """
    predictors = deployment.spec.predictors
    if predictors and predictors[0].shadow:
        raise Unsupported(
            f"spec.predictors.0: Ambassador gives the first predictor what the others leave, and "
            f"{predictors[0].name} is a shadow; put it last"
        )
    for index, predictor in enumerate(predictors):
        if predictor.shadow and not predictor.traffic:
            raise Unsupported(
                f"spec.predictors.{index}.traffic: Ambassador v2 mirrors nothing to a shadow "
                "without traffic; say how many percent"
            )
    annotations = {ID: ambassador_id} if ambassador_id else {}
    return Routed(with_annotations(deployment, annotations), (), tuple(_notes(deployment, route)))


def _notes(deployment: SeldonDeployment, route: Route) -> Iterator[str]:
    zero = [p.name for p in deployment.receiving if not p.traffic]
    if len(deployment.receiving) > 1:
        if route.sticky is not None:
            yield (
                "Ambassador draws each request anew: its ring hash chooses among the pods of an arm, "
                "never among arms"
            )
        if others := [name for name in zero if name != deployment.spec.predictors[0].name]:
            yield (
                f"the operator needs AMBASSADOR_VERSION=v2: with v1 a weight of 0 is dropped, and "
                f"{' and '.join(others)} would get an equal share"
            )
    if deployment.spec.protocol in ("v2", "kfserving"):
        yield "callers of gRPC say the deployment in the header seldon; its namespace is not looked at"
