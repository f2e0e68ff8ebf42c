"""Whether the arms are there: of what Kubernetes says of their pods, never of what the evidence says."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fairtrial.errors import NotReadyError

#: By arm, why it has no ready pod, in words; arms that have one are left out.
Down = Callable[[], Mapping[str, str]]


class Arms:
    """Looks at most every few seconds. Rolling updates and scaling leave a ready pod, and are not told."""

    def __init__(
        self,
        down: Down,
        baseline: str,
        now: Callable[[], float],
        *,
        patience: float = 60.0,
        every: float = 1.0,
    ) -> None:
        """patience: seconds that a candidate may be down before it is taken out of the traffic."""
        self._down = down
        self._baseline = baseline
        self._now = now
        self._patience = patience
        self._every = every
        self._looked_at = -every
        self._since: dict[str, float] = {}
        self._why: Mapping[str, str] = {}

    @property
    def baseline_down(self) -> str | None:
        """Why the baseline cannot serve, in a sentence."""
        why = self._why.get(self._baseline)
        return f"{self._baseline} is not ready: {why}" if why is not None else None

    @property
    def down(self) -> str | None:
        """All that is down, in a sentence."""
        return "; ".join(f"{arm} is not ready: {why}" for arm, why in self._why.items()) or None

    def look(self) -> None:
        """Raises NotReadyError for a candidate that is down for too long.

        It answers its share of the callers with errors, and says nothing that could be judged.
        """
        now = self._now()
        if now - self._looked_at < self._every:
            return
        self._looked_at = now
        self._why = self._down()
        self._since = {arm: self._since.get(arm, now) for arm in self._why}
        for arm, since in self._since.items():
            if arm != self._baseline and now - since >= self._patience:
                raise NotReadyError(f"{arm} has had no ready pod for {now - since:.0f} s: {self._why[arm]}")
