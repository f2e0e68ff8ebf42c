"""Zip archives: what kind of model one is decides who reads the files in it."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from fairtrial_servers.safety.scan.content import Content, Role, Yielded
from fairtrial_servers.safety.scan.findings import Damaged, Finding, Kind, Unreadable, in_a_line
from fairtrial_servers.safety.scan.names import admitted, why_not
from fairtrial_servers.safety.scan.packed import Capped, zip_members

_MAGIC = b"PK\x03\x04"


def is_zip(content: Content) -> bool:
    """Whether any reader takes it for a zip: most look for its end, and the start may be anything."""
    if content.head(4) == _MAGIC:
        return True
    content.stream.seek(0)
    try:
        return content.size > 21 and zipfile.is_zipfile(Capped(content))
    except ValueError:
        return True


def check(content: Content) -> Yielded:
    content.stream.seek(0)
    try:
        archive = zipfile.ZipFile(Capped(content))
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise Damaged(f"it is no whole zip: {in_a_line(error)}") from error
    with archive:
        names = archive.namelist()
        if "schema.json" in names:
            yield from _skops(content)
        yield from zip_members(content, archive, _roles(names))


def _roles(names: Sequence[str]) -> Callable[[str], Role]:
    """Who reads each file of the zip."""
    root = next((name.removesuffix("data.pkl") for name in names if _is_torch(name, names)), None)
    if root is not None:
        script = f"{root}constants.pkl" in names
        return lambda name: _torch_role(name, root, script)
    package = next(
        (name.removesuffix("archive_format") for name in names if _last(name) == "archive_format"), None
    )
    if package is not None:
        raw = (f"{package}data/weights/", f"{package}data/constants/")
        return lambda name: Role.RAW if name.startswith(raw) and "." not in _last(name) else Role.ANY
    if "bundle.json" in names:  # MLeap, whose models may be protobuf messages of plain values
        return lambda name: Role.RAW if name.endswith(".pb") else Role.ANY
    return lambda _: Role.ANY


def _is_torch(name: str, names: Sequence[str]) -> bool:
    root = name.removesuffix("data.pkl")
    return root != name and root.count("/") <= 1 and f"{root}version" in names


def _torch_role(name: str, root: str, script: bool) -> Role:
    inside = name.removeprefix(root)
    if inside.startswith(("data/", "constants/")) and _last(name).isdigit():
        return Role.RAW
    if script and (inside.startswith("code/") or inside in ("data.pkl", "constants.pkl")):
        return Role.SCRIPT
    return Role.TORCH if inside.endswith(".pkl") else Role.ANY


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _skops(content: Content) -> Yielded:
    """Types that skops itself does not know, held against the policy as the loader does."""
    from skops.io import get_untrusted_types

    with tempfile.NamedTemporaryFile(suffix=".skops") as copy:
        path = content.path
        if path is None:
            content.stream.seek(0)
            while chunk := content.stream.read(1 << 20):
                copy.write(chunk)
            copy.flush()
            path = Path(copy.name)
        try:
            types = get_untrusted_types(file=path)
        except Exception as error:
            # A damaged file can fail in any way at all.
            raise Unreadable(f"its schema.json is none that skops reads: {in_a_line(error)}") from error
    for full in types:
        module, _, name = full.rpartition(".")
        try:
            if not admitted(module, name, Role.ANY):
                yield content.unsafe(f"refers to {full}", why_not(module, name), full, module)
        except LookupError:
            why = "which is not in the version that is installed here, so that it cannot be judged"
            yield Finding(content.trail, Kind.UNKNOWN, f"refers to {full}", why, full, module)
