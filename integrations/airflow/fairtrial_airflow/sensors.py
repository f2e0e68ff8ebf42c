"""Waiting for the verdict of a trial that something else has started."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.exceptions import AirflowException

from fairtrial_airflow.cluster import Cluster, state_of
from fairtrial_airflow.endings import (
    INCONCLUSIVE,
    PROMOTED,
    ROLLED_BACK,
    Reaction,
    check_reaction,
    code_of,
    react,
)
from fairtrial_airflow.triggers import ExperimentTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

_CODES = {"PROMOTE": PROMOTED, "ROLLBACK": ROLLED_BACK, "INCONCLUSIVE": INCONCLUSIVE}


class FairtrialVerdictSensor(BaseSensorOperator):
    """Waits for the verdict of an Experiment on a cluster, or of a run's folder, and returns it."""

    template_fields: Collection[str] = ("folder", "experiment", "namespace", "kube_context", "kubeconfig")
    ui_color = "#dbe7f3"

    def __init__(
        self,
        *,
        folder: str | None = None,
        experiment: str | None = None,
        namespace: str | None = None,
        kube_context: str | None = None,
        kubeconfig: str | None = None,
        on_rollback: Reaction = "fail",
        on_inconclusive: Reaction = "skip",
        deferrable: bool = False,
        **kwargs: Any,
    ) -> None:
        """folder: of a run. experiment, namespace: of an Experiment, whose last run it is then about.

        deferrable: wait for an Experiment without a worker; a folder is on the worker's disk.
        """
        super().__init__(**kwargs)
        if (folder is None) == (experiment is None) or (experiment is None) != (namespace is None):
            raise ValueError("say `folder`, or `experiment` and `namespace`")
        if deferrable and folder is not None:
            raise ValueError("a folder is on the worker's disk: the triggerer cannot wait for it")
        self.folder = folder
        self.experiment = experiment
        self.namespace = namespace
        self.kube_context = kube_context
        self.kubeconfig = kubeconfig
        self.on_rollback: Reaction = check_reaction("on_rollback", on_rollback)
        self.on_inconclusive: Reaction = check_reaction("on_inconclusive", on_inconclusive)
        self.deferrable = deferrable

    def execute(self, context: Context) -> Any:
        if not self.deferrable or self.poke(context):
            return super().execute(context)
        assert self.experiment is not None, "checked when it was made"
        assert self.namespace is not None, "checked when it was made"
        self.defer(
            trigger=ExperimentTrigger(
                name=self.experiment,
                namespace=self.namespace,
                context=self.kube_context,
                kubeconfig=self.kubeconfig,
                poll_interval=self.poke_interval,
            ),
            method_name="execute_complete",
        )
        return None

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """The experiment has ended, or cannot be asked any more."""
        if "error" in event:
            raise AirflowException(event["error"])
        return self._said(context, code_of(event["phase"]), event["message"], event)

    def poke(self, context: Context) -> PokeReturnValue | bool:
        if self.folder is not None:
            return self._poke_folder(context, Path(self.folder) / "verdict.json")
        found = Cluster(str(self.namespace), self.kube_context, self.kubeconfig).get(str(self.experiment))
        state = None if found is None else state_of(found, None)
        if state is None or not state.ended:
            return False
        said = self._said(context, code_of(state.phase), state.message, state.as_json())
        return PokeReturnValue(True, said)

    def _poke_folder(self, context: Context, file: Path) -> PokeReturnValue | bool:
        """The file appears whole or not at all."""
        if not file.is_file():
            return False
        document = json.loads(file.read_text(encoding="utf-8"))
        message = "\n".join([document["verdict"], *document["reasons"]])
        return PokeReturnValue(True, self._said(context, _CODES[document["verdict"]], message, document))

    def _said(self, context: Context, code: int, message: str, document: dict[str, Any]) -> dict[str, Any]:
        context["ti"].xcom_push(key="verdict", value=document)
        react(code, message, on_rollback=self.on_rollback, on_inconclusive=self.on_inconclusive)
        return document
