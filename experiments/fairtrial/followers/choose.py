"""The followers that an experiment names."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing, contextmanager

from fairtrial.errors import UsageError
from fairtrial.experiment.model import Experiment
from fairtrial.followers.following import following
from fairtrial.followers.interface import FollowedJournal, Follower
from fairtrial.journal.entries import Kind
from fairtrial.journal.folder import RunFolder
from fairtrial.notify.choose import notifier_of
from fairtrial.notify.follower import Notified
from fairtrial.tracking.mlflow import MlflowTracker


@contextmanager
def followed(
    experiment: Experiment, folder: RunFolder, open_journal: Callable[[], FollowedJournal]
) -> Generator[None]:
    """Have the run followed by whom its experiment names, while the block runs.

    open_journal: see `following`. A follower that cannot be made, its address gone from the environment, is
    an incident.
    """
    with closing(open_journal()) as journal:
        found = _followers_of(experiment, folder, journal)
    with following(open_journal, found):
        yield


def _followers_of(experiment: Experiment, folder: RunFolder, journal: FollowedJournal) -> list[Follower]:
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
