"""The graph of one version alone: as a trial that promotes it leaves it."""

from __future__ import annotations

from pathlib import Path

from fairtrial_graphs.backends.interface import Backend, Interfered, NotReady, Route, Serving, Unsupported
from fairtrial_graphs.build import answering, with_weights
from fairtrial_graphs.seldon.types import SeldonDeployment
from fairtrial_servers.errors import ServerError

from fairtrial.delivery.pinning import Pinned, pinned_text
from fairtrial.errors import InterferedError, NotReadyError
from fairtrial.experiment.reading import parse
from fairtrial.planning.deployment import deployment_of
from fairtrial.planning.models import Models


def alone(template: Path, version: Pinned, models: Models) -> SeldonDeployment:
    """Raises UsageError, NotReadyError, UnsafeModelError, as a plan does."""
    text = pinned_text(template, version, None)
    experiment = parse(text.encode(), source=str(template), folder=template.parent)
    deployment = deployment_of(experiment, models, [version.arm])
    return with_weights(answering(deployment, version.arm), {version.arm: 100})


def applied(backend: Backend, deployment: SeldonDeployment, revision: str) -> Serving:
    """Have a backend serve it. Raises NotReadyError, InterferedError."""
    try:
        return backend.apply(deployment, Route(revision), lambda _sentence: None)
    except Interfered as error:
        raise InterferedError(str(error)) from error
    except NotReady as error:
        raise NotReadyError(str(error), arm=error.predictor) from error
    except (Unsupported, ServerError) as error:
        raise NotReadyError(str(error)) from error
