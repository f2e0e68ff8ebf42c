"""What the collector tells of itself, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fairtrial.collect.writer import Writer

_PREFIX = "fairtrial_collector"


def exposition(counts: Mapping[str, int], writer: Writer) -> bytes:
    """The text format, version 0.0.4. counts: of requests, by what they were."""
    return "".join(_lines(counts, writer)).encode()


def _lines(counts: Mapping[str, int], writer: Writer) -> Iterator[str]:
    done = writer.counts
    yield from _counter(
        "received_total",
        "What was posted and could be read, events delivered twice twice.",
        {f'kind="{kind}"': counts.get(of, 0) for kind, of in (("event", "half"), ("feedback", "feedback"))},
    )
    yield from _counter(
        "refused_total",
        "What was answered by 400, by 503, and by 401 or 403.",
        {f'why="{why}"': counts.get(why, 0) for why in ("malformed", "unavailable", "unauthorized")},
    )
    yield from _counter("stored_total", "Events and feedback that are durable.", {"": done.stored})
    yield from _counter(
        "feedback_total",
        "Feedback by what became of it.",
        {f'outcome="{fate}"': count for fate, count in sorted(done.feedback.items())},
    )
    yield from _counter("given_total", "Observations given out, again ones too.", {"": done.given})
    yield from _counter("transactions_total", "Transactions of the store.", {"": done.transactions})
    yield from _counter(
        "transactions_failed_total", "Transactions that the store refused.", {"": done.failed_transactions}
    )
    yield from _counter("transaction_seconds_total", "Time in transactions.", {"": done.seconds})
    yield from _gauge("waiting", "What waits to be stored.", writer.waiting)
    yield from _gauge("ready", "1 while the store answers.", int(writer.ready))


def _counter(name: str, what: str, values: Mapping[str, float]) -> Iterator[str]:
    yield f"# HELP {_PREFIX}_{name} {what}\n# TYPE {_PREFIX}_{name} counter\n"
    for labels, value in values.items():
        yield f"{_PREFIX}_{name}{{{labels}}} {value}\n" if labels else f"{_PREFIX}_{name} {value}\n"


def _gauge(name: str, what: str, value: float) -> Iterator[str]:
    yield f"# HELP {_PREFIX}_{name} {what}\n# TYPE {_PREFIX}_{name} gauge\n{_PREFIX}_{name} {value}\n"
