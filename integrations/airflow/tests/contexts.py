"""As much of a task's context as the operators use, for tests that do not go through Airflow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Instance:
    dag_id: str = "dag"
    run_id: str = "scheduled__2026-11-28T00:00:00+00:00"
    task_id: str = "trial"
    map_index: int = -1
    pushed: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


def context() -> Any:
    return {"ti": Instance()}
