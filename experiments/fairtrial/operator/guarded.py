"""A backend that acts for the replica that leads only, and that hears what is asked for while it waits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fairtrial_graphs.backends.interface import Backend, Incident, Progress, Route, Serving
from fairtrial_graphs.seldon.types import SeldonDeployment

from fairtrial.operator.interruption import StoppedError


class GuardedBackend:
    """Implements `Backend` by another one."""

    def __init__(
        self,
        backend: Backend,
        leading: Callable[[], bool],
        heed: Callable[[], None],
        look: Callable[[], None],
    ) -> None:
        """leading: whether this replica may still act. heed, look: called between effects; both may raise."""
        self._backend = backend
        self._leading = leading
        self._heed = heed
        self._look = look

    @property
    def outlives_run(self) -> bool:
        return self._backend.outlives_run

    def apply(self, deployment: SeldonDeployment, route: Route, progress: Progress) -> Serving:
        """See `Backend`. Raises StoppedError once another replica leads."""
        if not self._leading():
            raise StoppedError
        return self._backend.apply(deployment, route, progress)

    def incidents(self) -> Sequence[Incident]:
        self._heed()
        self._look()
        return self._backend.incidents()

    def release(self) -> None:
        self._backend.release()

    def close(self) -> None:
        self._backend.close()
