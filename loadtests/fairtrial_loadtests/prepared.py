"""Whole requests, head and body, made once for each address and row."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from fairtrial_loadtests.errors import BadLoadError
from fairtrial_loadtests.payload import Encoder
from fairtrial_loadtests.v2 import model_path

_MAX_BYTES = 32 << 20  # kept for one address


class PreparedRequests:
    """POST /v2/models/NAME/infer for each row, kept until 32 MB are.

    What is kept stays: rows come in whole permuted passes, so that throwing out the least recently used
    would throw out each just before it is wanted.
    """

    def __init__(
        self,
        url: str,
        model: str,
        encoder: Encoder,
        *,
        headers: Mapping[str, str],
        unit_header: str | None = None,
        units: list[str | None] | None = None,
    ) -> None:
        parts = urlsplit(url)
        path = f"{model_path(url, model)}/infer"
        self.url = f"{parts.scheme}://{parts.netloc}{path}"
        self._encoder = encoder
        self._units = units if unit_header is not None else None
        self._unit_header = unit_header
        ours = {
            "Host": parts.netloc.rpartition("@")[2],
            "User-Agent": "fairtrial-loadtests",
            "Accept": "application/json",
            "Content-Type": "application/json",
        }
        given = {name.lower() for name in headers}
        lines = {name: value for name, value in ours.items() if name.lower() not in given} | dict(headers)
        for name, value in lines.items():
            if not (name + value).isascii() or not (name + value).isprintable() or not name:
                raise BadLoadError(f"The header {name!r} with the value {value!r} cannot be sent.")
        self._head = f"POST {path} HTTP/1.1\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in lines.items()
        )
        self._kept: dict[int, bytes] = {}
        self._room = _MAX_BYTES

    def __getitem__(self, row: int) -> bytes:
        kept = self._kept.get(row)
        if kept is not None:
            return kept
        body = self._encoder.encode(row)
        unit = self._units[row] if self._units is not None else None
        sticky = f"{self._unit_header}: {unit}\r\n" if unit is not None else ""
        request = f"{self._head}{sticky}Content-Length: {len(body)}\r\n\r\n".encode("ascii") + body
        if self._room >= len(request):
            self._room -= len(request)
            self._kept[row] = request
        return request
