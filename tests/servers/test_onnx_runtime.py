"""ONNX models: made by the converter, by hand, damaged and hostile; in process and on a real server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import httpx
import numpy as np
import onnx
import pytest
from fairtrial_servers.errors import ModelError, UnsafeModelError
from fairtrial_servers.formats import detect
from fairtrial_servers.onnx import OnnxRuntime
from mlserver.errors import InferenceError
from mlserver.grpc import dataplane_pb2 as pb
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub
from mlserver.settings import ModelSettings
from mlserver.types import InferenceRequest
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx

ROW = [0.0] * 64


def tensor(data, shape, datatype="FP32", name="X"):
    return {"name": name, "shape": list(shape), "datatype": datatype, "data": data}


def graph(nodes, inputs, outputs, initializers=()) -> onnx.ModelProto:
    made = helper.make_graph(nodes, "g", inputs, outputs, initializers)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def plus(tensor_: onnx.TensorProto) -> onnx.ModelProto:
    """x + w."""
    node = helper.make_node("Add", ["x", "w"], ["y"])
    return graph([node], [value("x", ["n", 3])], [value("y", ["n", 3])], [tensor_])


def outside(location: str) -> onnx.TensorProto:
    kept = numpy_helper.from_array(np.ones(3, np.float32), "w")
    onnx.external_data_helper.set_external_data(kept, location)
    kept.ClearField("raw_data")
    kept.data_location = TensorProto.EXTERNAL
    return kept


@pytest.fixture
def load(tmp_path):
    def opened(model: onnx.ModelProto, **parameters) -> OnnxRuntime:
        path = tmp_path / "model.onnx"
        path.write_bytes(model.SerializeToString())
        runtime = OnnxRuntime(
            ModelSettings(
                name="m",
                implementation="fairtrial_servers.onnx.OnnxRuntime",
                parameters={"uri": str(path), "extra": parameters},
            )
        )
        assert asyncio.run(runtime.load())
        return runtime

    return opened


def ask(runtime, *tensors):
    return asyncio.run(runtime.predict(InferenceRequest.model_validate({"inputs": list(tensors)}))).outputs


@pytest.fixture(scope="module")
def file(digits_model, digits, tmp_path_factory) -> Path:
    made = to_onnx(digits_model, digits[0][:1].astype(np.float32), options={"zipmap": False})
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    path.write_bytes(made.SerializeToString())
    return path


@pytest.fixture
def served(start, file):
    return start(file, implementation="FAIRTRIAL_ONNX_SERVER").wait_ready()


BAD = {
    "wrong width": [tensor([0.0] * 63, [1, 63])],
    "wrong rank": [tensor(ROW, [64])],
    "shape that does not fit the data": [tensor(ROW, [2, 64])],
    "strings": [tensor(["a"] * 64, [1, 64], "BYTES")],
    "strings called numbers": [tensor(["a"] * 64, [1, 64])],
    "a null": [tensor([None, *ROW[1:]], [1, 64])],
    "a boolean": [tensor([True, *ROW[1:]], [1, 64])],
    "an object": [tensor([{}, *ROW[1:]], [1, 64])],
    "ragged": [tensor([ROW, ROW[1:]], [2, 64])],
    "nested too deep": [tensor([[ROW]], [1, 64])],
    "no data": [tensor([], [1, 64])],
    "empty batch": [tensor([], [0, 64])],
    "negative size": [tensor(ROW, [-1, 64])],
    "unknown datatype": [tensor(ROW, [1, 64], "FP128")],
    "a fraction called whole": [tensor([0.5, *ROW[1:]], [1, 64], "INT8")],
    "too large for its datatype": [tensor([300, *[0] * 63], [1, 64], "INT8")],
    "no inputs": [],
    "two inputs": [tensor(ROW, [1, 64]), tensor(ROW, [1, 64], name="Y")],
    "one input twice": [tensor(ROW, [1, 64]), tensor(ROW, [1, 64])],
    "no shape": [{"name": "X", "datatype": "FP32", "data": ROW}],
}


def test_a_converted_classifier_gives_the_librarys_predictions_and_refuses_in_words(
    served, digits, digits_model
):
    rows = digits[0][:20].astype(np.float32)
    labels, probabilities = digits_model.predict(rows), digits_model.predict_proba(rows)
    with httpx.Client(base_url=served.url, timeout=30) as client:
        about = client.get("/v2/models/digits").json()
        assert about["platform"] == "onnxruntime_onnx"
        assert [(each["name"], each["datatype"], each["shape"]) for each in about["inputs"]] == [
            ("X", "FP32", [-1, 64])
        ]
        path = "/v2/models/digits/infer"
        answer = client.post(path, json={"inputs": [tensor(rows.ravel().tolist(), rows.shape)]})
        first, second = answer.raise_for_status().json()["outputs"]
        said = [(each["name"], each["datatype"]) for each in about["outputs"]]
        assert said == [(first["name"], first["datatype"]), (second["name"], second["datatype"])]
        assert first["data"] == labels.tolist()
        assert np.abs(np.array(second["data"]) - probabilities.ravel()).max() <= 1e-6
        for case, inputs in BAD.items():
            refused = client.post(path, json={"inputs": inputs})
            assert refused.status_code == 400, (case, refused.text)
            assert refused.json()["error"], case
    with grpc.insecure_channel(f"127.0.0.1:{served.grpc}") as channel:
        stub = GRPCInferenceServiceStub(channel)
        asked = pb.ModelInferRequest(model_name="digits", raw_input_contents=[rows.tobytes()])
        asked.inputs.add(name="X", shape=rows.shape, datatype="FP32")
        answer = stub.ModelInfer(asked)
        assert np.frombuffer(answer.raw_output_contents[0], np.int64).tolist() == labels.tolist()
        got = np.frombuffer(answer.raw_output_contents[1], np.float32).reshape(20, 10)
        assert np.abs(got - probabilities).max() <= 1e-6
        asked.raw_input_contents[0] = b"\0"
        with pytest.raises(grpc.RpcError) as refused:
            stub.ModelInfer(asked)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "Traceback" not in served.errors()


def test_probabilities_by_label_are_answered_as_a_table(load, digits, digits_model):
    rows = digits[0][:5].astype(np.float32)
    runtime = load(to_onnx(digits_model, rows[:1]))  # with a map from label to probability for each row
    _, table = ask(runtime, tensor(rows.ravel().tolist(), rows.shape))
    assert (table.datatype, table.shape) == ("FP32", [5, 10])
    assert np.abs(np.array(table.data.root) - digits_model.predict_proba(rows).ravel()).max() <= 1e-6


def test_inputs_of_several_types_and_axes(load):
    nodes = [
        helper.make_node("Mul", ["x", "factor"], ["y"]),
        helper.make_node("Identity", ["word"], ["same"]),
    ]
    inputs = [value("x", ["n", 2]), value("factor", []), value("word", ["n"], TensorProto.STRING)]
    runtime = load(graph(nodes, inputs, [value("y", ["n", 2]), value("same", ["n"], TensorProto.STRING)]))
    x, factor = tensor([1, 2, 3, 4], [2, 2], "INT32", "x"), tensor([0.5], [], name="factor")
    y, same = ask(runtime, tensor(["a", "é"], [2], "BYTES", "word"), factor, x)
    assert y.data.root == [0.5, 1.0, 1.5, 2.0]
    assert [word.decode() for word in same.data.root] == ["a", "é"]
    with pytest.raises(InferenceError, match="differ in rows"):
        ask(runtime, tensor(["a"], [1], "BYTES", "word"), factor, x)
    with pytest.raises(InferenceError, match="missing: factor"):
        ask(runtime, tensor(["a"], [1], "BYTES", "word"), x)


@pytest.mark.parametrize(
    ("kind", "datatype", "number"),
    [
        (TensorProto.INT64, "FP64", 1.5),
        (TensorProto.INT64, "FP64", float("nan")),
        (TensorProto.INT8, "INT64", 300),
        (TensorProto.UINT8, "INT64", -1),
        (TensorProto.FLOAT, "FP64", 1e39),
        (TensorProto.BOOL, "INT64", 2),
    ],
)
def test_a_number_that_the_inputs_type_does_not_hold_is_refused_and_not_bent(load, kind, datatype, number):
    node = helper.make_node("Identity", ["x"], ["y"])
    runtime = load(graph([node], [value("x", ["n"], kind)], [value("y", ["n"], kind)]))
    with pytest.raises(InferenceError, match=r"does not fit in|expected datatype BOOL"):
        ask(runtime, tensor([number], [1], datatype, "x"))
    fits = True if kind == TensorProto.BOOL else 1.0 if datatype == "FP64" else 1
    assert ask(runtime, tensor([fits], [1], "BOOL" if fits is True else datatype, "x"))[0].data.root == [1]


def test_what_the_graph_itself_refuses_is_the_requests_fault(load):
    node = helper.make_node("Reshape", ["x", "form"], ["y"])
    form = numpy_helper.from_array(np.array([2, 2], np.int64), "form")
    runtime = load(graph([node], [value("x", ["n", 2])], [value("y", [2, 2])], [form]))
    assert ask(runtime, tensor([1, 2, 3, 4], [2, 2], name="x"))[0].data.root == [1, 2, 3, 4]
    with pytest.raises(InferenceError, match="the model refuses this input"):
        ask(runtime, tensor([1, 2], [1, 2], name="x"))


def test_tensors_beside_the_model_are_read(load, tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "w.bin").write_bytes(np.array([1, 2, 3], np.float32).tobytes())
    runtime = load(plus(outside("weights/w.bin")))
    assert ask(runtime, tensor([0, 0, 0], [1, 3], name="x"))[0].data.root == [1, 2, 3]


@pytest.mark.parametrize("location", ["/etc/hostname", "../secret", "weights/../../secret", "link"])
def test_tensors_elsewhere_on_the_machine_are_not(load, tmp_path, location):
    (tmp_path / "link").symlink_to("/etc/hostname")
    with pytest.raises(UnsafeModelError, match="nothing outside its own folder"):
        load(plus(outside(location)))


def inside_a_branch() -> onnx.ModelProto:
    constant = helper.make_node("Constant", [], ["y"], value=outside("/etc/hostname"))
    branch = helper.make_graph([constant], "b", [], [value("y", [3])])
    choose = helper.make_node("If", ["c"], ["z"], then_branch=branch, else_branch=branch)
    return graph([choose], [value("c", [], TensorProto.BOOL)], [value("z", [3])])


def inside_a_function() -> onnx.ModelProto:
    constant = helper.make_node("Constant", [], ["y"], value=outside("/etc/hostname"))
    opset = helper.make_opsetid("", 17)
    made = graph([helper.make_node("Own", ["x"], ["z"], domain="own")], [value("x", [1])], [value("z", [3])])
    made.functions.append(helper.make_function("own", "Own", ["x"], ["y"], [constant], [opset]))
    return made


@pytest.mark.parametrize("make", [inside_a_branch, inside_a_function])
def test_nor_those_of_nested_graphs(load, make):
    with pytest.raises(UnsafeModelError, match="etc/hostname"):
        load(make())


def test_a_tensor_that_is_not_there_is_named(load):
    with pytest.raises(ModelError, match=r"w\.bin"):
        load(plus(outside("w.bin")))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no graph with an output"),
        (b"no protobuf at all", "cannot be parsed"),
        (b"\x08\x07" * 100, "no graph with an output"),
    ],
)
def test_a_damaged_file_is_a_load_error(load, tmp_path, content, words):
    class Damaged:
        SerializeToString = staticmethod(lambda: content)

    with pytest.raises(ModelError, match=words):
        load(Damaged())


def test_an_operator_that_does_not_exist_is_a_load_error(load):
    node = helper.make_node("Frobnicate", ["x"], ["y"])
    with pytest.raises(ModelError, match="Frobnicate"):
        load(graph([node], [value("x", [1])], [value("y", [1])]))


def test_threads_is_a_number(load):
    with pytest.raises(ModelError, match="threads"):
        load(plus(numpy_helper.from_array(np.ones(3, np.float32), "w")), threads="many")


def test_the_format_is_seen_from_the_file(file):
    assert detect(file).name == detect(file.parent).name == "onnx"
