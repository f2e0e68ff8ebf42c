"""What typed Kubernetes resources have in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A piece of a manifest. Unknown fields are kept; nothing is coerced."""

    model_config = ConfigDict(extra="allow", strict=True)


class Metadata(Part):
    name: str | None = None
    namespace: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None

    def for_another(self, name: str) -> Metadata:
        """For a resource of this name that belongs to this one: the same namespace and labels."""
        more: dict[str, Any] = {}
        if self.namespace:
            more["namespace"] = self.namespace
        if self.labels:
            more["labels"] = dict(self.labels)
        return Metadata(name=name, **more)


class Resource(Part):
    """A whole manifest; each kind declares apiVersion, kind, metadata and spec, in the order of writing."""

    def to_dict(self) -> dict[str, Any]:
        """The manifest as plain data: exactly the fields that were given, in a fixed order."""
        return self.model_dump(mode="json", exclude_unset=True)
