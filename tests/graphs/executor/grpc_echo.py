"""Stands in for an image: a node that speaks Open Inference over gRPC, and answers with what it is asked."""

import asyncio
import os
from typing import Any

import grpc
from fairtrial_graphs.backends.local.executor import wire

NAME = os.environ["PREDICTIVE_UNIT_ID"]
TENSORS = 5  # the field of a request's inputs, and of an answer's outputs


async def infer(request: bytes, _: Any) -> bytes:
    return wire.written([wire.text(1, NAME), *(f for f in wire.read(request) if f.number == TENSORS)])


async def main() -> None:
    server = grpc.aio.server()
    handlers = {"ModelInfer": grpc.unary_unary_rpc_method_handler(infer)}
    service = grpc.method_handlers_generic_handler("inference.GRPCInferenceService", handlers)
    server.add_generic_rpc_handlers((service,))
    server.add_insecure_port(f"127.0.0.1:{os.environ['PREDICTIVE_UNIT_GRPC_SERVICE_PORT']}")
    await server.start()
    # All that is asked of this port is whether it listens.
    port = int(os.environ["PREDICTIVE_UNIT_HTTP_SERVICE_PORT"])
    rest = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port)
    await rest.serve_forever()


asyncio.run(main())
