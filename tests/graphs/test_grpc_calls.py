"""gRPC calls through the split while what they go to is removed."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import httpx
from fairtrial_graphs.backends.interface import Route
from fairtrial_graphs.backends.local import LocalBackend
from fairtrial_graphs.build import Arm, build, without
from graphs.processes import until
from graphs.standin import Command

SERVER = Path(__file__).with_name("grpc_standin.py")


def launch(*, http_port: int, grpc_port: int, **_: object) -> Command:
    return Command([sys.executable, str(SERVER), str(http_port), str(grpc_port)])


def test_calls_under_way_to_a_predictor_that_is_removed_are_answered(tmp_path: Path):
    both = build("d", [Arm("v1", "m", "I"), Arm("v2", "m", "I")], {"v1": 0, "v2": 100})
    with LocalBackend(tmp_path, launch) as backend, ThreadPoolExecutor(1) as apply:
        serving = backend.apply(both, Route("r"), lambda _: None)
        addresses = [serving.url.removeprefix("http://"), serving.arms["v2"].grpc or ""]
        with grpc.insecure_channel(addresses[0]) as split, grpc.insecure_channel(addresses[1]) as own:
            calls = [
                channel.unary_unary("/inference.GRPCInferenceService/ModelInfer").future(b"7", timeout=10)
                for channel in (split, own)
            ]
            until(lambda: httpx.get(serving.arms["v2"].url).text == "2", 5, "both calls")
            applied = apply.submit(backend.apply, without(both, "v2"), Route("r2"), lambda _: None)
            assert [call.result() for call in calls] == [b"7", b"7"]
            assert set(applied.result().arms) == {"v1"}
