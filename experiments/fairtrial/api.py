"""Fairtrial from Python, for notebooks: `fairtrial.load("experiment.yaml").run()`."""

from __future__ import annotations

import html
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairtrial.experiment.model import Experiment
from fairtrial.experiment.reading import load as read_experiment

if TYPE_CHECKING:
    import pandas as pd

    from fairtrial.planning.plan import Plan


@dataclass(frozen=True)
class Run:
    """A run that has ended, read from its folder."""

    folder: Path

    @property
    def verdict(self) -> str:
        """PROMOTE, ROLLBACK or INCONCLUSIVE."""
        return str(self.document["verdict"])

    @property
    def reasons(self) -> list[str]:
        """Why, in sentences."""
        return list(self.document["reasons"])

    @property
    def document(self) -> Mapping[str, Any]:
        """verdict.json."""
        return dict(json.loads((self.folder / "verdict.json").read_text(encoding="utf-8")))

    @property
    def evidence(self) -> pd.DataFrame:
        """Every observation, one row each, in order of intended time; columns as documented."""
        from fairtrial.journal.folder import RunFolder
        from fairtrial.recorded import observations_of

        return observations_of(RunFolder(self.folder)).to_pandas()

    def report(self) -> str:
        """The report, as one page of HTML."""
        return (self.folder / "report.html").read_text(encoding="utf-8")

    def _repr_html_(self) -> str:
        page = html.escape(self.report(), quote=True)
        style = "width:100%;height:640px;border:0"
        return f'<iframe srcdoc="{page}" style="{style}" title="Fairtrial report"></iframe>'

    def __repr__(self) -> str:
        return f"<Run {self.folder.name}: {self.verdict}. {' '.join(self.reasons)}>"


@dataclass(frozen=True)
class Trial:
    """An experiment that was read and checked, ready to run."""

    path: Path
    experiment: Experiment

    def plan(self) -> Plan:
        """What a run would deploy, send and judge. Raises UsageError."""
        from fairtrial.planning.plan import plan_of

        return plan_of(self.experiment)

    def run(self, *, runs: Path | str | None = None) -> Run:
        """Run the experiment on this machine to its verdict, telling how it goes on stderr.

        Raises FairtrialError; interrupting the kernel shuts everything down.
        """
        from fairtrial.console.fetching import fetching_told
        from fairtrial.console.of_plan import console_of
        from fairtrial.controller.session import Options, start

        options = Options(Path(runs) if runs else None)
        with fetching_told() as fetching:
            folder = start(
                self.path,
                options,
                lambda plan: console_of(plan, results=sys.stderr),
                fetching=fetching,
            )
        return Run(folder.path)


def load(path: Path | str) -> Trial:
    """Read an experiment file. Raises UsageError, with every mistake in it."""
    return Trial(Path(path), read_experiment(path))
