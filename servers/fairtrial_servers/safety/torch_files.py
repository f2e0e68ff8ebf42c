"""PyTorch files: what is in one, and whether it is safe to load. Needs no PyTorch.

A TorchScript archive holds code, which PyTorch's own interpreter runs, and pickles, which its own unpickler
reads; an exported program holds a graph as JSON. Neither needs Python code, and none is run. A plain
`torch.save` is a pickle for Python: its weights have no model around them, and its models run code.
"""

from __future__ import annotations

import zipfile
from enum import Enum
from pathlib import Path

from fairtrial_servers.errors import ModelError, UnsafeModelError
from fairtrial_servers.safety.archives import open_archive
from fairtrial_servers.safety.exported_programs import check_program, read_json
from fairtrial_servers.safety.scan.content import Role
from fairtrial_servers.safety.scan.names import admitted
from fairtrial_servers.safety.torch_code import check_code
from fairtrial_servers.safety.torch_pickles import builds_tensors_only, check_pickle, names_in

_SAVE_INSTEAD = (
    'save the model itself: torch.export.save(torch.export.export(model, (example,)), "model.pt2"), '
    'or torch.jit.trace(model, example).save("model.pt")'
)
#: More of a pickle or of code than any model has; weights are kept beside them.
_MOST_TEXT = 256 << 20


class Kind(Enum):
    SCRIPT = "TorchScript"
    EXPORTED = "exported program"


def check_torch(file: Path) -> Kind:
    """What kind of model `file` holds, once all of it that can run was checked.

    Raises ModelError for a file that is damaged or holds weights only, UnsafeModelError for one that asks
    for code.
    """
    if not zipfile.is_zipfile(file):
        raise ModelError(
            f"{file} is no archive as torch.export.save and torch.jit.save write it; "
            f"if it is an old pickle of weights or of a model, {_SAVE_INSTEAD}"
        )
    with open_archive(file) as archive:
        top, names = _layout(archive, file)
        if any(name.startswith("data/aotinductor/") for name in names):
            raise UnsafeModelError(f"{file} brings compiled code along (AOTInductor): not loaded")
        if "archive_format" in names or any(name.startswith("models/") for name in names):
            _check_exported(archive, file, top, names)
            return Kind.EXPORTED
        if "constants.pkl" in names and "data.pkl" in names:
            _check_script(archive, file, top, names)
            return Kind.SCRIPT
        if "data.pkl" in names:
            raise _pickled(_read(archive, f"{top}data.pkl", file), file)
    raise ModelError(f"{file} is a zip archive, but holds neither TorchScript nor an exported program")


def _layout(archive: zipfile.ZipFile, file: Path) -> tuple[str, list[str]]:
    """The folder that all entries are in, with its slash, and their names in it."""
    names = [name for name in archive.namelist() if not name.endswith("/")]
    top = names[0].split("/")[0] + "/" if names else ""
    if not all(name.startswith(top) for name in names):
        raise ModelError(f"{file} is damaged: its entries are not all in one folder, as PyTorch writes them")
    return top, [name[len(top) :] for name in names]


def _check_script(archive: zipfile.ZipFile, file: Path, top: str, names: list[str]) -> None:
    for name in names:
        where = f"{file.name}: {name}"
        if name.endswith("pkl"):
            check_pickle(_read(archive, top + name, file), where, script=True)
        elif name.startswith("code/"):
            if not name.endswith(".py"):
                raise UnsafeModelError(f"{where} is neither code nor its debug information: not loaded")
            check_code(_read(archive, top + name, file), where)


def _check_exported(archive: zipfile.ZipFile, file: Path, top: str, names: list[str]) -> None:
    programs = [name for name in names if name.startswith("models/")]
    if programs != ["models/model.json"]:
        raise ModelError(
            f"{file} holds {', '.join(programs) or 'no program'}; expected models/model.json alone"
        )
    pickled = _said_to_be_pickled(archive, file, top, names)
    for name in names:
        where = f"{file.name}: {name}"
        base = name.rpartition("/")[2]
        if name == programs[0]:
            check_program(_read(archive, top + name, file), where)
        elif base.startswith(("custom_obj", "opaque_obj")):
            raise UnsafeModelError(f"{where} is a pickled object, not a tensor: not loaded")
        elif name.startswith("data/") and not name.endswith("_config.json"):
            _check_payload(archive, top + name, where, pickled=name.endswith(".pt") or base in pickled)


def _said_to_be_pickled(archive: zipfile.ZipFile, file: Path, top: str, names: list[str]) -> set[str]:
    """The tensors that are kept by torch.save, and not as their bytes alone."""
    found: set[str] = set()
    for name in names:
        if name.startswith("data/") and name.endswith("_config.json"):
            where = f"{file.name}: {name}"
            said = read_json(_read(archive, top + name, file), where)
            try:
                entries = said.get("config", {}).values()
                found |= {each["path_name"].rpartition("/")[2] for each in entries if each["use_pickle"]}
            except (AttributeError, KeyError, TypeError):
                raise ModelError(f"{where} is damaged: it does not say where the tensors are") from None
    return found


def _check_payload(archive: zipfile.ZipFile, name: str, where: str, *, pickled: bool) -> None:
    """A tensor: its bytes alone, or an archive of torch.save."""
    if not pickled:
        return
    data = archive.read(name)
    if not data.startswith(b"PK\x03\x04"):
        if data:
            raise UnsafeModelError(f"{where} is a pickle with no archive around it: not loaded")
        return
    with open_archive(data, where) as inner:
        pickles = [entry for entry in inner.namelist() if entry.endswith("pkl")]
        if len(pickles) != 1 or any("/code/" in entry for entry in inner.namelist()):
            raise UnsafeModelError(f"{where} is not what torch.save writes for tensors: not loaded")
        check_pickle(inner.read(pickles[0]), where)


def _read(archive: zipfile.ZipFile, name: str, file: Path) -> bytes:
    if archive.getinfo(name).file_size > _MOST_TEXT:
        raise UnsafeModelError(f"{file}: {name} is larger than {_MOST_TEXT >> 20} MiB: not loaded")
    return archive.read(name)


def _pickled(data: bytes, file: Path) -> ModelError:
    """Why what torch.save wrote is not served."""
    foreign = sorted(
        name for name in names_in(data, f"{file.name}: data.pkl") if not builds_tensors_only(name)
    )
    if not foreign:
        return ModelError(f"{file} holds weights (a state dict), not a model: {_SAVE_INSTEAD}")
    hostile = [name for name in foreign if not _of_torch(name)]
    if not hostile:
        return ModelError(f"{file} is a pickled object, which only its own code can run: {_SAVE_INSTEAD}")
    # The most telling name: a class of the model's own, and not the set that it keeps.
    named = next((name for name in hostile if "builtin" not in name), hostile[0]).replace(" ", ".")
    return UnsafeModelError(
        f"{file} is a pickled object that refers to {named}, and loading it would run what it names: "
        f"not loaded; {_SAVE_INSTEAD}"
    )


def _of_torch(name: str) -> bool:
    module, _, within = name.partition(" ")
    return admitted(module, within, Role.TORCH)
