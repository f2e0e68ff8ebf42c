"""What a delivery works with: the same for every step of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fairtrial.clock import Clock
from fairtrial.delivery.ledger import Entry, Ledger, in_service
from fairtrial.delivery.pinning import Pinned
from fairtrial.delivery.pipeline.model import Pipeline
from fairtrial.delivery.service.interface import Service
from fairtrial.delivery.state import State
from fairtrial.errors import NotReadyError, UsageError
from fairtrial.planning.models import Fetching
from fairtrial.registry.interface import Registry, Version

#: A tag of a version at the registry: the image that was pushed for it, with its digest.
IMAGE_TAG = "fairtrial.image"


@dataclass(frozen=True)
class Means:
    pipeline: Pipeline
    state: State
    ledger: Ledger
    registry: Registry
    service: Service
    clock: Clock
    say: Callable[[str], None]  # a line for whoever watches
    fetching: Fetching  # told as models come in

    @property
    def template(self) -> Path:
        """The pipeline's experiment."""
        return self.pipeline.folder / self.pipeline.spec.experiment

    @property
    def champion_alias(self) -> str:
        return self.pipeline.spec.registry.chosen.alias

    def serving(self) -> Entry | None:
        """By the ledger: the entry by which a version is in service."""
        return in_service(self.ledger.entries())

    def version(self, version: str) -> Version:
        """As the registry has it. Raises NotReadyError where it does not answer, UsageError where it does."""
        try:
            return self.registry.version(version)
        except NotReadyError:
            known = [each.version for each in self.registry.versions()]
            if version in known:
                raise
            there = f"the newest are {', '.join(known[:5])}" if known else "it has none"
            model = self.pipeline.spec.registry.chosen.model
            raise UsageError(f"the registry has no version {version} of {model}; {there}") from None

    def pinned(self, version: Version) -> Pinned:
        """On a cluster the image that was pushed for the version serves, where images are pushed."""
        image = self.pipeline.spec.image
        images = image is not None and not image.artifact and self.service.cluster is not None
        return Pinned(version.version, version.uri, version.tags.get(IMAGE_TAG) if images else None)
