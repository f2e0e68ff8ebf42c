"""What a PMML file may be, checked before the Java VM sees it: XML with no document type and no inclusions.

pmml4s opens the external entities of a document type, so that a model could read files of this machine. It
reads text: what is checked here is exactly the text that it is then given, whatever encoding the file has.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import NoReturn
from xml.parsers import expat

from fairtrial_servers.errors import ModelError, UnsafeModelError

#: Bytes that a PMML file may have, and how deep its elements may be nested.
MOST_BYTES, MOST_DEEP = 1 << 30, 2_000

_XINCLUDE = "http://www.w3.org/2001/XInclude"
_DMG = "http://www.dmg.org/PMML-"
_DECLARED = re.compile(rb"<\?xml[^>]*?encoding\s*=\s*[\"']([A-Za-z][A-Za-z0-9._-]*)[\"']")
_ENCODINGS = ("utf-8", "utf-16", "ascii", "iso8859-1", "iso8859-15", "cp1250", "cp1251", "cp1252")
_BYTE_ORDER = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_pmml(file: Path) -> str:
    """The text of a PMML file that may be parsed.

    Raises UnsafeModelError for a document type, an inclusion or too much of anything, ModelError for what is
    damaged or no PMML.
    """
    try:
        size = file.stat().st_size
        if size > MOST_BYTES:
            raise UnsafeModelError(f"{file} has {size:,} bytes: PMML of at most {MOST_BYTES:,} is read")
        raw = file.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {file}: {error.strerror}") from error
    text = _decoded(raw, file)
    _check(text, file)
    return text


def _decoded(raw: bytes, file: Path) -> str:
    encoding = next((name for mark, name in _BYTE_ORDER if raw.startswith(mark)), None)
    if encoding is None:
        declared = _DECLARED.match(raw[:200].lstrip())
        said = declared[1].decode() if declared else "utf-8"
        try:
            encoding = codecs.lookup(said).name
        except LookupError:
            encoding = ""
        if encoding not in _ENCODINGS:
            raise ModelError(f"{file} is said to be in the encoding {said}: write it in UTF-8")
    try:
        return raw.decode(encoding)
    except UnicodeError as error:
        raise ModelError(f"{file} is damaged: it is not in {encoding}, as it should be ({error})") from None


def _check(text: str, file: Path) -> None:
    # The parser is told the encoding, so that it does not go by what the file declares.
    parser = expat.ParserCreate("utf-8", namespace_separator=" ")
    guard = _Guard(file)
    parser.StartDoctypeDeclHandler = lambda name, *_: guard.doctype(name)
    parser.StartElementHandler = lambda name, _: guard.element(name)
    parser.EndElementHandler = lambda _: guard.end()
    try:
        parser.Parse(text.encode("utf-8"), True)
    except expat.ExpatError as error:
        raise ModelError(f"{file} is damaged, or no XML: {error}") from None
    except UnicodeEncodeError:
        raise ModelError(f"{file} is damaged: it holds half of a character") from None


class _Guard:
    def __init__(self, file: Path) -> None:
        self._file = file
        self._depth = 0

    def doctype(self, name: str) -> NoReturn:
        raise UnsafeModelError(
            f"{self._file} has a document type (<!DOCTYPE {name}>), through which files of this machine "
            f"could be read: no PMML needs one, delete it"
        )

    def element(self, name: str) -> None:
        namespace, _, local = name.rpartition(" ")
        if self._depth == 0 and (local != "PMML" or (namespace and not namespace.startswith(_DMG))):
            raise ModelError(
                f"{self._file} is no PMML: its outermost element is {local} of {namespace or 'no namespace'}"
            )
        if namespace == _XINCLUDE:
            raise UnsafeModelError(f"{self._file} includes other files (XInclude), which no PMML needs")
        self._depth += 1
        if self._depth > MOST_DEEP:
            raise UnsafeModelError(f"{self._file} is nested over {MOST_DEEP:,} elements deep: no model is")

    def end(self) -> None:
        self._depth -= 1
