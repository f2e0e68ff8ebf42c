"""The graph of one version alone: as a trial that promotes it leaves it."""

from __future__ import annotations

from pathlib import Path

from fairtrial_graphs.build import answering, with_weights
from fairtrial_graphs.seldon.types import SeldonDeployment

from fairtrial.delivery.pinning import Pinned, pinned_text
from fairtrial.experiment.reading import parse
from fairtrial.planning.deployment import deployment_of
from fairtrial.planning.models import Models


def alone(template: Path, version: Pinned, models: Models) -> SeldonDeployment:
    """Raises UsageError, NotReadyError, UnsafeModelError, as a plan does."""
    text = pinned_text(template, version, None)
    experiment = parse(text.encode(), source=str(template), folder=template.parent)
    deployment = deployment_of(experiment, models, [version.arm])
    return with_weights(answering(deployment, version.arm), {version.arm: 100})
