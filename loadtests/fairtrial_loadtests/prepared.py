"""Whole requests, head and body, made once for each address and row."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from fairtrial_loadtests.errors import BadLoadError
from fairtrial_loadtests.payload import Encoder
from fairtrial_loadtests.plan import UnitIn
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
        unit_in: UnitIn | None = None,
        units: list[str | None] | None = None,
    ) -> None:
        parts = urlsplit(url)
        path = f"{model_path(url, model)}/infer"
        self.url = f"{parts.scheme}://{parts.netloc}{path}"
        self._encoder = encoder
        self._units = units if unit_in is not None else None
        self._unit_in = unit_in
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
        self._path = path
        self._head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._kept: dict[int, bytes] = {}
        self._room = _MAX_BYTES

    def __getitem__(self, row: int) -> bytes:
        kept = self._kept.get(row)
        if kept is not None:
            return kept
        body = self._encoder.encode(row)
        unit = self._units[row] if self._units is not None else None
        query, sticky = self._said(unit)
        head = f"POST {self._path}{query} HTTP/1.1\r\n{self._head}{sticky}Content-Length: {len(body)}\r\n\r\n"
        request = head.encode("ascii") + body
        if self._room >= len(request):
            self._room -= len(request)
            self._kept[row] = request
        return request

    def _said(self, unit: str | None) -> tuple[str, str]:
        """The query string and the header by which a request says its unit."""
        if unit is None or self._unit_in is None:
            return "", ""
        name = self._unit_in.name
        match self._unit_in.kind:
            case "header":
                return "", f"{name}: {unit}\r\n"
            case "cookie":
                return "", f"Cookie: {name}={quote(unit)}\r\n"
            case "key":
                return f"?{name}={quote(unit)}", ""
