"""Answers kept on Redis, for models that cost more than a look-up (some 0.3 ms on a server nearby).

A cache may be down, slow, or hold what something else wrote: then the model answers, as if there were none.
A look-up has a few milliseconds; after some failures in a row none is tried for a while. What is found is
believed only if its checksum is right, which covers the key as well. Nothing is ever unpickled.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from prometheus_client import Counter

from fairtrial_servers.errors import ServerError
from fairtrial_servers.serving.cached_values import key_of, pack, unpack
from fairtrial_servers.serving.messages import Parameters
from fairtrial_servers.serving.options import Caching
from fairtrial_servers.tensor_specs import Array

logger = logging.getLogger("fairtrial.servers")

#: Failures in a row after which no look-up is tried for so many seconds.
FAILURES, PAUSE = 3, 1.0
#: Answers that may be on their way to the cache at once; further ones are not kept.
_WRITES = 64

HITS = Counter("fairtrial_cache_hits", "Requests answered from the cache", ["model"])
MISSES = Counter("fairtrial_cache_misses", "Requests whose answer was not in the cache", ["model"])
ERRORS = Counter(
    "fairtrial_cache_errors", "Look-ups and writes that failed, were late, or found damage", ["model"]
)


class Breaker:
    """Counts failures in a row, and says when to try again. `now` gives seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._failures = 0
        self._until = 0.0

    def allows(self) -> bool:
        """Whether to try. After a pause one caller may, and the others only once it was good."""
        if self._failures < FAILURES:
            return True
        now = self._now()
        if now < self._until:
            return False
        self._until = now + PAUSE
        return True

    def good(self) -> None:
        self._failures = 0

    def bad(self) -> bool:
        """Count a failure; whether the pause begins with it."""
        self._failures += 1
        self._until = self._now() + PAUSE
        return self._failures == FAILURES


class AnswerCache:
    """The cache of one model, whose `digest` is part of every key. Its faults are counted, not raised."""

    def __init__(self, options: Caching, model: str, digest: bytes) -> None:
        self._options = options
        self._digest = digest
        self._redis = _connect(options)
        self._breaker = Breaker()
        self._writes: set[asyncio.Task[None]] = set()
        self._hits, self._misses, self._errors = (each.labels(model=model) for each in (HITS, MISSES, ERRORS))

    def key(
        self, inputs: Mapping[str, Array], outputs: Sequence[str], parameters: Parameters | None
    ) -> bytes:
        return key_of(self._digest, inputs, outputs, parameters)

    async def get(self, key: bytes) -> dict[str, Array] | None:
        """The outputs by name, or None where they are not to be had in time."""
        if not self._breaker.allows():
            self._misses.inc()
            return None
        kept = await self._try(self._redis.get(key))
        if kept is not None:
            try:
                outputs = unpack(key, kept)
            except ValueError as error:
                self._errors.inc()
                logger.warning("the cache holds what is no answer, which is passed over: %s", error)
            else:
                self._hits.inc()
                return outputs
        self._misses.inc()
        return None

    def put(self, key: bytes, outputs: Mapping[str, Array]) -> None:
        """Keep an answer; returns at once, and the answer is sent meanwhile."""
        if len(self._writes) >= _WRITES or not self._breaker.allows():
            return
        value = pack(key, outputs, self._options.most)
        if value is None:
            return
        task = asyncio.create_task(self._write(key, value))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)

    async def close(self) -> None:
        """Finish what is on its way, and hang up."""
        if self._writes:
            await asyncio.wait(self._writes, timeout=1)
        await self._redis.aclose()

    async def _write(self, key: bytes, value: bytes) -> None:
        await self._try(self._redis.set(key, value, px=max(1, round(1000 * self._options.keep))))

    async def _try(self, call: Awaitable[Any]) -> Any:
        """What the call gives within the time limit; None, and a failure counted, if it gives nothing."""
        from redis.exceptions import RedisError

        task = asyncio.ensure_future(call)
        try:
            await asyncio.wait((task,), timeout=self._options.timeout)
            for _ in range(3):
                # A model that kept the loop busy is no fault of the cache: what has come meanwhile is read.
                if not task.done():
                    await asyncio.sleep(0)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))
        error: BaseException | None = TimeoutError() if task.cancelled() else task.exception()
        if error is None:
            self._breaker.good()
            return task.result()
        if not isinstance(error, RedisError | OSError | ValueError):
            raise error
        self._errors.inc()
        if self._breaker.bad():
            reason = str(error).splitlines()[0] if str(error) else "no answer in time"
            logger.warning("the cache fails and is left alone for a while: %s", reason)
        return None


def _connect(options: Caching) -> Any:
    """A client, which connects when it is first used. Raises ServerError."""
    try:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ModuleNotFoundError:
        raise ServerError(
            'the parameter "cache" needs the Redis client, which is not installed: '
            'pip install "fairtrial-servers[redis]"'
        ) from None
    try:
        # A call is given up after `timeout`, whatever it is at; this is for what goes on underneath.
        return Redis.from_url(
            options.url, retry=Retry(NoBackoff(), 0), socket_connect_timeout=1, max_connections=_WRITES * 4
        )
    except ValueError as error:
        raise ServerError(f'the parameter "cache" is no Redis address: {error}') from None
