"""The triggers of a pipeline: those that are polled, and those that are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fairtrial.clock import Clock
from fairtrial.delivery.pipeline.model import Pipeline
from fairtrial.delivery.pipeline.triggers import Trigger as Said
from fairtrial.delivery.triggers.alerts import Alerts
from fairtrial.delivery.triggers.cloud_events import CloudEvents, Wanted
from fairtrial.delivery.triggers.expiry import ExpiryTrigger, InService
from fairtrial.delivery.triggers.interface import Trigger
from fairtrial.delivery.triggers.listener import Listener
from fairtrial.delivery.triggers.registry import AliasTrigger, Registry
from fairtrial.delivery.triggers.registry_webhook import RegistryWebhook
from fairtrial.delivery.triggers.schedule import ScheduleTrigger
from fairtrial.delivery.triggers.told import Receiver
from fairtrial.errors import UsageError
from fairtrial.experiment.notifications import Secret
from fairtrial.secret_values import value_of


@dataclass(frozen=True)
class Triggers:
    """Of one pipeline."""

    polled: Sequence[Trigger]
    told: Mapping[str, Receiver]  # by the listener's path


def triggers_of(pipeline: Pipeline, registry: Registry, in_service: InService) -> Triggers:
    """registry: where the challenger's alias is. in_service: which version serves, and since when.

    Raises UsageError where a secret that the file names is not where it says.
    """
    said = pipeline.spec.triggers
    of_alias = {
        each.name: AliasTrigger(each.name, registry, pipeline.spec.challenger, each.registry.every)
        for each in said
        if each.registry is not None
    }
    polled = [_polled(each, of_alias, in_service) for each in said]
    told: dict[str, Receiver] = {}
    if alerts := {each.name: each.alert.match for each in said if each.alert is not None}:
        told["/alerts"] = Alerts(alerts)
    if events := {
        each.name: Wanted(each.cloud_event.type, each.cloud_event.source)
        for each in said
        if each.cloud_event is not None
    }:
        told["/events"] = CloudEvents(events)
    if secrets := _secrets(pipeline):
        told["/registry"] = RegistryWebhook(secrets, lambda name: of_alias[name].nudge())
    return Triggers([trigger for trigger in polled if trigger is not None], told)


def listener_of(
    pipeline: Pipeline, triggers: Triggers, folder: Path, clock: Clock, wake: Callable[[], None]
) -> Listener | None:
    """None where the pipeline listens nowhere. folder: of its state. Raises as `Listener` does."""
    listen = pipeline.spec.listen
    return None if listen is None else Listener(listen, triggers.told, folder, clock, wake)


def _polled(said: Said, of_alias: Mapping[str, AliasTrigger], in_service: InService) -> Trigger | None:
    """None for what is told."""
    if said.schedule is not None:
        return ScheduleTrigger(said.name, said.schedule.cron, said.schedule.time_zone)
    if said.expiry is not None:
        return ExpiryTrigger(said.name, said.expiry.time_to_live, in_service)
    return of_alias.get(said.name)


def _secrets(pipeline: Pipeline) -> dict[str, Callable[[], str]]:
    """By the trigger's name; each was there just now. Raises UsageError."""
    found: dict[str, Callable[[], str]] = {}
    for i, said in enumerate(pipeline.spec.triggers):
        if said.registry is not None and said.registry.webhook is not None:
            found[said.name] = _reader(
                said.registry.webhook.secret, pipeline.folder, f"spec.triggers.{i}.registry.webhook"
            )
            found[said.name]()
    return found


def _reader(secret: Secret, folder: Path, where: str) -> Callable[[], str]:
    def read() -> str:
        try:
            return value_of(secret, folder, what="secret")
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from error

    return read
