"""Components as Seldon runs them: the real seldon-core-microservice, with the variables of the operator."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

PACKAGE = "fairtrial_graph_components"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def kind(value):
    return {bool: "BOOL", int: "INT", float: "FLOAT"}.get(type(value), "STRING")


class Microservice:
    """One component, in a process group of its own."""

    def __init__(self, folder, component, service, *, env=None, unit="node", **parameters):
        self.http, self.grpc, self.metrics = free_port(), free_port(), free_port()
        listed = [{"name": k, "value": str(v), "type": kind(v)} for k, v in parameters.items()]
        self.log = Path(folder) / f"{unit}-{self.http}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    str(Path(sys.executable).parent / "seldon-core-microservice"),
                    f"{PACKAGE}.{component}",
                    "--service-type",
                    service,
                ],
                cwd=folder,
                env={
                    **os.environ,
                    **(env or {}),
                    "PREDICTIVE_UNIT_ID": unit,
                    "PREDICTIVE_UNIT_PARAMETERS": json.dumps(listed),
                    "PREDICTIVE_UNIT_HTTP_SERVICE_PORT": str(self.http),
                    "PREDICTIVE_UNIT_GRPC_SERVICE_PORT": str(self.grpc),
                    "PREDICTIVE_UNIT_METRICS_SERVICE_PORT": str(self.metrics),
                    "SELDON_DEPLOYMENT_ID": "trial",
                    "PREDICTOR_ID": "main",
                },
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def ready(self):
        deadline = time.monotonic() + 60
        while True:
            try:
                assert self.request("GET", "/health/ping")[0] == 200
                with socket.create_connection(("127.0.0.1", self.grpc), 1):
                    pass
                with socket.create_connection(("127.0.0.1", self.metrics), 1):
                    return self
            except OSError:
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.05)

    def request(self, method, path, body=None, headers=None, port=None):
        """Status and body, as text."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.http, timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def post(self, path, message, headers=None):
        """Status and body, as JSON."""
        body = message if isinstance(message, str | bytes) else json.dumps(message)
        sent = {"Content-Type": "application/json", **(headers or {})}
        status, text = self.request("POST", path, body, sent)
        return status, json.loads(text)

    def route(self, message=None, headers=None):
        status, reply = self.post("/route", message or {"data": {"ndarray": [[1]]}}, headers)
        assert status == 200, reply
        return reply["data"]["ndarray"][0][0]

    def reward(self, reward, branch, unit="node"):
        feedback = {"response": {"meta": {"routing": {unit: branch}}}, "reward": reward}
        return self.post("/send-feedback", feedback)

    def scrape(self):
        return self.request("GET", "/metrics", port=self.metrics)[1]

    def kill(self):
        """At once, with all its processes, as the kernel would."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
