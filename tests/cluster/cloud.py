"""What answers requests where no pods run: one HTTP server plays the gateway and every predictor's Service.

The gateway divides requests by the VirtualService as it is at that moment; a Service answers as the health of
its pods is at the stand-in for Seldon's operator, and its model is as good as `wrong` says.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections import Counter
from collections.abc import Callable

from cluster.client import Client, Object
from cluster.seldon_operator import ISTIO, Health, SeldonOperator, weights_of
from cluster.watching import Watched

#: Whether the model of a Service is wrong about a row.
Wrong = Callable[[str, int], bool]


class Cloud:
    """Serves in a thread of its own, from `start` to `stop`. Rows are numbers; the truth: is it odd?"""

    def __init__(self, client: Client, operator: SeldonOperator, wrong: Wrong) -> None:
        self.served: Counter[str] = Counter()  # requests through the gateway, by Service
        self._operator = operator
        self._wrong = wrong
        self._routes = Watched(client, ISTIO, "VirtualService", lambda _: None)
        self._draw = random.Random(1)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cloud", daemon=True)
        self.url = ""

    def start(self) -> None:
        self._routes.start()
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._routes.stop()

    @property
    def options(self) -> list[str]:
        """How `fairtrial run` is told of it."""
        services = f"{self.url}/services/{{namespace}}/{{service}}"
        return ["--gateway-url", f"{self.url}/gateway", "--service-url", services]

    def _run(self) -> None:
        server = self._loop.run_until_complete(
            self._loop.create_server(lambda: _Connection(self), "127.0.0.1", 0)
        )
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        self._loop.run_forever()
        server.close()
        self._loop.close()

    def answer(self, path: str, body: bytes) -> tuple[int, Object]:
        _, kind, *rest = path.split("/")
        if kind == "gateway":
            namespace, name = rest[1], rest[2]
            if "/".join(rest[3:]) != "v2/models/infer" and body:
                return 404, {"error": "an arm's model has another name"}  # as Seldon's executor
            route = self._routes.get(namespace, name)
            if route is None:
                return 404, {"error": "no route"}
            weights = weights_of(route)
            (arm,) = self._draw.choices(list(weights), list(weights.values()))
            service = f"{name}-{arm}"
            self.served[service] += 1
        else:
            namespace, service = rest[0], rest[1]
            arm = service.rpartition("-")[2]
        if self._operator.health(namespace, service) is not Health.READY:
            return 503, {"error": f"{service} has no ready pods"}
        if path.endswith("/ready") or not body:
            return 200, {"name": arm, "ready": True}
        request = json.loads(body)
        rows = [int(value) for value in request["inputs"][0]["data"]]
        said = [int((row % 2 == 1) != self._wrong(arm, row)) for row in rows]
        output = {"name": "predict", "shape": [len(said), 1], "datatype": "INT64", "data": said}
        return 200, {"model_name": arm, "id": request.get("id"), "outputs": [output]}


class _Connection(asyncio.Protocol):
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").lower().split("\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith("content-length:")), 0)
        if not separator or len(body) < length:
            return
        self._received = b""
        path = head.split(b" ", 2)[1].decode().partition("?")[0]
        status, content = self._cloud.answer(path, body)
        text = json.dumps(content).encode()
        self._transport.write(b"HTTP/1.1 %d .\r\ncontent-length: %d\r\n\r\n%b" % (status, len(text), text))
