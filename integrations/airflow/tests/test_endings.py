"""What a task does with each end of its command: a stand-in of the command ends as it is told to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from contexts import context


@pytest.fixture
def ending(tmp_path: Path):
    """An operator whose command ends with this code and document."""

    def made(code: int, document: dict[str, Any] | None = None, **said: Any):
        from fairtrial_airflow.operators.run import FairtrialRunOperator

        script = tmp_path / "fairtrial"
        script.write_text(
            f"#!/bin/sh\ncat <<'END'\n{json.dumps(document or {'error': 'why'})}\nEND\nexit {code}\n"
        )
        script.chmod(0o755)
        return FairtrialRunOperator(
            task_id="trial", experiment="experiment.yaml", cwd=str(tmp_path), executable=str(script), **said
        )

    return made


VERDICT = {"verdict": "ROLLBACK", "candidate": "v2", "reasons": ["v2 is worse."]}


@pytest.mark.parametrize(
    ("code", "said", "raised"),
    [
        (10, {}, "AirflowFailException"),
        (10, {"on_rollback": "skip"}, "AirflowSkipException"),
        (10, {"on_rollback": "pass"}, None),
        (11, {}, "AirflowSkipException"),
        (11, {"on_inconclusive": "fail"}, "AirflowFailException"),
        (11, {"on_inconclusive": "pass"}, None),
        (0, {}, None),
    ],
)
def test_a_verdict_is_pushed_whatever_becomes_of_the_task(
    ending, code: int, said: dict[str, str], raised: str | None
):
    operator, told = ending(code, VERDICT, **said), context()
    if raised is None:
        assert operator.execute(told) == VERDICT | {"exitCode": code}
    else:
        with pytest.raises(Exception, match=r"^ROLLBACK: v2\nv2 is worse.$") as failure:
            operator.execute(told)
        assert type(failure.value).__name__ == raised
    assert told["ti"].pushed["verdict"]["exitCode"] == code


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        (1, "AirflowException"),
        (2, "AirflowFailException"),
        (3, "AirflowException"),
        (4, "AirflowFailException"),
        (5, "AirflowException"),
        (12, "AirflowFailException"),
        (130, "AirflowException"),
    ],
)
def test_what_trying_again_may_mend_is_tried_again_and_nothing_else(ending, code: int, raised: str):
    with pytest.raises(Exception, match=r"^why$") as failure:
        ending(code).execute(context())
    assert type(failure.value).__name__ == raised


def test_a_wrong_reaction_is_told_where_the_dag_is_read(ending):
    with pytest.raises(ValueError, match=r'on_rollback is "fail", "skip" or "pass"'):
        ending(0, on_rollback="ignore")


def test_no_command_is_no_reason_to_try_again(tmp_path: Path):
    from airflow.sdk.exceptions import AirflowFailException
    from fairtrial_airflow.operators.model import FairtrialPackOperator, FairtrialScoreOperator

    operator = FairtrialScoreOperator(
        task_id="s", model="m", data="d", out="o", executable=str(tmp_path / "none")
    )
    with pytest.raises(AirflowFailException, match="install fairtrial"):
        operator.execute(context())
    with pytest.raises(ValueError, match="where the image is to go"):
        FairtrialPackOperator(task_id="p", model="m")
