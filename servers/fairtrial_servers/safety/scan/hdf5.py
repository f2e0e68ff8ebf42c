"""HDF5 files, as Keras writes them: the model's configuration, and data kept in other files."""

from __future__ import annotations

import importlib
import json
from typing import Any

from fairtrial_servers.safety.scan import keras_configs
from fairtrial_servers.safety.scan.content import Content, Yielded
from fairtrial_servers.safety.scan.findings import Damaged, TooMuch, in_a_line

MAGIC = b"\x89HDF\r\n\x1a\n"
_MOST = 1_000_000
_CONFIGS = ("model_config", "training_config", "keras_config", "layer_config")
_ELSEWHERE = "and a model reads nothing outside its own file"


def is_hdf5(content: Content) -> bool:
    """HDF5 looks for its mark at the start and at 512, 1024, 2048, ... bytes from it."""
    at = 0
    while at < min(content.size, 1 << 24):
        if content.head(8, at) == MAGIC:
            return True
        at = at * 2 or 512
    return False


def check(content: Content) -> Yielded:
    import h5py

    content.stream.seek(0)
    try:
        with h5py.File(content.stream, "r") as file:
            yield from _check_attributes(content, file)
            yield from _check_links(content, file)
    except TooMuch:
        raise
    except Exception as error:
        # The library raises whatever it likes for a damaged file.
        raise Damaged(f"it is no whole HDF5 file: {in_a_line(error)}") from error


def _check_attributes(content: Content, file: Any) -> Yielded:
    for key in file.attrs:
        value = file.attrs[key]
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        if not isinstance(text, str) or not (key in _CONFIGS or text.lstrip()[:1] in ("{", "[")):
            continue
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            if key in _CONFIGS:
                yield content.unknown(f"its {key} is no JSON")
            continue
        yield from keras_configs.check(content, document)


def _check_links(content: Content, file: Any) -> Yielded:
    """Links, storage and views into other files, in all groups; each group once, for they may form rings."""
    import h5py

    info: Any = importlib.import_module("h5py.h5o").get_info  # a compiled module, without types
    waiting: list[Any] = [file]
    seen: set[int] = set()
    links = 0
    while waiting:
        group = waiting.pop()
        address = int(info(group.id).addr)
        if address in seen:
            continue
        seen.add(address)
        for key in group:
            links += 1
            if links > _MOST:
                raise TooMuch("has more parts than are examined")
            link = group.get(key, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                yield content.unsafe(f"would read {link.filename!r} as its {key!r}", _ELSEWHERE)
            elif isinstance(link, h5py.HardLink):
                part = group[key]
                if isinstance(part, h5py.Group):
                    waiting.append(part)
                elif isinstance(part, h5py.Dataset):
                    yield from _check_dataset(content, part)


def _check_dataset(content: Content, part: Any) -> Yielded:
    for name, *_ in part.external or ():
        yield content.unsafe(f"would read {name!r} as its {part.name!r}", _ELSEWHERE)
    if part.is_virtual:
        for source in part.virtual_sources():
            if source.file_name != ".":
                yield content.unsafe(f"would read {source.file_name!r} as its {part.name!r}", _ELSEWHERE)
