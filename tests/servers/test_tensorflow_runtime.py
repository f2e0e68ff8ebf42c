"""TensorFlow models, as SavedModel folders and frozen graphs: in process and on a real server."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from fairtrial_servers.errors import ModelError, UnsafeModelError
from fairtrial_servers.formats import detect
from fairtrial_servers.safety.saved_models import check_saved_model, is_refused
from mlserver.errors import InferenceError
from mlserver.settings import ModelSettings
from mlserver.types import InferenceRequest
from servers.malformed import check_served, tensor

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.filterwarnings("default"),  # TensorFlow's own, of its parts among themselves
]
tf = pytest.importorskip("tensorflow", reason="needs TensorFlow: uv sync --group tensorflow")

ROWS = np.random.default_rng(0).random((20, 64), np.float32)


class Classifier(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weights = tf.Variable(tf.random.stateless_normal((64, 10), (1, 2)), name="w")
        words = tf.lookup.KeyValueTensorInitializer(["no", "yes"], [0.0, 1.0])
        self.table = tf.lookup.StaticHashTable(words, -1.0)

    @tf.function(input_signature=[tf.TensorSpec((None, 64), tf.float32, "x")])
    def classify(self, x):
        return {"probabilities": tf.nn.softmax(x @ self.weights)}

    @tf.function(
        input_signature=[tf.TensorSpec((None,), tf.string, "word"), tf.TensorSpec((), tf.float32, "by")]
    )
    def look_up(self, word, by):
        return {"number": self.table.lookup(word) * by, "upper": tf.strings.upper(word)}


MODEL = Classifier()
ANSWERS = MODEL.classify(ROWS)["probabilities"].numpy()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model"
    signatures = {"serving_default": MODEL.classify, "words": MODEL.look_up}
    tf.saved_model.save(MODEL, str(path), signatures=signatures)
    return path


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    path = tmp_path_factory.mktemp("frozen") / "model.pb"
    graph = convert_variables_to_constants_v2(MODEL.classify.get_concrete_function()).graph.as_graph_def()
    path.write_bytes(graph.SerializeToString())
    return path


def load(path, **parameters):
    from fairtrial_servers.tensorflow import TensorFlowRuntime

    settings = ModelSettings(
        name="m",
        implementation="fairtrial_servers.tensorflow.TensorFlowRuntime",
        parameters={"uri": str(path), "extra": parameters},
    )
    runtime = TensorFlowRuntime(settings)
    assert asyncio.run(runtime.load())
    return runtime


def ask(runtime, *tensors):
    return asyncio.run(runtime.predict(InferenceRequest.model_validate({"inputs": list(tensors)}))).outputs


def test_a_saved_model_gives_the_librarys_predictions_and_refuses_in_words(folder, start):
    known = detect(folder)
    assert known.name == "tensorflow"
    served = start(folder, implementation=known.servers[0]).wait_ready()
    answers = {"probabilities": ANSWERS}
    check_served(served, platform="tensorflow_savedmodel", source="x", rows=ROWS, answers=answers)


def test_a_frozen_graph_does_so_too(frozen, start):
    known = detect(frozen)
    assert known.name == detect(frozen.parent).name == "tensorflow"
    served = start(frozen, implementation=known.servers[0]).wait_ready()
    check_served(served, platform="tensorflow_graphdef", source="x", rows=ROWS, answers={"Identity": ANSWERS})


def test_a_signature_is_chosen_by_name_and_takes_strings_and_scalars(folder):
    runtime = load(folder, signature="words")
    stated = {each.name: (each.datatype, each.shape) for each in runtime.inputs}
    assert stated == {"word": ("BYTES", [-1]), "by": ("FP32", [])}
    by = tensor([2], [], "FP32", "by")
    answers = {each.name: each for each in ask(runtime, tensor(["yes", "é"], [2], "BYTES", "word"), by)}
    assert answers["number"].data.root == [2.0, -2.0]
    assert [each.decode() for each in answers["upper"].data.root] == ["YES", "é"]
    with pytest.raises(InferenceError, match="missing: by"):
        ask(runtime, tensor(["yes"], [1], "BYTES", "word"))
    with pytest.raises(
        ModelError, match=r"has the signatures serving_default, words; the parameter.*'other'"
    ):
        load(folder, signature="other")


def test_the_outputs_of_a_frozen_graph_can_be_named(frozen):
    inner = next(node.name for node in tf.compat.v1.GraphDef.FromString(frozen.read_bytes()).node
                 if node.op == "MatMul")  # fmt: skip
    assert [each.name for each in load(frozen, outputs=f"{inner}, Identity").outputs] == [inner, "Identity"]
    with pytest.raises(ModelError, match="outputs names 'gone'"):
        load(frozen, outputs="gone")


def test_what_the_graph_itself_refuses_is_the_requests_fault(tmp_path):
    class Picky(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 2), tf.float32, "x")], autograph=False)
        def run(self, x):
            with tf.control_dependencies([tf.debugging.assert_less(x, 5.0, "too large")]):
                return x + 1

    model = Picky()
    tf.saved_model.save(model, str(tmp_path / "m"), signatures=model.run)
    runtime = load(tmp_path / "m")
    assert ask(runtime, tensor([1, 2], [1, 2]))[0].data.root == [2, 3]
    with pytest.raises(InferenceError, match=r"the model refuses this input: .*too large"):
        ask(runtime, tensor([1, 9], [1, 2]))


def test_a_graph_that_reads_files_is_refused_before_it_is_loaded(tmp_path):
    class Reader(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, "path")], autograph=False)
        def run(self, path):
            return tf.map_fn(tf.io.read_file, path)

    model = Reader()
    tf.saved_model.save(model, str(tmp_path / "m"), signatures=model.run)
    with pytest.raises(UnsafeModelError, match="ReadFile"):
        load(tmp_path / "m")


def test_a_graph_with_variables_is_not_frozen(tmp_path):
    graph = MODEL.classify.get_concrete_function().graph.as_graph_def()
    graph.node.add(name="v", op="VarHandleOp")
    (tmp_path / "a.pb").write_bytes(graph.SerializeToString())
    with pytest.raises(ModelError, match="is not frozen: it has variables"):
        load(tmp_path / "a.pb")


def test_a_saved_model_of_tensorflow_1_passes_the_check(tmp_path):
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, (None, 2), name="x")
        y = x * v1.get_variable("w", initializer=[2.0, 3.0], use_resource=True)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(tmp_path / "m"), {"x": x}, {"y": y})
    assert check_saved_model(tmp_path / "m") == [("serve",)]
    assert ask(load(tmp_path / "m"), tensor([1, 1], [1, 2]))[0].data.root == [2, 3]


def test_no_operator_of_this_tensorflow_that_takes_a_file_or_an_address_is_admitted():
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.python.client import pywrap_tf_session

    known = op_def_pb2.OpList.FromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))
    assert len(known.op) > 1000
    reaching = (
        "filename", "filenames", "file_pattern", "path", "address", "logdir", "directory", "server_address",
        "vocab_file", "ckpt_path", "new_vocab_file", "log_dir_path", "output_file_path", "debug_urls",
        "patterns", "db_uri", "snapshot_path", "shard_dir", "chunk_file", "descriptor_source",
    )  # fmt: skip
    saver = {"Restore", "RestoreSlice", "Save", "SaveSlices"}
    reach = [
        each.name
        for each in known.op
        if any(argument.name in reaching for argument in (*each.input_arg, *each.attr))
    ]
    assert [name for name in reach if not is_refused(name) and name not in saver] == []
