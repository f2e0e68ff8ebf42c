"""Counts in a Redis hash, added to by atomic increments, so that replicas share it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import redis

from fairtrial_graph_components.state.store import Counts, StoreError, counts_of

TIMEOUT = 1.0  # seconds; requests never wait for Redis, only the thread that writes does
REMEMBERED = 7 * 86400  # seconds for which the number of a writer's last batch is known

# One script, so that a batch whose answer was lost can be sent again. The number is set first: should an
# increment fail
# (on a hash that others wrote to), the batch must not be added in part, again and again.
ADD = """
local last = redis.call('GET', KEYS[2])
if #ARGV > 2 and (not last or tonumber(last) < tonumber(ARGV[1])) then
  redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2])
  for i = 3, #ARGV, 2 do redis.call('HINCRBYFLOAT', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
return redis.call('HGETALL', KEYS[1])
"""


class RedisStore:
    def __init__(self, address: str, name: str) -> None:
        self._client: Any = redis.Redis.from_url(
            address, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT, decode_responses=True
        )
        self._key = f"fairtrial:router:{{{name}}}"  # the braces keep both keys in one slot of a cluster
        self._writer = f"{self._key}:writer:{uuid.uuid4().hex}"
        self._script = self._client.register_script(ADD)

    def add(self, batch: Mapping[str, float], number: int) -> Counts:
        arguments: list[Any] = [number, REMEMBERED]
        for field, value in batch.items():
            arguments += [field, repr(value)]
        try:
            flat = self._script(keys=[self._key, self._writer], args=arguments)
        except (redis.RedisError, OSError) as error:
            raise StoreError(f"Redis does not take the counts ({type(error).__name__}: {error})") from None
        return counts_of(dict(zip(flat[::2], flat[1::2], strict=True)), self._key)
