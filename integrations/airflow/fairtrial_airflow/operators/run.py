"""Put model versions on trial, on the worker or from it."""

from __future__ import annotations

import fcntl
import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowException

from fairtrial_airflow.command import Finished
from fairtrial_airflow.endings import Reaction, check_reaction, react
from fairtrial_airflow.links import ReportLink
from fairtrial_airflow.operators.base import CommandOperator
from fairtrial_airflow.resuming import is_over, resumable

if TYPE_CHECKING:
    from airflow.sdk import Context


class FairtrialRunOperator(CommandOperator):
    """`fairtrial run FILE`.

    The verdict (`verdict.json`, with `exitCode`, `folder` and `report`) is pushed as XCom `verdict`, whatever
    it is, and returned if the task succeeds. A task that is tried again, since its worker died, takes up its
    run where it was cut off. No verdict is drawn twice: after ROLLBACK there are no retries.
    """

    template_fields: Collection[str] = (
        *CommandOperator.template_fields,
        "experiment",
        "runs_dir",
        "report_url",
    )
    operator_extra_links = (ReportLink(),)

    def __init__(
        self,
        *,
        experiment: str,
        runs_dir: str | None = None,
        on_rollback: Reaction = "fail",
        on_inconclusive: Reaction = "skip",
        report_url: str | None = None,
        **kwargs: Any,
    ) -> None:
        """experiment: the file, on the worker.

        runs_dir: where run folders go, one folder a task instance; beside the file unless said. Where tasks
        move between workers, on a disk that they share: only there can a run be taken up again.
        report_url: where the report can be read, with `{run}` for the run's id.
        """
        super().__init__(**kwargs)
        self.experiment = experiment
        self.runs_dir = runs_dir
        self.on_rollback: Reaction = check_reaction("on_rollback", on_rollback)
        self.on_inconclusive: Reaction = check_reaction("on_inconclusive", on_inconclusive)
        self.report_url = report_url
        self.report_link = ""

    def execute(self, context: Context) -> Mapping[str, Any]:
        runs = self._runs(context)
        finished = self._taken_up(runs) or self.call("run", str(self.experiment), "--runs-dir", str(runs))
        document = {**finished.document, "exitCode": finished.code}
        if (folder := self._newest(runs)) is not None:
            report = folder / "report.html"
            document |= {"folder": str(folder), "report": str(report) if report.is_file() else None}
            self.report_link = self.report_url.format(run=folder.name) if self.report_url else report.as_uri()
        context["ti"].xcom_push(key="verdict", value=document)
        react(
            finished.code,
            _message(finished),
            on_rollback=self.on_rollback,
            on_inconclusive=self.on_inconclusive,
        )
        return document

    def _runs(self, context: Context) -> Path:
        """The folder of this task instance, whichever try it is."""
        base = Path(self.cwd or ".")
        runs = base / (self.runs_dir or Path(self.experiment).parent / "runs")
        instance = context["ti"]
        index = "" if instance.map_index is None or instance.map_index < 0 else f".{instance.map_index}"
        names = (instance.dag_id, instance.run_id, f"{instance.task_id}{index}")
        return runs.absolute().joinpath(*(re.sub(r"[^\w.-]", "_", name) for name in names))

    def _taken_up(self, runs: Path) -> Finished | None:
        """The end of the run that an earlier try was cut off in; None if there is none that can go on."""
        folder = self._newest(runs)
        if folder is None or (folder / "verdict.json").is_file():
            return None
        if _is_held(folder):
            raise AirflowException(f"run {folder.name} of an earlier try is still being worked on")
        self.log.info("an earlier try was cut off: its run %s is taken up", folder.name)
        finished = self.call("resume", str(folder), arguments=resumable(self.arguments))
        return None if is_over(finished) else finished

    @staticmethod
    def _newest(runs: Path) -> Path | None:
        # A name ends with the time at which the run began.
        return max(
            (journal.parent for journal in runs.glob("*/journal.db")),
            key=lambda path: path.name,
            default=None,
        )


def _is_held(folder: Path) -> bool:
    with (folder / "run.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _message(finished: Finished) -> str:
    document = finished.document
    if "verdict" in document:
        return "\n".join([f"{document['verdict']}: {document['candidate']}", *document["reasons"]])
    return str(document.get("error") or finished.last_words or json.dumps(dict(document)))
