"""The notifiers that an experiment names."""

from __future__ import annotations

import os
from pathlib import Path

from fairtrial.errors import UsageError
from fairtrial.experiment.model import Experiment
from fairtrial.experiment.notifications import Addressee, Secret
from fairtrial.notify.apprise import AppriseNotifier
from fairtrial.notify.interface import Notifier
from fairtrial.notify.webhook import Webhook


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
        values = _values(said.webhook_from, folder)
        if len(values) > 1:
            raise UsageError(f"expected one URL, found {len(values)}")
        return Webhook(values[0])
    assert said.apprise is not None, "the model demands one of the three"
    return AppriseNotifier(_values(said.apprise, folder))


def _values(secret: Secret, folder: Path) -> list[str]:
    if secret.env is not None:
        where = f"the environment's {secret.env}"
        text = os.environ.get(secret.env, "")
    else:
        assert secret.file is not None, "the model demands one of the two"
        path = folder / secret.file
        where = str(path)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read {path}: {type(error).__name__}") from error
    lines = (line.strip() for line in text.splitlines())
    values = [line for line in lines if line and not line.startswith("#")]
    if not values:
        raise UsageError(f"{where} is empty or not set, where the address should be")
    return values
