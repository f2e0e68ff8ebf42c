"""What an API server says no with, in sentences that name the next step."""

from __future__ import annotations

from fairtrial_graphs.backends.kubernetes.errors import Conflict, Expired, Forbidden, refusal
from fairtrial_graphs.backends.kubernetes.kinds import HTTP_ROUTE, POD, SELDON_DEPLOYMENT


def test_a_missing_right_is_the_rule_that_gives_it():
    said = (
        'pods is forbidden: User "system:serviceaccount:ml:ci" cannot watch resource "pods" in API group ""'
    )
    error = refusal({"message": said, "reason": "Forbidden"}, 403, "watch", POD, "ml")
    assert isinstance(error, Forbidden)
    assert str(error) == (
        "system:serviceaccount:ml:ci may not watch pods in namespace ml: give it a Role with the rule "
        '{apiGroups: [""], resources: ["pods"], verbs: ["watch"]}'
    )


def test_credentials_that_are_not_known_are_told():
    error = refusal({"message": "Unauthorized"}, 401, "list", POD, None)
    assert "credentials" in str(error)


def test_a_conflict_says_who_has_set_what():
    causes = [
        {"message": 'conflict with "argocd" using v1', "field": ".spec.predictors"},
        {"message": 'conflict with "argocd" using v1', "field": ".spec.protocol"},
        {"message": 'conflict with "kubectl-edit" using v1', "field": ".spec.name"},
    ]
    error = refusal({"details": {"causes": causes}}, 409, "patch", SELDON_DEPLOYMENT, "ml")
    assert isinstance(error, Conflict)
    assert str(error) == "argocd has set spec.predictors, spec.protocol; kubectl-edit has set spec.name"


def test_a_version_that_is_too_old_asks_for_a_new_list():
    assert isinstance(refusal({"reason": "Expired"}, 410, "watch", POD, None), Expired)


def test_a_kind_that_is_not_installed_says_what_is_missing():
    said = {"message": "the server could not find the requested resource"}
    assert "Seldon Core 1.x is not installed" in str(refusal(said, 404, "list", SELDON_DEPLOYMENT, "ml"))
    assert "Gateway API is not installed" in str(refusal(said, 404, "list", HTTP_ROUTE, "ml"))


def test_what_is_no_status_at_all_is_still_told():
    assert str(refusal({}, 502, "get", POD, "ml")) == "HTTP 502"
