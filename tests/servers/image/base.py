"""A base image out of this machine's own Debian Python, for where none can be downloaded.

Python, its standard library, and every shared library that these and common wheels load.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from fairtrial_servers.image.blobs import Blobs
from fairtrial_servers.image.layers import Entry, files_under, write_layer
from fairtrial_servers.image.layout import write_layout
from fairtrial_servers.image.oci import CONFIG, LAYER_HOLDS, MANIFEST, Descriptor, encode
from fairtrial_servers.image.platforms import Platform

PYTHON = next(
    (Path(f"/usr/bin/python3.{minor}") for minor in (11, 12) if Path(f"/usr/bin/python3.{minor}").is_file()),
    None,
)
#: What wheels load besides: the C++ library, and the parts of the C library that every image has.
_ALSO = (
    *("libstdc++.so.6", "libgcc_s.so.1", "libgomp.so.1"),
    *("librt.so.1", "libpthread.so.0", "libdl.so.2", "libutil.so.1", "libresolv.so.2"),
)
_LINKED = re.compile(r"(/\S+)\s+\(0x")


def why_no_base() -> str:
    """Why none can be made here; "" where one can."""
    if PYTHON is None:
        return "there is no Debian Python 3.11 or 3.12 in /usr/bin to make a base image of"
    return "" if shutil.which("ldd") and shutil.which("ldconfig") else "there is no ldd and ldconfig"


def make_base(folder: Path, platform: Platform) -> Path:
    """An image layout with one layer."""
    assert PYTHON is not None
    version = PYTHON.name.removeprefix("python")
    standard = Path(f"/usr/lib/python{version}")
    entries = {
        entry.path: entry
        for entry in files_under(standard, str(standard).lstrip("/"), links=False)
        if "/__pycache__/" not in entry.path and "/test/" not in entry.path
    }
    binaries = [PYTHON, *standard.glob("lib-dynload/*.so")]
    known = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    for name in _ALSO:
        found = re.search(rf"{re.escape(name)} .*x86-64.*=> (\S+)|{re.escape(name)} .*=> (\S+)", known)
        assert found is not None, f"no {name} here"
        binaries.append(Path(found[1] or found[2]))
    listed = subprocess.run(["ldd", *map(str, binaries)], capture_output=True, text=True, check=False).stdout
    libraries = {Path(path) for path in _LINKED.findall(listed)} | set(binaries[-len(_ALSO) :])
    for path in (PYTHON, *libraries):
        # /lib is /usr/lib on this machine, and a folder of its own in the image.
        entries[str(path).lstrip("/")] = Entry(str(path).lstrip("/"), path.resolve(), executable=True)
    entries["etc/passwd"] = Entry("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
    return write_base(folder, list(entries.values()), platform)


def write_base(folder: Path, entries: list[Entry], platform: Platform, env: tuple[str, ...] = ()) -> Path:
    blobs = Blobs(folder.with_name(f"{folder.name}-blobs"))
    layer = write_layer(blobs, entries, {LAYER_HOLDS: "base"})
    said = {
        **platform.as_json(),
        "config": {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin", *env], "Cmd": ["sh"], "User": "root"},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "the tests"}],
    }
    config = blobs.add(encode(said), CONFIG)
    manifest = blobs.add(
        encode(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": config.as_json(),
                "layers": [
                    Descriptor(
                        layer.descriptor.media_type, layer.descriptor.digest, layer.descriptor.size
                    ).as_json()
                ],
            }
        ),
        MANIFEST,
    )
    listed = [(each, blobs.path(each.digest)) for each in (layer.descriptor, config, manifest)]
    write_layout(folder, manifest, listed, "base")
    return folder
