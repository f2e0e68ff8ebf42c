"""Where things of a version stand in an object store. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Place:
    """An object, or all whose keys begin with this one and a slash."""

    scheme: str  # s3, gs
    bucket: str
    key: str

    @property
    def uri(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.key}"


def beside(scheme: str, model: str, run: str) -> Place | None:
    """Of the report on a model at this address: not within its folder, for then it were part of the model.

    None where the model is not in such a store.
    """
    parts = urlsplit(model)
    key = parts.path.strip("/")
    if parts.scheme != scheme or not parts.netloc or not key:
        return None
    return Place(scheme, parts.netloc, f"{key}.fairtrial/{run}")


def within(scheme: str, prefix: str, path: str) -> Place:
    """`path` below s3://bucket/prefix, which was checked as the file was read."""
    parts = urlsplit(prefix)
    return Place(scheme, parts.netloc, f"{parts.path.strip('/')}/{path}")
