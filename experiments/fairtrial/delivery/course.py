"""The course of a challenger: fetched, examined, packed, tried, and promoted or refused.

Each step is kept with what came of it (`Steps`), and its effect can be made twice, so that a delivery that
was cut off at any point goes on there and comes to the same end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairtrial.delivery.anchoring import anchor
from fairtrial.delivery.images import pushed
from fairtrial.delivery.inbox import Taken
from fairtrial.delivery.ledger import Action, Entry
from fairtrial.delivery.means import IMAGE_TAG, Means
from fairtrial.delivery.pinning import arm_of, load_template
from fairtrial.delivery.safety import examine
from fairtrial.delivery.steps import Steps
from fairtrial.delivery.trial import Trial, tried
from fairtrial.delivery.who import watcher
from fairtrial.errors import AbortedError, NotReadyError, UnsafeModelError, UsageError
from fairtrial.planning.models import Models
from fairtrial.registry.interface import Version

#: What rests on a trial.
_AGAINST_ANOTHER = ("trial", "report", "intend", "promote")
#: Before these something more urgent is done.
_MAY_WAIT = frozenset({"choose", "fetch", "examine", "pack"})


@dataclass(frozen=True)
class _Chosen:
    """The two versions, as they were when the delivery began."""

    challenger: Version
    champion: Version | None

    @property
    def before(self) -> str | None:
        return self.champion.version if self.champion is not None else None


class Course:
    """One delivery of a challenger."""

    def __init__(self, means: Means, taken: Taken, cut_off: Callable[[], bool]) -> None:
        """cut_off: whether something more urgent waits: a trial is aborted for it, and begun anew later."""
        self._means = means
        self._taken = taken
        self._cut_off = cut_off
        self._steps = Steps(means.state, taken, means.clock)
        self._version = str(taken.event.body["version"])
        self._evidence: dict[str, Any] = {}

    def run(self) -> Entry:
        """Bring it to its end; the ledger's entry. Raises FairtrialError: it can be called again."""
        chosen = self._chosen()
        now = self._means.serving()
        if self._version in (chosen.champion and chosen.champion.version, now and now.version):
            return self._close(Action.NOTED, chosen.before, f"version {self._version} is in service already")
        try:
            model = self._fetched(chosen.challenger)
            self._examined(model)
            image = self._packed(model)
        except UnsafeModelError as error:
            return self._refuse(chosen, f"version {self._version} is not safe to serve: {error}", None)
        self._evidence |= image
        if chosen.champion is None:
            return self._promote(chosen, "there was none in service to compare it with", None)
        trial = self._tried(chosen.champion)
        if isinstance(trial, str):
            return self._refuse(chosen, trial, None)
        why = " ".join(trial.evidence["reasons"])
        self._evidence |= trial.evidence
        return self._promote(chosen, why, trial) if trial.promoted else self._refuse(chosen, why, trial)

    # ---- the steps

    def _chosen(self) -> _Chosen:
        means = self._means

        def choose() -> Mapping[str, Any]:
            champion = means.registry.holder(means.champion_alias)
            return {"champion": champion.version if champion is not None else None}

        said = self._step("choose", f"version {self._version} is taken on", choose)
        holder = means.registry.holder(means.champion_alias)
        if holder is not None and holder.version not in (said["champion"], self._version):
            # Something else serves now than what it was tried against.
            said = self._steps.again("choose", choose, forget=_AGAINST_ANOTHER)
        before = said["champion"]
        champion = means.version(before) if before is not None else None
        return _Chosen(means.version(self._version), champion)

    def _fetched(self, version: Version) -> Path:
        """The model's files. An earlier process's digest must be theirs: versions do not change."""
        models = Models(self._means.template.parent, self._means.fetching)

        def fetch() -> Mapping[str, Any]:
            return {"digest": models.digest(version.uri)}

        said = self._step("fetch", f"fetching {version.uri}", fetch)
        if models.digest(version.uri) != said["digest"]:
            raise UnsafeModelError(
                f"{version.uri} has other files than when this delivery began; a version must not change"
            )
        self._evidence |= {"digest": said["digest"], "uri": version.uri}
        return models.at(version.uri)

    def _examined(self, model: Path) -> None:
        template = load_template(self._means.template)
        self._step("examine", "scanning it", lambda: {"files": examine(template, model)})

    def _packed(self, model: Path) -> Mapping[str, Any]:
        image = self._means.pipeline.spec.image
        if image is None:
            return {}
        means = self._means
        candidate = load_template(means.template).spec.candidates[0]

        def pack() -> Mapping[str, Any]:
            found = pushed(image, means.pipeline.folder, model, self._version, candidate, means.say)
            means.registry.tag(self._version, {IMAGE_TAG: found["image"]})
            return found

        return self._step("pack", f"packing it for {image.push}", pack)

    def _tried(self, champion: Version) -> Trial | str:
        """The trial, or why there could be none: the version never got ready."""
        means = self._means
        runs = means.state.folder / "runs" / str(self._taken.seq)
        pins = means.pinned(champion), means.pinned(means.version(self._version))
        said = self._steps.done("trial")
        if said is not None and "unready" in said:
            return str(said["unready"])
        try:
            trial = tried(means, runs, *pins, self._cut_off)
        except NotReadyError as error:
            if error.arm != arm_of(self._version):
                raise
            why = f"version {self._version} did not become ready: {error}"
            return str(self._steps.once("trial", lambda: {"unready": why})["unready"])
        self._steps.once("trial", lambda: {"run": trial.folder.id, "promoted": trial.promoted})
        return trial

    def _promote(self, chosen: _Chosen, why: str, trial: Trial | None) -> Entry:
        means = self._means
        alias = means.champion_alias
        before = chosen.before
        holder = means.registry.holder(alias)
        if holder is not None and holder.version not in (before, self._version):
            means.say(f"version {holder.version} was given the alias {alias} meanwhile")
            return self.run()
        self._reported(trial, "promoted")
        # What the ledger is to say is known before the alias moves: see `settle`.
        self._steps.once("intend", lambda: {"before": before, "why": why, "evidence": self._evidence})

        def promote() -> Mapping[str, Any]:
            means.registry.move(alias, self._version)
            return {"alias": alias}

        self._step("promote", f"{alias} moves to version {self._version}", promote)
        pinned = means.pinned(means.version(self._version))
        url = means.service.serve(pinned)  # what serves here ends with this process, so that no step keeps it
        means.say(f"version {self._version} is in service at {url}")
        return self._close(Action.PROMOTED, before, why)

    def _refuse(self, chosen: _Chosen, why: str, trial: Trial | None) -> Entry:
        self._reported(trial, "refused")
        return self._close(Action.REFUSED, chosen.before, why)

    def _reported(self, trial: Trial | None, outcome: str) -> None:
        """Verdict and report back to the registry, as tags of the version and as its artifacts."""
        registry = self._means.registry

        def report() -> Mapping[str, Any]:
            tags = {"fairtrial.outcome": outcome, "fairtrial.delivery": self._taken.event.key}
            where = None
            if trial is not None:
                tags |= {"fairtrial.verdict": trial.evidence["verdict"], "fairtrial.run": trial.folder.id}
                files = [trial.folder.verdict, trial.folder.report]
                try:
                    where = registry.attach(self._version, files, run=trial.folder.id)
                except UsageError as error:  # it has no place for files, and never will
                    self._means.say(str(error))
            registry.tag(self._version, tags)
            return {"report": where}

        said = self._step("report", "telling the registry", report)
        if said["report"] is not None:
            self._evidence["report"] = said["report"]

    def _close(self, action: Action, before: str | None, why: str) -> Entry:
        entry = self._means.ledger.close_with(
            self._taken,
            action,
            version=self._version,
            before=before,
            why=why,
            by=f"{self._taken.event.trigger} ({watcher()})",
            evidence=self._evidence,
        )
        anchor(self._means, entry)
        return entry

    def _step(self, step: str, doing: str, make: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        if step in _MAY_WAIT and self._cut_off():
            raise AbortedError(f"{doing}: cut off")
        if self._steps.done(step) is None:
            self._means.say(f"{self._means.pipeline.name}: {doing}")
        return self._steps.once(step, make)
