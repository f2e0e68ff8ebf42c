"""The pods that send a run's load from inside a cluster: there once it begins, and gone with it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager

from fairtrial_graphs.load_jobs import LoadJob
from fairtrial_loadtests.crew import TOKEN, Crew

from fairtrial.controller.placing import Cluster, connected
from fairtrial.errors import NotReadyError, UsageError
from fairtrial.experiment.model import Experiment
from fairtrial.journal.folder import RunFolder


def check_load_pods(cluster: Cluster, crew: Crew, experiment: Experiment) -> None:
    """Raises UsageError for what no pods can send, or cannot reach."""
    if cluster.load_image is None:
        return
    if experiment.spec.traffic.live is not None:
        raise UsageError("--load-image: traffic.live is sent by users, and by nobody else")
    if crew.bind is None:
        raise UsageError(
            "--load-image: say how many pods, and where they reach this process: "
            "--expect-workers N --bind HOST:PORT"
        )


@contextmanager
def load_pods(
    cluster: Cluster | None, crew: Crew, experiment: Experiment, folder: RunFolder
) -> Generator[Callable[[], None]]:
    """What has them started, if the run wants any, or raises NotReadyError. They are removed at the end."""
    if cluster is None or cluster.load_image is None or crew.bind is None:
        yield lambda: None
        return
    from fairtrial_graphs.backends.kubernetes.errors import ApiError
    from fairtrial_graphs.backends.kubernetes.kinds import JOB, SECRET, kind_of

    api, namespace = connected(cluster)
    job = LoadJob(
        name=folder.id,
        image=cluster.load_image,
        workers=crew.workers,
        master=str(crew.bind),
        longest=experiment.spec.traffic.driven.max_duration,
        namespace=namespace,
    )

    def begin() -> None:
        try:
            # Those of a process that was killed would wait for a master with another token.
            for kind in (JOB, SECRET):
                api.delete(kind, namespace, job.job_name)
            for manifest in job.manifests(os.environ[TOKEN]):
                api.apply(kind_of(manifest["kind"]), manifest)
        except ApiError as error:
            raise NotReadyError(f"the pods that send the load: {error}") from error

    try:
        yield begin
    finally:
        with contextlib.suppress(ApiError):  # Kubernetes removes a Job that has finished, too, later
            for kind in (JOB, SECRET):
                api.delete(kind, namespace, job.job_name)
