"""What a file could be taken for, by what it begins with and what it is called, and who checks that."""

from __future__ import annotations

from collections.abc import Callable

from fairtrial_servers.safety.scan import (
    data,
    hdf5,
    mlflow_folders,
    numpy_files,
    onnx_models,
    packed,
    pickles,
    tensorflow_graphs,
    texts,
    torch_files,
    zips,
)
from fairtrial_servers.safety.scan.content import Content, Role, Yielded
from fairtrial_servers.safety.scan.findings import Damaged, Unreadable

Check = Callable[[Content], Yielded]

_HEAD = 4096
_PICKLES = (".pkl", ".pickle", ".joblib", ".dill", ".cloudpickle")
#: What is no model when it is empty; any other file may be.
_FULL = (*_PICKLES, ".onnx", ".pb", ".pt", ".pth", ".keras", ".h5", ".skops", ".npy", ".zip", ".pmml")
_NAMED: dict[str, Check] = {
    "MLmodel": mlflow_folders.check,
    "pickle_module_info.txt": mlflow_folders.check_pickle_module,
    "saved_model.pb": tensorflow_graphs.check_saved_model,
    "keras_metadata.pb": tensorflow_graphs.check_keras_metadata,
    "fingerprint.pb": lambda _: iter(()),  # numbers beside a SavedModel
}


def checks_of(content: Content) -> list[Check]:
    """A check for everything that some reader could take the file for; none for plain data."""
    if content.role is Role.RAW:
        return []
    head = content.head(_HEAD)
    alone = _alone(content, head)
    if alone is not None:
        return [alone]
    found = [check for check, matches in _TOGETHER.items() if matches(content, head)]
    if not found and content.suffix in _PICKLES:
        found = [pickles.check]
    if found:
        return found
    if texts.is_text(head):
        return [_text_graph if content.suffix == ".pbtxt" else texts.check]
    return [] if data.is_data(content) else [_unknown]


def _alone(content: Content, head: bytes) -> Check | None:
    """The check of a file that can be of one kind only."""
    if not head:
        return _empty if content.suffix in _FULL else lambda _: iter(())
    named = _NAMED.get(content.name.rpartition("/")[2])
    if named is not None:
        return named
    if packed.refused(head):
        return packed.check_refused
    if packed.compression(head):
        return packed.check_compressed
    if head.startswith(torch_files.LEGACY):
        return torch_files.check_legacy
    return packed.check_tar if packed.is_tar(content) else None


#: A file can be several of these at once, as most readers of zips look for the end and not the start.
_TOGETHER: dict[Check, Callable[[Content, bytes], bool]] = {
    zips.check: lambda content, _: zips.is_zip(content),
    hdf5.check: lambda content, _: hdf5.is_hdf5(content),
    numpy_files.check: lambda _, head: head.startswith(numpy_files.MAGIC),
    onnx_models.check: lambda content, _: content.suffix == ".onnx",
    tensorflow_graphs.check_frozen: lambda content, _: content.suffix == ".pb",
    pickles.check: lambda _, head: pickles.is_pickle(head),
    data.check_code: lambda content, _: data.is_code(content) is not None,
}


def _unknown(content: Content) -> Yielded:
    # A pickle of the first protocols has no mark, and may begin like anything.
    yield from pickles.check_text(content)
    raise Unreadable("it is of no kind that is known here")


def _empty(_: Content) -> Yielded:
    raise Damaged("it is empty")


def _text_graph(_: Content) -> Yielded:
    raise Unreadable("a graph in text form is not read here: save it as saved_model.pb")
