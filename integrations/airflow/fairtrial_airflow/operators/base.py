"""What the operators share that run a verb of the `fairtrial` command."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from fairtrial_airflow.command import Command, Finished


class CommandOperator(BaseOperator):
    """Runs `fairtrial VERB …` on the worker, as a process of its own that ends with the task."""

    template_fields: Collection[str] = ("arguments", "cwd", "env", "executable")
    ui_color = "#dbe7f3"

    def __init__(
        self,
        *,
        arguments: Sequence[str] = (),
        executable: str | Sequence[str] = "fairtrial",
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        grace: float = 45.0,
        **kwargs: Any,
    ) -> None:
        """arguments: further options of the verb.

        executable: the command; where it is not on the worker's PATH, its path, or the words that start it,
        such as `("uvx", "fairtrial")`: its packages need not agree with Airflow's.
        env: added to the worker's own environment. grace: seconds to shut down in when the task is killed.
        """
        super().__init__(**kwargs)
        self.arguments = list(arguments)
        self.executable = [executable] if isinstance(executable, str) else list(executable)
        self.cwd = cwd
        self.env = dict(env or {})
        self.grace = grace
        self._command: Command | None = None

    def call(self, *words: str, arguments: Iterable[str] | None = None) -> Finished:
        """Raises AirflowFailException where there is no such command.

        arguments: in place of the operator's own.
        """
        options = self.arguments if arguments is None else arguments
        line = [*self.executable, *words, *options, "--output", "json"]
        self._command = Command(line, cwd=self.cwd, env=self.env, grace=self.grace, log=self.log)
        try:
            return self._command.run()
        except OSError as error:
            raise AirflowFailException(
                f"{self.executable[0]} cannot be started ({error.strerror}: {error.filename}): install "
                "fairtrial on the worker, or say where it is by `executable`"
            ) from error

    def on_kill(self) -> None:
        if self._command is not None:
            self._command.stop()
