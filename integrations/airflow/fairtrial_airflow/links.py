"""The report of a trial, one click from its task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class ReportLink(BaseOperatorLink):
    """Where the operator's `report_url` says; else the file, for those who share the worker's disk."""

    @property
    def name(self) -> str:
        return "Fairtrial report"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Asked for in the task's own process, at its end. Empty for a task that came to no run."""
        del ti_key
        return str(getattr(operator, "report_link", ""))
