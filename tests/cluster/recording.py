"""What a ServiceAccount does at the API server, to be held against what its Role lets it do."""

from __future__ import annotations

from typing import Any

from fairtrial_graphs.backends.kubernetes.api import Api

Right = tuple[str, str, str]  # group, resource, verb


class Recording(Api):
    """Remembers what it was let do."""

    done: set[Right]

    def _open(self, call: Any, *, stream: bool = False) -> Any:
        answer = super()._open(call, stream=stream)
        if answer.status < 400:
            resource = call.kind.plural + ("/status" if call.path.endswith("/status") else "")
            self.done.add((call.kind.group, resource, call.verb))
            if answer.status == 201:  # what is applied and was not there needs both rights
                self.done.add((call.kind.group, resource, "create"))
        return answer


def rights(rules: list[dict[str, Any]]) -> set[Right]:
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
