"""The same model over gRPC."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import numpy as np
import pytest
from mlserver.grpc import dataplane_pb2 as pb
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub


@pytest.fixture(scope="module")
def stub(server) -> Iterator[GRPCInferenceServiceStub]:
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel:
        yield GRPCInferenceServiceStub(channel)


def request(values, shape, *, datatype="FP64", contents=None, outputs=(), raw=None, **more):
    asked = pb.ModelInferRequest(model_name="digits", **more)
    entry = asked.inputs.add(name="input-0", shape=shape, datatype=datatype)
    if raw is not None:
        asked.raw_input_contents.append(raw)
    else:
        getattr(entry.contents, contents or "fp64_contents").extend(values)
    for name in outputs:
        asked.outputs.add(name=name)
    return asked


def test_predictions_equal_the_estimators_own(stub, digits, digits_model):
    rows = digits[0][:20]
    answer = stub.ModelInfer(request(rows.ravel(), rows.shape, outputs=["predict", "predict_proba"]))
    labels, probabilities = answer.outputs
    assert list(labels.contents.int64_contents) == digits_model.predict(rows).tolist()
    got = np.array(probabilities.contents.fp64_contents).reshape(20, 10)
    assert np.abs(got - digits_model.predict_proba(rows)).max() <= 1e-6


def test_raw_contents_give_the_same_answer(stub, digits, digits_model):
    rows = digits[0][:5].astype("float32")
    answer = stub.ModelInfer(request(None, rows.shape, datatype="FP32", raw=rows.tobytes()))
    assert (
        np.frombuffer(answer.raw_output_contents[0], "int64").tolist() == digits_model.predict(rows).tolist()
    )


def test_metadata_and_readiness(stub):
    metadata = stub.ModelMetadata(pb.ModelMetadataRequest(name="digits"))
    assert metadata.platform == "sklearn"
    assert list(metadata.inputs[0].shape) == [-1, 64]
    assert stub.ModelReady(pb.ModelReadyRequest(name="digits")).ready


BAD = {
    "wrong width": request([0.0] * 63, [1, 63]),
    "wrong rank": request([0.0] * 64, [64]),
    "strings": request([b"a"] * 64, [1, 64], datatype="BYTES", contents="bytes_contents"),
    "strings called numbers": request([b"a"] * 64, [1, 64], contents="bytes_contents"),
    "not a number": request([float("nan")] * 64, [1, 64]),
    "no data": request([], [1, 64]),
    "empty batch": request([], [0, 64]),
    "unknown datatype": request([0.0] * 64, [1, 64], datatype="FP128"),
    "unknown output": request([0.0] * 64, [1, 64], outputs=["gradient"]),
    "raw contents too short": request(None, [1, 64], raw=b"\0" * 7),
    "raw contents of an unknown datatype": request(None, [1, 64], raw=b"\0" * 512, datatype="FP128"),
    "raw contents of a negative shape": request(None, [-1, 64], raw=b"\0" * 512),
    "no inputs": pb.ModelInferRequest(model_name="digits"),
    "unprintable id": request([0.0] * 64, [1, 64], id="a\nb"),
    "parameter of the wrong type": request(
        [0.0] * 64, [1, 64], parameters={"content_type": pb.InferParameter(int64_param=1)}
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_malformed_request_is_an_invalid_argument(stub, case):
    with pytest.raises(grpc.RpcError) as refused:
        stub.ModelInfer(BAD[case])
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT, refused.value
    assert "Traceback" not in refused.value.details()


def test_a_model_that_does_not_exist_is_not_found(stub):
    for call, asked in (
        (stub.ModelReady, pb.ModelReadyRequest(name="other")),
        (stub.ModelInfer, pb.ModelInferRequest(model_name="other")),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            call(asked)
        assert refused.value.code() == grpc.StatusCode.NOT_FOUND
