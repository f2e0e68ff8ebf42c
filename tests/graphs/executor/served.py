"""Graphs that are served from manifests, with components in place of images."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fairtrial_graphs.backends.interface import Route, Serving
from fairtrial_graphs.backends.local import LocalBackend
from fairtrial_graphs.seldon.text import parse

ROW = {"data": {"ndarray": [[1.0, 2.0]]}}


class Served:
    """A graph that is served, and what its components were asked."""

    def __init__(self, backend: LocalBackend, calls: Path) -> None:
        self.backend = backend
        self._calls = calls
        self.serving: Serving | None = None

    def apply(
        self,
        nodes: dict[str, str],
        graph: str,
        *,
        protocol: str = "seldon",
        spec: str = "",
        predictor: str = "",
    ) -> Serving:
        """`nodes`: kind of component by name."""
        containers = [
            {"name": name, "image": f"reg/{kind}:1", "env": [{"name": "CALLS", "value": str(self._calls)}]}
            for name, kind in nodes.items()
        ]
        text = f"""
apiVersion: machinelearning.seldon.io/v1
kind: SeldonDeployment
metadata: {{name: d}}
spec:
  protocol: {protocol}
  {spec}
  predictors:
  - name: p
    annotations: {{version: v7}}
    {predictor}
    componentSpecs: [{{spec: {{containers: {json.dumps(containers)}}}}}]
    graph: {graph}
"""
        self.serving = self.backend.apply(parse(text), Route("r"), lambda _: None)
        return self.serving

    def ask(
        self,
        path: str,
        content: Any = None,
        headers: dict[str, str] | None = None,
        *,
        method: str | None = None,
    ) -> tuple[int, dict[str, str], Any]:
        assert self.serving is not None
        return ask(self.serving.url, path, content, headers, method=method)

    def predict(self, **headers: str) -> tuple[int, dict[str, str], Any]:
        return self.ask("/api/v1.0/predictions", ROW, headers)

    def calls(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._calls.read_text().splitlines()]

    def asked(self) -> list[str]:
        return [f"{call['node']}{call['path']}" for call in self.calls()]


def ask(
    url: str,
    path: str,
    content: Any = None,
    headers: dict[str, str] | None = None,
    *,
    method: str | None = None,
) -> tuple[int, dict[str, str], Any]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    try:
        body = None if content is None else json.dumps(content)
        method = method or ("GET" if content is None else "POST")
        connection.request(method, path, body, {"Content-Type": "application/json", **(headers or {})})
        response = connection.getresponse()
        text = response.read()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return response.status, headers, json.loads(text) if text[:1] in (b"{", b"[") else text.decode()
    finally:
        connection.close()
