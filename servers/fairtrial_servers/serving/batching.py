"""Adaptive batching: requests that wait at the same time are answered by one call of the model.

MLServer's own batching merges requests before the model sees them, so that one malformed request fails all
that were merged with it. Here every request is decoded and checked alone beforehand; only arrays come
together. A model must treat each row by itself for that, as all but a few do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from fairtrial_servers.serving.options import Batching
from fairtrial_servers.tensor_specs import Array

logger = logging.getLogger("fairtrial.servers")

Arrays = Mapping[str, Array]
Infer = Callable[[Arrays, Sequence[str]], Arrays]

#: Full batches that requests of different kinds may add up to; with more, the oldest waits no longer.
_GATHERED = 8

# What requests must have in common: the outputs they ask for; name, dtype and shape of a row of each input.
_Kind = tuple[tuple[str, ...], tuple[tuple[str, str, tuple[int, ...]], ...]]


@dataclass(slots=True)
class _Waiting:
    inputs: Arrays
    rows: int
    answer: asyncio.Future[Arrays]


@dataclass(slots=True)
class _Group:
    timer: asyncio.Handle
    rows: int = 0
    members: list[_Waiting] = field(default_factory=list[_Waiting])


class Batcher:
    """Gathers requests for `infer`, which is called on the event loop, as without batching."""

    def __init__(self, infer: Infer, options: Batching) -> None:
        self._infer = infer
        self._most = options.rows
        self._seconds = options.seconds
        self._groups: dict[_Kind, _Group] = {}
        self._waiting = 0  # rows

    async def infer(self, inputs: Arrays, outputs: Sequence[str]) -> Arrays:
        """The named outputs for the rows of `inputs`, as `infer` gives them when called alone.

        A caller that is cancelled while it waits is left out. Raises what `infer` does for these rows alone.
        """
        rows = len(next(iter(inputs.values())))
        if rows >= self._most:
            return self._infer(inputs, outputs)
        kind = tuple(outputs), tuple((name, str(a.dtype), a.shape[1:]) for name, a in inputs.items())
        if kind in self._groups and self._groups[kind].rows + rows > self._most:
            self._flush(kind)
        while self._groups and self._waiting + rows > self._most * _GATHERED:
            self._flush(next(iter(self._groups)))
        loop = asyncio.get_running_loop()
        group = self._groups.get(kind)
        if group is None:
            group = self._groups[kind] = _Group(loop.call_later(self._seconds, self._flush, kind))
        waiting = _Waiting(inputs, rows, loop.create_future())
        group.members.append(waiting)
        group.rows += rows
        self._waiting += rows
        if group.rows == self._most:
            self._flush(kind)
        return await waiting.answer

    def _flush(self, kind: _Kind) -> None:
        group = self._groups.pop(kind)
        group.timer.cancel()
        self._waiting -= group.rows
        members = [each for each in group.members if not each.answer.done()]  # done: cancelled
        if len(members) > 1 and self._together(members, kind[0]):
            return
        for each in members:
            try:
                answer = self._infer(each.inputs, kind[0])
            except Exception as error:  # noqa: BLE001 (it is raised where the request waits)
                each.answer.set_exception(error)
            else:
                each.answer.set_result(answer)

    def _together(self, members: Sequence[_Waiting], outputs: Sequence[str]) -> bool:
        """Answer all by one call; False if that is not possible, and none is answered."""
        inputs = {name: np.concatenate([each.inputs[name] for each in members]) for name in members[0].inputs}
        rows = sum(each.rows for each in members)
        try:
            answers = self._infer(inputs, outputs)
        except Exception as error:  # noqa: BLE001 (each is asked again alone, and the guilty one told)
            logger.debug("a batch of %d requests is taken apart: %s", len(members), error)
            return False
        if any(array.ndim == 0 or len(array) != rows for array in answers.values()):
            logger.debug("a batch is taken apart: its answer has other than one row for each")
            return False
        start = 0
        for each in members:
            part = slice(start, start + each.rows)
            each.answer.set_result({name: array[part] for name, array in answers.items()})
            start += each.rows
        return True
