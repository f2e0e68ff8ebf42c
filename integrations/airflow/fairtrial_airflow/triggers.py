"""Waiting for an Experiment without a worker: the triggerer asks how it stands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from fairtrial_airflow.cluster import ABORT, Cluster, state_of

#: So many answers in a row may be missing: an API server that is away for a while is no end of a trial.
_TOLERATED = 20


class ExperimentTrigger(BaseTrigger):
    """Fires once the experiment has ended: how it stands, as `State.as_json` says, or `{"error": why}`."""

    def __init__(
        self,
        *,
        name: str,
        namespace: str,
        context: str | None = None,
        kubeconfig: str | None = None,
        after: str | None = None,
        poll_interval: float = 10.0,
        abort_on_kill: bool = False,
    ) -> None:
        super().__init__()
        self.name = name
        self.namespace = namespace
        self.context = context
        self.kubeconfig = kubeconfig
        self.after = after
        self.poll_interval = poll_interval
        self.abort_on_kill = abort_on_kill

    def serialize(self) -> tuple[str, dict[str, Any]]:
        said = ("name", "namespace", "context", "kubeconfig", "after", "poll_interval", "abort_on_kill")
        return "fairtrial_airflow.triggers.ExperimentTrigger", {each: getattr(self, each) for each in said}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        failures = 0
        while True:
            try:
                event = await asyncio.to_thread(self._ask)
                failures = 0
            except Exception as error:  # noqa: BLE001 - only time tells a pause from an end
                failures += 1
                event = {"error": f"{type(error).__name__}: {error}"} if failures > _TOLERATED else None
            if event is not None:
                yield TriggerEvent(event)
                return
            await asyncio.sleep(self.poll_interval)

    async def on_kill(self) -> None:
        if self.abort_on_kill:
            await asyncio.to_thread(lambda: self._cluster().annotate(self.name, ABORT))

    def _ask(self) -> dict[str, Any] | None:
        found = self._cluster().get(self.name)
        if found is None:
            return {"error": f"there is no experiment {self.name} in namespace {self.namespace}"}
        state = state_of(found, self.after)
        return state.as_json() if state.ended else None

    def _cluster(self) -> Cluster:
        return Cluster(self.namespace, self.context, self.kubeconfig)
