"""numpy's .npy files: an array of objects in one is a pickle."""

from __future__ import annotations

from typing import Any

import numpy as np

from fairtrial_servers.safety.scan import pickles
from fairtrial_servers.safety.scan.content import Content, Yielded
from fairtrial_servers.safety.scan.findings import Damaged, in_a_line
from fairtrial_servers.safety.scan.inert import Seen

MAGIC = b"\x93NUMPY"


def check(content: Content) -> Yielded:
    stream = content.stream
    stream.seek(0)
    try:
        version = np.lib.format.read_magic(stream)
        read: Any = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(stream)
    except Exception as error:
        # A header can be wrong in any way at all.
        raise Damaged(f"it is no numpy array: {in_a_line(error)}") from error
    start = stream.tell()
    if dtype.hasobject:
        seen = Seen()
        reason = pickles.go_through(content, seen, start=start)
        yield from pickles.objections(content, seen)
        if reason is not None:
            yield reason
        return
    size = dtype.itemsize
    for length in shape:
        size *= length
    if size != content.size - start:
        yield content.damaged(f"it should hold {size:,} bytes and holds {content.size - start:,}")
