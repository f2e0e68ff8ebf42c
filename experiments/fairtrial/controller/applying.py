"""A backend asked for something, and its refusals as ours."""

from __future__ import annotations

from fairtrial_graphs.backends.interface import (
    Backend,
    Interfered,
    NotReady,
    Progress,
    Route,
    Serving,
    Unsupported,
)
from fairtrial_graphs.seldon.types import SeldonDeployment
from fairtrial_servers.errors import ServerError

from fairtrial.errors import InterferedError, NotReadyError


def applied(backend: Backend, deployment: SeldonDeployment, route: Route, progress: Progress) -> Serving:
    """Have it serve. Raises NotReadyError, InterferedError."""
    try:
        return backend.apply(deployment, route, progress)
    except Interfered as error:
        raise InterferedError(str(error)) from error
    except NotReady as error:
        raise NotReadyError(str(error), arm=error.predictor) from error
    except (Unsupported, ServerError) as error:
        raise NotReadyError(str(error)) from error


def released(backend: Backend) -> None:
    """What serves is nobody's trial any more. Raises NotReadyError where that cannot be made known."""
    try:
        backend.release()
    except NotReady as error:
        raise NotReadyError(str(error)) from error
