"""A small V2 server to load: python stand_in.py. Prints its three ports as JSON: v1, v2 and the split.

The models answer with the first feature of the row, as INT64, so that a test knows what is right. Each
port is controlled by POST /control {"stall": seconds, "delay": seconds, "status": code, ...}, which also
empties its log; GET /log gives what it was asked for.
"""

import asyncio
import json
import random

METADATA = {
    "name": "model",
    "inputs": [{"name": "predict", "datatype": "FP64", "shape": [-1, -1]}],
    "outputs": [{"name": "predict", "datatype": "INT64", "shape": [-1]}],
}


class Model:
    def __init__(self, name: str, split_over: list[str]) -> None:
        self.name = name
        self.split_over = split_over
        self.reset({})

    def reset(self, settings: dict) -> None:
        self.delay = settings.get("delay", 0.0)
        self.status = settings.get("status", 200)
        self.metadata = settings.get("metadata", METADATA)
        self.headers = settings.get("headers", True)
        self.hang_up = settings.get("hang_up", False)
        self.stalled_until = asyncio.get_running_loop().time() + settings.get("stall", 0.0)
        self.log: list[dict] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii").split("\r\n")
                method, path, _ = head[0].split(" ")
                headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:] if line)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                answer = await self.answer(method, path, headers, body)
                if answer is None:
                    return
                status, extra, payload = answer
                lines = [f"HTTP/1.1 {status} X", "content-type: application/json", *extra]
                writer.write("\r\n".join([*lines, f"content-length: {len(payload)}", "", ""]).encode())
                writer.write(payload)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(self, method: str, path: str, headers: dict, body: bytes):
        if path == "/control":
            self.reset(json.loads(body))
            return 200, [], b"{}"
        if path == "/log":
            return 200, [], json.dumps({"requests": self.log, "connections": self.connections}).encode()
        if not path.endswith("/infer"):
            return 200, [], json.dumps(self.metadata).encode()
        self.log.append({"path": path, "headers": headers, "body": json.loads(body)})
        if self.hang_up:
            return None
        await asyncio.sleep(max(self.delay, self.stalled_until - asyncio.get_running_loop().time()))
        arm = random.choice(self.split_over)
        extra = []
        if len(self.split_over) > 1 and self.headers:
            extra = [f"x-fairtrial-arm: {arm}", "x-fairtrial-revision: r7"]
        first = json.loads(body)["inputs"][0]["data"][0]
        output = {"name": "predict", "shape": [1], "datatype": "INT64", "data": [int(float(first))]}
        return self.status, extra, json.dumps({"model_name": arm, "outputs": [output]}).encode()


async def main() -> None:
    ports = {}
    for name, split_over in [("v1", ["v1"]), ("v2", ["v2"]), ("split", ["v1", "v2"])]:
        model = Model(name, split_over)
        server = await asyncio.start_server(model.serve, "127.0.0.1", 0, backlog=1024)
        ports[name] = server.sockets[0].getsockname()[1]
    print(json.dumps(ports), flush=True)
    await asyncio.get_running_loop().create_future()


asyncio.run(main())
