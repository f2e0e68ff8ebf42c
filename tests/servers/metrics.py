"""MLServer keeps its counters for the whole process, and can make them once: here each server has its own."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from prometheus_client import REGISTRY


@contextmanager
def own_metrics() -> Generator[None]:
    """What is registered meanwhile is forgotten afterwards."""
    before = set(REGISTRY._collector_to_names)
    try:
        yield
    finally:
        for collector in set(REGISTRY._collector_to_names) - before:
            REGISTRY.unregister(collector)
