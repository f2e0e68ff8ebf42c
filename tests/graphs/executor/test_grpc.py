"""Graphs over gRPC: nodes that speak Open Inference, and the executor over them, in one event loop."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import grpc
import pytest
from aiohttp import web
from fairtrial_graphs.backends.local.executor import wire
from fairtrial_graphs.backends.local.executor.graph import Graph, GraphNode
from fairtrial_graphs.backends.local.executor.messages import BadMessage
from fairtrial_graphs.backends.local.executor.protobuf_payloads import ProtobufPayloads, protobuf
from fairtrial_graphs.backends.local.executor.server import application
from fairtrial_graphs.backends.local.ports import free_ports
from hypothesis import given
from hypothesis import strategies as st
from mlserver.grpc import dataplane_pb2 as pb
from mlserver.grpc.dataplane_pb2_grpc import (
    GRPCInferenceServiceServicer,
    GRPCInferenceServiceStub,
    add_GRPCInferenceServiceServicer_to_server,
)
from prometheus_client.parser import text_string_to_metric_families


@dataclass
class Node(GRPCInferenceServiceServicer):
    """Adds 1 to each number, typed or raw as they came. It refuses the id "bad", and is slow for "slow"."""

    name: str
    asked: list[Any] = field(default_factory=list[Any])

    async def ModelInfer(self, request: pb.ModelInferRequest, context: Any) -> pb.ModelInferResponse:
        metadata = dict(context.invocation_metadata())
        self.asked.append((request.model_name, metadata.get("seldon-puid"), metadata.get("x-mine"), metadata))
        if request.id == "bad":
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no such id")
        if request.id == "slow":
            await asyncio.sleep(5)
        answer = pb.ModelInferResponse(model_name=self.name, id=request.id)
        for tensor in request.inputs:
            output = answer.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
            output.contents.fp64_contents.extend(x + 1 for x in tensor.contents.fp64_contents)
        answer.raw_output_contents.extend(
            bytes(byte + 1 for byte in raw) for raw in request.raw_input_contents
        )
        return answer

    async def ModelReady(self, request: pb.ModelReadyRequest, context: Any) -> pb.ModelReadyResponse:
        return pb.ModelReadyResponse(ready=request.name == self.name)

    async def ModelMetadata(self, request: pb.ModelMetadataRequest, context: Any) -> pb.ModelMetadataResponse:
        return pb.ModelMetadataResponse(name=request.name, platform="adding")


class Served:
    def __init__(self, port: int, channel: Any, nodes: dict[str, Node]) -> None:
        self.port = port
        self.channel = channel
        self.stub: Any = GRPCInferenceServiceStub(channel)
        self.nodes = nodes

    async def metrics(self) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.port}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            families = text_string_to_metric_families(await response.text())
        return {family.name: family for family in families}


@asynccontextmanager
async def served(root: GraphNode, **more: Any) -> AsyncIterator[Served]:
    nodes = {node.name: Node(node.name) for node in root.walk() if node.implementation is None}
    ports: dict[str, tuple[int, int]] = {}
    servers: list[Any] = []
    for name, node in nodes.items():
        server = grpc.aio.server()
        add_GRPCInferenceServiceServicer_to_server(node, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        servers.append(server)
        ports[name] = (port, port)
    http, port = free_ports(2)
    runner = web.AppRunner(application(Graph("d", "p", "v7", "v2", root, **more).at(ports), http, port))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", http).start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Served(http, channel, nodes)
    finally:
        await runner.cleanup()
        for server in servers:
            await server.stop(0)


def run(root: GraphNode, use: Callable[[Served], Awaitable[None]], **more: Any) -> None:
    async def serve_and_use() -> None:
        async with served(root, **more) as graph:
            await use(graph)

    asyncio.run(asyncio.wait_for(serve_and_use(), 30))


def request(*values: float, id: str = "7") -> pb.ModelInferRequest:
    made = pb.ModelInferRequest(model_name="anything", id=id)
    tensor = made.inputs.add(name="x", shape=[1, len(values)], datatype="FP64")
    tensor.contents.fp64_contents.extend(values)
    return made


MODEL = GraphNode("m", "MODEL")
CHAIN = GraphNode("t", "TRANSFORMER", children=(GraphNode("o", "OUTPUT_TRANSFORMER", children=(MODEL,)),))


def test_outputs_are_the_inputs_of_the_next_node_and_each_is_asked_by_its_own_name():
    async def use(graph: Served) -> None:
        call = graph.stub.ModelInfer(request(1, 2), metadata=(("seldon-puid", "mine"), ("x-mine", "yes")))
        answer = await call
        assert (answer.model_name, list(answer.outputs[0].contents.fp64_contents)) == ("o", [4.0, 5.0])
        assert dict(await call.initial_metadata())["seldon-puid"] == "mine"
        for name, node in graph.nodes.items():
            assert [asked[:3] for asked in node.asked] == [(name, "mine", "yes")]

    # There is no place in a V2 answer for the way that it took.
    run(CHAIN, use, inject_routing=True)


def test_raw_contents_go_through_the_chain():
    async def use(graph: Served) -> None:
        raw = pb.ModelInferRequest(raw_input_contents=[b"abc"])
        raw.inputs.add(name="x", shape=[3], datatype="UINT8")
        assert list((await graph.stub.ModelInfer(raw)).raw_output_contents) == [b"def"]

    run(CHAIN, use)


def test_each_request_gets_an_id_and_the_proxys_own_word_goes_no_further():
    async def use(graph: Served) -> None:
        call = graph.stub.ModelInfer(request(1), metadata=(("x-fairtrial-model", "t"),))
        await call
        puid = dict(await call.initial_metadata())["seldon-puid"]
        assert len(puid) == 36
        (asked,) = graph.nodes["m"].asked
        assert asked[1] == puid
        assert "x-fairtrial-model" not in asked[3]

    run(MODEL, use)


def test_the_ab_test_chooses_one_child_a_request():
    root = GraphNode(
        "ab",
        implementation="RANDOM_ABTEST",
        parameters={"ratioA": "0.5"},
        children=(GraphNode("a", "MODEL"), GraphNode("b", "MODEL")),
    )

    async def use(graph: Served) -> None:
        names = [(await graph.stub.ModelInfer(request(1))).model_name for _ in range(40)]
        assert set(names) == {"a", "b"}
        assert sum(len(node.asked) for node in graph.nodes.values()) == 40
        about = await graph.stub.ModelMetadata(pb.ModelMetadataRequest(name="ab"))
        assert (about.name, about.platform) == ("ab", "RANDOM_ABTEST")

    run(root, use)


def test_a_nodes_own_error_is_the_answer_and_it_is_counted():
    async def use(graph: Served) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await graph.stub.ModelInfer(request(1, id="bad"))
        assert (error.value.code(), error.value.details()) == (grpc.StatusCode.INVALID_ARGUMENT, "no such id")
        await graph.stub.ModelInfer(request(1))
        families = await graph.metrics()
        of_predictor = {"deployment_name": "d", "predictor_name": "p", "predictor_version": "v7"}
        of_call = {"service": "/inference.GRPCInferenceService/ModelInfer", "method": "unary"}
        for kind, labels in (("server", {}), ("client", {"model_name": "m"})):
            counted = {
                sample.labels["code"]: sample
                for sample in families[f"seldon_api_executor_{kind}_requests_seconds"].samples
                if sample.name.endswith("_count")
            }
            assert {code: sample.value for code, sample in counted.items()} == {"OK": 1, "InvalidArgument": 1}
            wanted = {**of_predictor, **of_call, **labels}
            assert {key: counted["OK"].labels[key] for key in wanted} == wanted

    run(MODEL, use)


def test_a_node_that_is_slower_than_the_timeout_fails_the_call():
    async def use(graph: Served) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await graph.stub.ModelInfer(request(1, id="slow"))
        assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED

    run(MODEL, use, grpc_timeout=0.2)


@pytest.mark.parametrize("root", [GraphNode("r", "ROUTER", children=(MODEL,)), GraphNode("c", "COMBINER")])
def test_what_protocol_v2_does_not_have_is_told(root: GraphNode):
    async def use(graph: Served) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await graph.stub.ModelInfer(request(1))
        assert error.value.code() in {grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNKNOWN}
        assert error.value.details() in {
            "protocol v2 has no route, which r needs",
            "no node of the graph answered",
        }

    run(root, use)


def test_readiness_and_metadata_are_those_of_the_node_that_is_named():
    async def use(graph: Served) -> None:
        assert (await graph.stub.ServerLive(pb.ServerLiveRequest())).live
        assert (await graph.stub.ServerReady(pb.ServerReadyRequest())).ready
        assert (await graph.stub.ModelReady(pb.ModelReadyRequest(name="m"))).ready
        assert (await graph.stub.ModelMetadata(pb.ModelMetadataRequest(name="m"))).name == "m"
        # Through the split callers know no names.
        assert (await graph.stub.ModelMetadata(pb.ModelMetadataRequest(name="wine"))).name == "t"
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await graph.stub.ServerMetadata(pb.ServerMetadataRequest())
        assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED

    run(CHAIN, use)


def test_a_message_that_is_no_protobuf_is_an_error_in_words():
    async def use(graph: Served) -> None:
        call = graph.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call(b"\x0a\xff")
        assert error.value.code() is grpc.StatusCode.UNKNOWN
        assert "no protobuf" in (error.value.details() or "")

    run(MODEL, use)


FIELDS = st.one_of(
    st.builds(wire.whole, st.integers(1, 2**29 - 1), st.integers(-(2**63), 2**63 - 1)),
    st.builds(wire.nested, st.integers(1, 2**29 - 1), st.binary()),
    st.builds(wire.Field, st.integers(1, 9), st.just(1), st.binary(min_size=8, max_size=8)),
    st.builds(wire.Field, st.integers(1, 9), st.just(5), st.binary(min_size=4, max_size=4)),
)


@given(st.lists(FIELDS, max_size=6))
def test_what_is_written_is_read_again(fields: list[wire.Field]):
    assert wire.read(wire.written(fields)) == fields


@given(st.binary(max_size=40))
def test_bytes_that_are_no_message_are_refused_in_words(noise: bytes):
    try:
        wire.read(noise)
    except BadMessage:
        return


@pytest.mark.parametrize("number", [0, 1, -1, -2, 2**31 - 1, -(2**31)])
def test_negative_numbers_are_read_as_they_were_meant(number: int):
    assert wire.read(wire.written([wire.whole(1, number)]))[0].int32 == number


def test_the_way_is_written_into_a_message_and_read_from_its_feedback():
    payloads = ProtobufPayloads("seldon")
    puid = wire.text(1, "mine")
    old = wire.nested(3, wire.written([wire.text(1, "r"), wire.whole(2, 7)]))
    data = wire.nested(3, b"\x12\x00")
    answer = wire.written([wire.nested(2, wire.written([puid, old])), data])
    routed = payloads.with_routing(protobuf(answer), {"r": 1, "all": -1, "none": -2, "first": 0})
    kept, meta = wire.read(routed.body)
    assert (kept, wire.read(meta.bytes)[0]) == (data, puid)
    feedback = protobuf(wire.written([wire.nested(2, routed.body)]))
    ways = {name: payloads.route_of_feedback(feedback, name) for name in ("r", "all", "none", "first", "x")}
    assert ways == {"r": 1, "all": -1, "none": -2, "first": 0, "x": -1}
    assert payloads.route_of_feedback(protobuf(b""), "r") == -1
