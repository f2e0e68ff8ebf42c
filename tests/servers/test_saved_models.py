"""TensorFlow graphs made by hand: operators that do more than compute are refused, without TensorFlow."""

from __future__ import annotations

import pytest
from fairtrial_servers.errors import ModelError, UnsafeModelError
from fairtrial_servers.safety.saved_models import check_frozen_graph, check_saved_model
from fairtrial_servers.safety.tensorflow_graphs import message


def node(graph, name, op, *inputs, calls=(), stream=None):
    made = graph.nodes.add(name=name, op=op, inputs=inputs)
    for function in calls:
        attribute = made.attributes.add(key="f")
        attribute.value.function.name = function
    if stream is not None:
        made.attributes.add(key="output_stream").value.text = stream
    return made


def function(graph, name, *nodes):
    made = graph.library.functions.add()
    made.signature.name = name
    for each in nodes:
        node(made, *each)
    return made


def saved_model():
    """As tf.saved_model.save lays it out: a served function, and a saver that calls two of its own."""
    model = message("SavedModel")
    meta = model.meta_graphs.add()
    meta.info.tags.append("serve")
    graph = meta.graph
    node(graph, "serving_default_x", "Placeholder")
    node(graph, "StatefulPartitionedCall", "StatefulPartitionedCall", "serving_default_x", calls=["served"])
    function(graph, "served", ("x", "_Arg"), ("y", "Softmax", "x"))
    node(graph, "saver_filename", "Placeholder")
    node(graph, "save", "StatefulPartitionedCall", "saver_filename", calls=["traced_save"])
    node(graph, "restore", "StatefulPartitionedCall", "saver_filename", calls=["traced_restore"])
    function(graph, "traced_save", ("s", "ShardedFilename", "file_prefix"), ("v", "SaveV2", "s:0"))
    function(graph, "traced_restore", ("r", "RestoreV2", "file_prefix"))
    meta.saver.filename, meta.saver.save, meta.saver.restore = "saver_filename:0", "save:0", "restore"
    return model


@pytest.fixture
def check(tmp_path):
    def checked(model):
        (tmp_path / "saved_model.pb").write_bytes(model.SerializeToString())
        return check_saved_model(tmp_path)

    return checked


def test_a_saver_is_admitted_where_it_is_the_models_own(check):
    assert check(saved_model()) == [("serve",)]


@pytest.mark.parametrize(
    "op",
    ["ReadFile", "WriteFile", "MatchingFiles", "PyFunc", "EagerPyFunc", "PyFuncStateless", "TextLineDataset",
     "DatasetFromGraph", "InitializeTableFromTextFileV2", "CreateSummaryFileWriter", "WriteScalarSummary",
     "DecodeProtoV2", "RpcCall", "RemoteCall", "DebugIdentityV3", "WholeFileReaderV2", "LoadAndRemapMatrix",
     "DumpTensor", "Abort", "FileSystemSetConfiguration", "XlaCustomCallV2", "DistributedSave"],
)  # fmt: skip
@pytest.mark.parametrize("where", ["graph", "function"])
def test_operators_that_reach_out_are_refused_in_the_graph_and_in_functions(check, op, where):
    model = saved_model()
    graph = model.meta_graphs[0].graph
    node(graph if where == "graph" else graph.library.functions[0], "n", op)
    with pytest.raises(UnsafeModelError, match=rf"the operator {op} \('n'\)"):
        check(model)


@pytest.mark.parametrize("op", ["SaveV2", "RestoreV2", "MergeV2Checkpoints", "ShardedFilename"])
def test_operators_of_the_saver_are_refused_elsewhere(check, op):
    in_graph, in_function = saved_model(), saved_model()
    node(in_graph.meta_graphs[0].graph, "n", op)
    node(in_function.meta_graphs[0].graph.library.functions[0], "n", op)
    for model in (in_graph, in_function):
        with pytest.raises(UnsafeModelError, match=f"{op}.*outside of its saver"):
            check(model)


def called_from_the_graph(graph):
    node(graph, "n", "StatefulPartitionedCall", calls=["traced_save"])


def called_from_a_function(graph):
    node(graph.library.functions[0], "n", "PartitionedCall", calls=["traced_save"])


def called_from_a_list(graph):
    branch = node(graph.library.functions[0], "n", "Case")
    branch.attributes.add(key="branches").value.list.functions.add(name="traced_save")


@pytest.mark.parametrize("edit", [called_from_the_graph, called_from_a_function, called_from_a_list])
def test_a_function_of_the_saver_that_something_else_calls_is_no_longer_its_own(check, edit):
    model = saved_model()
    edit(model.meta_graphs[0].graph)
    with pytest.raises(UnsafeModelError, match="outside of its saver"):
        check(model)


def test_variables_are_restored_from_the_models_own_folder_only(check):
    model = saved_model()
    restore = model.meta_graphs[0].graph.library.functions[2]
    node(restore, "elsewhere", "Const")
    node(restore, "again", "RestoreV2", "elsewhere:output:0")
    with pytest.raises(UnsafeModelError, match="a file of its own choice"):
        check(model)


@pytest.mark.parametrize(
    ("stream", "fits"), [(b"stderr", True), (b"log(info)", True), (b"file:///tmp/a", False)]
)
def test_printing_goes_to_the_servers_log_or_nowhere(check, stream, fits):
    model = saved_model()
    node(model.meta_graphs[0].graph.library.functions[0], "n", "PrintV2", stream=stream)
    if fits:
        check(model)
        return
    with pytest.raises(UnsafeModelError, match="prints to 'file:///tmp/a'"):
        check(model)


@pytest.mark.parametrize("name", ["/etc/passwd", "../secret"])
def test_assets_are_in_the_folder(check, name):
    model = saved_model()
    model.meta_graphs[0].assets.add(filename=name)
    with pytest.raises(UnsafeModelError, match="as an asset, outside"):
        check(model)


def test_links_out_of_the_folder_are_refused(check, tmp_path):
    (tmp_path / "variables").mkdir()
    (tmp_path / "variables" / "variables.index").symlink_to("/etc/hostname")
    with pytest.raises(UnsafeModelError, match=r"variables\.index is a link out of"):
        check(saved_model())


def test_every_graph_of_several_is_checked(check):
    model = saved_model()
    node(model.meta_graphs.add().graph, "n", "ReadFile")
    with pytest.raises(UnsafeModelError, match="ReadFile"):
        check(model)


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "no graph in it"), (b"no protobuf", "cannot be parsed")]
)
def test_a_damaged_saved_model_is_a_load_error(tmp_path, content, words):
    (tmp_path / "saved_model.pb").write_bytes(content)
    with pytest.raises(ModelError, match=words):
        check_saved_model(tmp_path)


def test_a_model_in_chunks_is_not_read(check, tmp_path):
    (tmp_path / "saved_model.cpb").touch()
    with pytest.raises(ModelError, match="in chunks"):
        check(saved_model())


@pytest.mark.parametrize("op", ["ReadFile", "SaveV2", "RestoreV2"])
def test_a_frozen_graph_has_no_saver(tmp_path, op):
    graph = message("Graph")
    node(graph, "n", op)
    (tmp_path / "a.pb").write_bytes(graph.SerializeToString())
    with pytest.raises(UnsafeModelError, match=op):
        check_frozen_graph(tmp_path / "a.pb")


@pytest.mark.parametrize(("content", "words"), [(b"", "no operators"), (b"no protobuf", "cannot be parsed")])
def test_a_damaged_graph_is_a_load_error(tmp_path, content, words):
    (tmp_path / "a.pb").write_bytes(content)
    with pytest.raises(ModelError, match=words):
        check_frozen_graph(tmp_path / "a.pb")
