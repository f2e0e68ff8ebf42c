"""The checks that our own runtimes make as they load: stricter than what any reader could be made to do."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

from fairtrial_servers.errors import ModelError, UnsafeModelError
from fairtrial_servers.safety.scan.content import Content
from fairtrial_servers.safety.scan.findings import Finding

_SAFETY = "fairtrial_servers.safety"
#: Suffix -> module and function, imported when there is such a file.
_CHECKS = {
    **dict.fromkeys((".pt", ".pth", ".pt2"), ("torch_files", "check_torch")),
    **dict.fromkeys((".keras", ".h5", ".hdf5"), ("keras_files", "check_keras")),
    ".pb": ("saved_models", "check_frozen_graph"),
    ".pmml": ("pmml_files", "read_pmml"),
}


def objections(content: Content) -> Iterator[Finding]:
    """What would keep the file's own runtime from loading it because it is unsafe.

    What it would refuse for another reason (weights without a program, say) is not the scan's to tell.
    """
    file = content.path
    if file is None:
        return
    try:
        if file.name == "saved_model.pb":
            importlib.import_module(f"{_SAFETY}.saved_models").check_saved_model(file.parent)
        elif (known := _CHECKS.get(file.suffix.lower())) is not None and not _is_beside_saved_model(file):
            getattr(importlib.import_module(f"{_SAFETY}.{known[0]}"), known[1])(file)
    except UnsafeModelError as error:
        yield content.unsafe(str(error).removeprefix(str(file)).lstrip(": "), "")
    except ModelError:
        return


def _is_beside_saved_model(file: Path) -> bool:
    """Numbers and Keras's own notes, in a format of protocol buffers that is no graph."""
    return file.suffix == ".pb" and (file.parent / "saved_model.pb").is_file()
