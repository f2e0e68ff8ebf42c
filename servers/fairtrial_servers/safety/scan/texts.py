"""Text files: JSON, YAML and XML that can ask for something, source code, and the rest."""

from __future__ import annotations

import json
import re
from typing import Any
from xml.parsers import expat

from fairtrial_servers.safety.scan import keras_configs, pickles, torch_files
from fairtrial_servers.safety.scan.content import Content, Role, Yielded

#: JSON is parsed up to this size; beyond it, it must not even mention what is looked for.
_PARSED = 64 << 20
_CHUNK = 1 << 20
_MENTIONS = (b"class_name", b"auto_map", b"\\u", b'"target"')
_YAML_TAG = re.compile(rb"!!?<?(tag:yaml\.org,2002:)?python[/:]|!!(java|javax|org|com)\.")
_SOURCE = (".py", ".pyw")
_SCRIPTS = (".sh", ".bash", ".bat", ".cmd", ".ps1", ".js", ".rb", ".pl", ".r", ".lua", ".pth_import")
_YAML = (".yaml", ".yml")


def is_text(head: bytes) -> bool:
    """Whether the start of a file is text in UTF-8, or in UTF-16 with its mark."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return True
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:
            return False
        text = head[: error.start].decode("utf-8-sig")
    return not any(char < " " and char not in "\t\n\r\f\b" for char in text)


def check(content: Content) -> Yielded:
    start = content.head(4096).lstrip(b"\xef\xbb\xbf \t\r\n")
    if content.role is Role.SCRIPT:
        yield from torch_files.check_source(content)
    elif content.suffix in _SOURCE:
        stem = content.name.rpartition("/")[2].rpartition(".")[0]
        yield content.unsafe("is Python source", "and a model is data", stem)
    elif content.suffix in _SCRIPTS or start.startswith(b"#!"):
        yield content.unsafe("is a script", "and a model is data")
    elif (
        start[:1] == b"<"
        or content.head(2) in (b"\xff\xfe", b"\xfe\xff")
        or content.suffix in (".pmml", ".xml")
    ):
        yield from check_xml(content)
    elif start[:1] in (b"{", b"["):
        yield from check_json(content)
    else:
        yield from check_other(content)


def check_xml(content: Content) -> Yielded:
    """PMML and other XML: a document type declares entities, which are files and addresses elsewhere."""
    declared: list[str] = []
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = lambda name, *_: declared.append(name)
    parser.EntityDeclHandler = lambda name, *_: declared.append(name)
    content.stream.seek(0)
    try:
        while chunk := content.stream.read(_CHUNK):
            parser.Parse(chunk, False)
            if declared:
                break
        else:
            parser.Parse(b"", True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        if not declared:
            if content.suffix == ".html":
                return
            yield content.unknown(f"it is no well-formed XML: {error}")
            return
    if declared:
        yield content.unsafe(
            f"declares a document type ({declared[0]})", "which can name files and addresses to be read"
        )


def check_json(content: Content) -> Yielded:
    if content.size > _PARSED:
        yield from _check_large(content)
        return
    data = content.whole(_PARSED)
    try:
        document: Any = json.loads(data)
    except RecursionError:
        yield content.unknown("its JSON is nested without end")
        return
    except ValueError:
        if content.suffix == ".json":
            yield content.damaged("it is no valid JSON")
        else:
            yield from check_other(content)
        return
    yield from keras_configs.check(content, document)
    if isinstance(document, dict):
        for name in _auto_map(document):
            yield content.unsafe(f"has {name} loaded", "which is code that comes with the model", name)
        if "graph_module" in document:
            yield from torch_files.check_graph(content, document)


def _auto_map(document: dict[str, Any]) -> list[str]:
    """Python classes that a Hugging Face model brings along."""
    said = document.get("auto_map")
    return sorted({str(value) for value in said.values()}) if isinstance(said, dict) else []


def _check_large(content: Content) -> Yielded:
    content.stream.seek(0)
    tail = b""
    while chunk := content.stream.read(_CHUNK):
        if any(word in tail + chunk for word in _MENTIONS):
            yield content.unknown(
                f"its JSON is larger than {_PARSED >> 20} MiB and refers to classes by name"
            )
            return
        tail = chunk[-16:]


def check_other(content: Content) -> Yielded:
    content.stream.seek(0)
    tail = b""
    while chunk := content.stream.read(_CHUNK):
        if content.suffix in (*_YAML, "") and _YAML_TAG.search(tail + chunk):
            yield content.unsafe(
                "has a YAML tag that makes objects", "which runs code where it is read carelessly"
            )
            return
        tail = chunk[-64:]
    yield from pickles.check_text(content)
