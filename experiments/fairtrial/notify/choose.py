"""The notifiers that an experiment names."""

from __future__ import annotations

from pathlib import Path

from fairtrial.errors import UsageError
from fairtrial.experiment.model import Experiment
from fairtrial.experiment.notifications import Addressee
from fairtrial.notify.apprise import AppriseNotifier
from fairtrial.notify.interface import Notifier
from fairtrial.notify.webhook import Webhook
from fairtrial.secret_values import value_of, values_of


def check_notifiers(experiment: Experiment) -> None:
    """Raises UsageError where an address that is not in the file is not where it says either."""
    for number in range(len(experiment.spec.notifications)):
        notifier_of(experiment, number)


def notifier_of(experiment: Experiment, number: int) -> Notifier:
    """Raises UsageError, which says which of them it is, and never an address."""
    return notifier_from(experiment.spec.notifications[number], experiment.folder, number)


def notifier_from(said: Addressee, folder: Path, number: int) -> Notifier:
    """The same for the notifications of any file. folder: where its relative paths start."""
    try:
        return _notifier(said, folder)
    except UsageError as error:
        raise UsageError(f"spec.notifications.{number}: {error}") from error


def _notifier(said: Addressee, folder: Path) -> Notifier:
    if said.webhook is not None:
        return Webhook(said.webhook)
    if said.webhook_from is not None:
        return Webhook(value_of(said.webhook_from, folder, what="address"))
    assert said.apprise is not None, "the model demands one of the three"
    return AppriseNotifier(values_of(said.apprise, folder, what="address"))
