"""Rules on predictors and how the traffic is divided among them."""

from __future__ import annotations

from collections.abc import Iterator

from fairtrial_graphs.seldon.rules.finding import Finding, predictors
from fairtrial_graphs.seldon.types import SeldonDeployment

_SERVICE_NAME = "seldon.io/svc-name"


def has_predictors(deployment: SeldonDeployment) -> Iterator[Finding]:
    if not deployment.spec.predictors:
        yield Finding("spec.predictors", "there is no predictor; name at least one", refused=True)


def distinct_predictor_names(deployment: SeldonDeployment) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for path, predictor in predictors(deployment):
        first = seen.setdefault(predictor.name, path)
        if first != path:
            message = f'"{predictor.name}" is already the name of {first}; choose another'
            yield Finding(f"{path}.name", message, refused=True)


def distinct_service_names(deployment: SeldonDeployment) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for path, predictor in predictors(deployment):
        name = (predictor.annotations or {}).get(_SERVICE_NAME)
        if name is not None and seen.setdefault(name, path) != path:
            message = f'{_SERVICE_NAME} "{name}" is already that of {seen[name]}; choose another'
            yield Finding(f"{path}.annotations", message, refused=True)


def traffic_is_a_percentage(deployment: SeldonDeployment) -> Iterator[Finding]:
    for path, predictor in predictors(deployment):
        if predictor.traffic is not None and not 0 <= predictor.traffic <= 100:
            message = f"traffic is a percentage from 0 to 100, not {predictor.traffic}"
            yield Finding(f"{path}.traffic", message, refused=True)


def traffic_sums_to_100(deployment: SeldonDeployment) -> Iterator[Finding]:
    receiving = deployment.receiving
    if len(receiving) < 2:
        return
    total = sum(predictor.traffic or 0 for predictor in receiving)
    if total != 100:
        parts = " + ".join(f"{predictor.traffic or 0} ({predictor.name})" for predictor in receiving)
        message = f"traffic over all predictors but shadows must sum to 100; {parts} is {total}"
        yield Finding("spec.predictors", message, refused=True)


def one_predictor_has_all_traffic(deployment: SeldonDeployment) -> Iterator[Finding]:
    if len(deployment.receiving) != 1:
        return
    for path, predictor in predictors(deployment):
        if not predictor.shadow and predictor.traffic not in (None, 0, 100):
            message = f"the only predictor has traffic 100 or none at all, not {predictor.traffic}"
            # With a shadow beside it, it is not alone to the webhook.
            yield Finding(f"{path}.traffic", message, refused=len(deployment.spec.predictors) == 1)


def at_most_one_shadow(deployment: SeldonDeployment) -> Iterator[Finding]:
    shadows = [predictor.name for predictor in deployment.spec.predictors if predictor.shadow]
    if len(shadows) > 1:
        message = f"at most one predictor is a shadow; {' and '.join(shadows)} are"
        yield Finding("spec.predictors", message, refused=True)


def shadow_is_not_alone(deployment: SeldonDeployment) -> Iterator[Finding]:
    if deployment.spec.predictors and not deployment.receiving:
        message = "a shadow mirrors the traffic of another predictor, and there is none"
        yield Finding("spec.predictors", message, refused=True)


def shadow_says_how_much(deployment: SeldonDeployment) -> Iterator[Finding]:
    for path, predictor in predictors(deployment):
        if predictor.shadow and not predictor.traffic:
            message = (
                f"{predictor.name} is a shadow without traffic, to which Istio mirrors every request and "
                "Ambassador v2 none; say how many percent to mirror, or remove the predictor"
            )
            yield Finding(f"{path}.traffic", message, refused=False)
