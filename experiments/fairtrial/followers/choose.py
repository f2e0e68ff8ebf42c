"""The followers that an experiment names."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from fairtrial.clock import Clock
from fairtrial.errors import UsageError
from fairtrial.experiment.model import Experiment
from fairtrial.followers.following import following
from fairtrial.followers.interface import Follower
from fairtrial.journal.entries import Kind
from fairtrial.journal.folder import RunFolder
from fairtrial.journal.store import Journal
from fairtrial.notify.choose import notifier_of
from fairtrial.notify.follower import Notified
from fairtrial.tracking.mlflow import MlflowTracker


@contextmanager
def followed(experiment: Experiment, folder: RunFolder, journal: Journal, clock: Clock) -> Generator[None]:
    """Have the run followed by whom its experiment names, while the block runs.

    A follower that cannot be made, its address gone from the environment, is an incident.
    """
    found = _followers_of(experiment, folder, journal)
    with following(lambda: Journal.open(folder.journal, clock), found):
        yield


def _followers_of(experiment: Experiment, folder: RunFolder, journal: Journal) -> list[Follower]:
    found: list[Follower] = []
    for number, said in enumerate(experiment.spec.notifications):
        try:
            notifier = notifier_of(experiment, number)
        except UsageError as error:
            journal.append(Kind.INCIDENT, {"message": str(error)})
            continue
        found.append(Notified(f"notifications.{number}", notifier, said.events, experiment, folder.id))
    tracking = experiment.spec.tracking
    if tracking is not None:
        found.append(
            MlflowTracker(tracking.mlflow.experiment, tracking.mlflow.tracking_uri, experiment, folder)
        )
    return found
