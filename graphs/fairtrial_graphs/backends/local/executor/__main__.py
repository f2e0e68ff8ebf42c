"""`python -m fairtrial_graphs.backends.local.executor GRAPH.json PORT GRPC_PORT`"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from aiohttp import web

from fairtrial_graphs.backends.local.executor.graph import graph_from
from fairtrial_graphs.backends.local.executor.server import application


def main() -> None:
    graph = graph_from(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    port, grpc_port = int(sys.argv[2]), int(sys.argv[3])
    web.run_app(
        application(graph, port, grpc_port),
        host="127.0.0.1",
        port=port,
        access_log=None,
        print=lambda *_: None,
    )


if __name__ == "__main__":
    main()
