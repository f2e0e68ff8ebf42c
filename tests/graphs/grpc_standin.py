"""A model server that answers any gRPC call after a second, and by REST says how many it has had.

Arguments: the ports of REST and gRPC.
"""

from __future__ import annotations

import http.server
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import grpc

calls: list[bytes] = []


class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(len(calls)).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


class Slow(grpc.GenericRpcHandler):
    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        def answer(request: bytes, _: grpc.ServicerContext) -> bytes:
            calls.append(request)
            time.sleep(1)
            return request

        return grpc.unary_unary_rpc_method_handler(answer)


def main() -> None:
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers([Slow()])
    server.add_insecure_port(f"127.0.0.1:{sys.argv[2]}")
    server.start()
    http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Ready).serve_forever()


if __name__ == "__main__":
    main()
