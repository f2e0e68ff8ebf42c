"""Put model versions on trial where Fairtrial's operator runs them: on a cluster, with live traffic."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from fairtrial_airflow.cluster import ABORT, Cluster
from fairtrial_airflow.endings import Reaction, check_reaction, code_of, react
from fairtrial_airflow.links import ReportLink
from fairtrial_airflow.triggers import ExperimentTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context


class FairtrialExperimentOperator(BaseOperator):
    """Applies an Experiment and waits for its end, by default without a worker.

    How it ended is pushed as XCom `verdict` (`phase`, `message`, `run`, and `verdict`, which is verdict.json)
    and returned if the task succeeds. A task that is tried again joins the run that it asked for. An
    experiment that has ended before, with the same spec, is run anew.
    """

    template_fields: Collection[str] = (
        "experiment",
        "name",
        "namespace",
        "kube_context",
        "kubeconfig",
        "report_url",
    )
    operator_extra_links = (ReportLink(),)
    ui_color = "#dbe7f3"

    def __init__(
        self,
        *,
        experiment: str | Mapping[str, Any],
        namespace: str,
        name: str | None = None,
        kube_context: str | None = None,
        kubeconfig: str | None = None,
        on_rollback: Reaction = "fail",
        on_inconclusive: Reaction = "skip",
        deferrable: bool = True,
        poll_interval: float = 10.0,
        abort_on_kill: bool = True,
        report_url: str | None = None,
        **kwargs: Any,
    ) -> None:
        """experiment: a file on the worker, or the resource itself. name: of the resource, if not the file's.

        abort_on_kill: a task that somebody ends returns its experiment to the baseline.
        report_url: where more can be read of the run, with `{run}` for its id.
        """
        super().__init__(**kwargs)
        self.experiment = experiment
        self.namespace = namespace
        self.name = name
        self.kube_context = kube_context
        self.kubeconfig = kubeconfig
        self.on_rollback: Reaction = check_reaction("on_rollback", on_rollback)
        self.on_inconclusive: Reaction = check_reaction("on_inconclusive", on_inconclusive)
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.abort_on_kill = abort_on_kill
        self.report_url = report_url
        self.report_link = ""
        self._started: str | None = None

    def execute(self, context: Context) -> Mapping[str, Any]:
        manifest = self._manifest()
        name = manifest["metadata"]["name"]
        after = self._start(manifest, _asked_by(context))
        self._started = name
        self.log.info("experiment %s/%s is on trial", self.namespace, name)
        trigger = ExperimentTrigger(
            name=name,
            namespace=self.namespace,
            context=self.kube_context,
            kubeconfig=self.kubeconfig,
            after=after,
            poll_interval=self.poll_interval,
            abort_on_kill=self.abort_on_kill,
        )
        if self.deferrable:
            self.defer(trigger=trigger, method_name="execute_complete")
        return self.execute_complete(context, asyncio.run(_first(trigger)))

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Mapping[str, Any]:
        """The experiment has ended, or cannot be asked any more."""
        if "error" in event:
            raise AirflowException(event["error"])
        if self.report_url:
            self.report_link = self.report_url.format(run=event["run"])
        context["ti"].xcom_push(key="verdict", value=event)
        react(
            code_of(event["phase"]),
            "\n".join([f"{event['phase']}: {event['message']}", *event["verdict"].get("reasons", ())]),
            on_rollback=self.on_rollback,
            on_inconclusive=self.on_inconclusive,
        )
        return event

    def on_kill(self) -> None:
        if self.abort_on_kill and self._started is not None:
            self._cluster().annotate(self._started, ABORT)

    def _start(self, manifest: Mapping[str, Any], asked_by: str) -> str | None:
        from kubernetes.client import ApiException

        try:
            return self._cluster().start(manifest, asked_by)
        except ApiException as error:
            message = f"the API server refuses the experiment: {error.status} {error.reason}\n{error.body}"
            if error.status is not None and 400 <= error.status < 500 and error.status != 429:
                raise AirflowFailException(message) from error
            raise AirflowException(message) from error

    def _cluster(self) -> Cluster:
        return Cluster(self.namespace, self.kube_context, self.kubeconfig)

    def _manifest(self) -> dict[str, Any]:
        """Raises AirflowFailException for what is no experiment."""
        found: Any = self.experiment
        if isinstance(found, str):
            import yaml

            try:
                found = yaml.safe_load(Path(found).read_text(encoding="utf-8"))
            except (OSError, yaml.YAMLError) as error:
                raise AirflowFailException(f"the experiment cannot be read: {error}") from error
        if not isinstance(found, dict) or found.get("kind") != "Experiment":
            raise AirflowFailException("`experiment` is to be a file or a resource of kind Experiment")
        metadata = dict(found.get("metadata") or {})
        metadata["name"] = self.name or metadata.get("name")
        if not metadata["name"]:
            raise AirflowFailException("the experiment has no metadata.name")
        return {**found, "metadata": metadata}


async def _first(trigger: ExperimentTrigger) -> dict[str, Any]:
    event = await anext(aiter(trigger.run()))
    return event.payload


def _asked_by(context: Context) -> str:
    instance = context["ti"]
    index = "" if instance.map_index is None or instance.map_index < 0 else f".{instance.map_index}"
    return f"{instance.dag_id}/{instance.run_id}/{instance.task_id}{index}"
