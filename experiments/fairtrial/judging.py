"""Judges a stream of observations: looks, evidence and judge put together.

A live run, a resumed one, a replay and `judge --data` all come through here, so that the same
observations get the same verdicts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from fairtrial.evidence.arrow import Tabular
from fairtrial.evidence.builder import EvidenceBuilder
from fairtrial.evidence.looks import Block, Look, LookCutter
from fairtrial.judge.evidence import Evidence, Exclusion
from fairtrial.judge.pipeline import judge
from fairtrial.judge.selection import select
from fairtrial.judge.spec import JudgeSpec
from fairtrial.judge.state import State
from fairtrial.judge.verdict import Decision, Verdict
from fairtrial.warm_up import WarmUpFinder


@dataclass(frozen=True)
class Judgement:
    """What a look brought."""

    look: Look
    state: State
    verdicts: tuple[Verdict, ...]  # on each candidate that had no final one before this look


class StreamJudge:
    """Feed it batches as they come. It is done once every candidate has its final verdict."""

    def __init__(self, spec: JudgeSpec) -> None:
        """Raises ValueError if the spec cannot be judged."""
        self._spec = spec
        self._cutter = LookCutter(spec)
        self._builder = EvidenceBuilder(spec)
        self._state = State()
        self._finals: dict[str, Verdict] = {}
        self._finder = WarmUpFinder(spec) if spec.auto_warm_up else None
        self._kept_back: list[Tabular] = []

    @property
    def done(self) -> bool:
        """Whether every candidate has its final verdict; nothing more comes then."""
        return len(self._finals) == len(self._spec.candidates)

    @property
    def finals(self) -> tuple[Verdict, ...]:
        """The final verdicts so far, in the order of the candidates."""
        return tuple(self._finals[name] for name in self._spec.candidates if name in self._finals)

    @property
    def outcome(self) -> Verdict | None:
        """The verdict that speaks for all candidates; None until every one has its final verdict."""
        return select(self._spec, self._builder.evidence, self.finals) if self.done else None

    @property
    def evidence(self) -> Evidence:
        """All the evidence that has been looked at, and what came since; a view, to be read only."""
        return self._builder.evidence

    def feed(self, observations: Tabular) -> Iterator[Judgement]:
        """Take a record batch or table, in the order of the stream; yields the looks that it completes.

        Consume it to its end before the next batch. Raises UsageError if a required column is missing.
        """
        if self._finder is not None:
            self._finder.feed(observations)
            self._kept_back.append(observations)
            if self._finder.enough:
                yield from self._begin(self._finder.seconds())
            return
        yield from self._judged(self._cutter.feed(observations))

    def all(self, batches: Iterable[Tabular]) -> Iterator[Judgement]:
        """Feed it these, until every candidate has its final verdict, and close it."""
        for batch in batches:
            yield from self.feed(batch)
            if self.done:
                return
        yield from self.close()

    def close(self) -> Iterator[Judgement]:
        """The stream has ended; yields the last look, unless every candidate has its verdict already.

        Without any observation there is one look, at nothing.
        """
        if self._finder is not None:
            yield from self._begin(self._finder.seconds())
        yield from self._judged(self._cutter.close())
        if not self.done:
            yield self._judge(Look(self._state.look + 1, 0.0, last=True))

    def _begin(self, warm_up: float) -> Iterator[Judgement]:
        """The warm-up is known: judge what was kept back until then."""
        self._finder = None
        self._spec = replace(self._spec, warm_up=warm_up, auto_warm_up=False)
        self._builder = EvidenceBuilder(self._spec)
        kept, self._kept_back = self._kept_back, []
        for observations in kept:
            yield from self._judged(self._cutter.feed(observations))

    def _judged(self, pieces: Iterator[Block | Look]) -> Iterator[Judgement]:
        for piece in pieces:
            if self.done:
                return
            if isinstance(piece, Look):
                yield self._judge(piece)
            else:
                self._builder.note(Exclusion.CLOCK_BACKWARDS, piece.late)
                self._builder.add(piece.observations)

    def _judge(self, look: Look) -> Judgement:
        self._state, verdicts = judge(self._spec, self._state, self._builder.evidence, last=look.last)
        for verdict in verdicts:
            if verdict.decision is not Decision.CONTINUE:
                self._finals[verdict.candidate] = verdict
        return Judgement(look, self._state, verdicts)


def judge_stream(spec: JudgeSpec, batches: Iterable[Tabular]) -> Iterator[Judgement]:
    """Judge observations in order, look by look, until every candidate has its final verdict.

    Raises ValueError if the spec cannot be judged, UsageError if a required column is missing.
    """
    yield from StreamJudge(spec).all(batches)
