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


class Resource(Part):
    """A whole manifest; each kind declares apiVersion, kind, metadata and spec, in the order of writing."""

    def to_dict(self) -> dict[str, Any]:
        """The manifest as plain data: exactly the fields that were given, in a fixed order."""
        return self.model_dump(mode="json", exclude_unset=True)
