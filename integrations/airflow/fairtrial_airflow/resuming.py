"""What a try that takes a run up again asks of `fairtrial resume`, and what its end means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from fairtrial_airflow.command import Finished
from fairtrial_airflow.endings import USAGE

#: The options of `run` that `resume` takes too. The others are in the run's journal, or would name an
#: Experiment on a cluster.
FLAGS = frozenset({"--keep-serving", "--take-over"})
VALUES = frozenset({"--port", "--workers", "--expect-workers", "--bind", "--junit", "--summary"})

#: How `resume` says that a run can never have a verdict, so that another one is no second draw.
_OVER = ("start another with `fairtrial run`", "record it again")


def resumable(arguments: Iterable[str]) -> Iterator[str]:
    """Of the options of `fairtrial run`, those of `fairtrial resume`, with their values."""
    words = iter(arguments)
    for word in words:
        name, joined, _ = word.partition("=")
        if name in FLAGS:
            yield word
        elif name in VALUES:
            yield word
            if not joined:
                yield from islice(words, 1)


def is_over(finished: Finished) -> bool:
    """Whether `resume` says that the run was aborted, died before it began, or cannot go on.

    Any other wrong usage says nothing of the run, which may still hold what it has deployed.
    """
    said = str(finished.document.get("error") or finished.last_words)
    return finished.code == USAGE and any(each in said for each in _OVER)
