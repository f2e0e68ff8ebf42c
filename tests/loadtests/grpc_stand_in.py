"""A small V2 server over gRPC, by grpcio: python grpc_stand_in.py. Prints its port.

The model answers with the first value that it gets, as INT64; with INVALID_ARGUMENT for 7; and after 600 ms
for 9. It takes as many values as are sent, and says in its headers that it is v2 in revision r7.
"""

import time
from concurrent.futures import ThreadPoolExecutor

import grpc
from messages_of_v2 import v2


def infer(message: bytes, context: grpc.ServicerContext) -> bytes:
    request = v2.ModelInferRequest.FromString(message)
    first = int(request.inputs[0].contents.fp64_contents[0])
    if first == 7:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "seven")
    if first == 9:
        time.sleep(0.6)
    user = dict(context.invocation_metadata()).get("x-user", "")
    context.send_initial_metadata((("x-fairtrial-arm", "v2"), ("x-fairtrial-revision", f"r7{user}")))
    output = {"name": "predict", "datatype": "INT64", "shape": [1], "contents": {"int64_contents": [first]}}
    return v2.ModelInferResponse(model_name=request.model_name, outputs=[output]).SerializeToString()


def metadata(message: bytes, context: grpc.ServicerContext) -> bytes:
    name = v2.ModelMetadataRequest.FromString(message).name
    if name == "nobody":
        context.abort(grpc.StatusCode.NOT_FOUND, "no such model")
    inputs = [{"name": "predict", "datatype": "FP64", "shape": [-1, -1]}]
    return v2.ModelMetadataResponse(name=name, inputs=inputs).SerializeToString()


def main() -> None:
    methods = {"ModelInfer": infer, "ModelMetadata": metadata, "ServerReady": lambda *_: b"\x08\x01"}
    handlers = {name: grpc.unary_unary_rpc_method_handler(method) for name, method in methods.items()}
    server = grpc.server(
        ThreadPoolExecutor(20),
        [grpc.method_handlers_generic_handler("inference.GRPCInferenceService", handlers)],
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


main()
