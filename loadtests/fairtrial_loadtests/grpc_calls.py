"""V2 over gRPC, as a load speaks it: prepared calls, a model's metadata, and what an answer says."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlsplit

import gevent

from fairtrial_loadtests.errors import BadLoadError, UnreachableError
from fairtrial_loadtests.http2 import Call, Calls, header_block
from fairtrial_loadtests.payload import Encoder
from fairtrial_loadtests.plan import UnitIn
from fairtrial_loadtests.scoring import Answer, answer_in
from fairtrial_loadtests.v2 import ModelMetadata
from fairtrial_loadtests.v2_proto import (
    infer_request,
    metadata_request,
    read_infer_response,
    read_metadata_response,
)

_SERVICE = "/inference.GRPCInferenceService"
_MAX_BYTES = 32 << 20  # kept for one address


class PreparedCalls:
    """ModelInfer for each row, kept until 32 MB are; `PreparedRequests` over gRPC."""

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
        if unit_in is not None and unit_in.kind == "key":
            raise BadLoadError("A gRPC call has no query string: say who a user is by `sticky.header`.")
        self.url = f"{url.rstrip('/')}{_SERVICE}/ModelInfer"
        self._model = model
        self._encoder = encoder
        self._unit_in = unit_in
        self._units = units if unit_in is not None else None
        self._head = _head(url, "ModelInfer", headers)
        self._kept: dict[int, Call] = {}
        self._room = _MAX_BYTES

    def __getitem__(self, row: int) -> Call:
        kept = self._kept.get(row)
        if kept is not None:
            return kept
        unit = self._units[row] if self._units is not None else None
        head = self._head if unit is None else self._head + self._said(unit)
        call = Call(head, _framed(infer_request(self._model, self._encoder.encode(row))))
        size = len(call.head) + len(call.body)
        if self._room >= size:
            self._room -= size
            self._kept[row] = call
        return call

    def _said(self, unit: str) -> bytes:
        assert self._unit_in is not None
        name = self._unit_in.name
        if self._unit_in.kind == "cookie":
            return header_block({"cookie": f"{name}={quote(unit)}"})
        return header_block({name: unit})


def read_call(body: bytes) -> Answer | None:
    """The prediction in a ModelInferResponse; None: unreadable."""
    try:
        return answer_in(read_infer_response(body))
    except (ValueError, KeyError):
        return None


def read_metadata_by_grpc(
    arm: str, url: str, model: str, *, headers: Mapping[str, str], timeout: float
) -> ModelMetadata:
    """Ask the server at `url`. Raises UnreachableError if it does not answer with V2 metadata."""
    code, body = _call(f"Arm {arm!r}", url, "ModelMetadata", metadata_request(model), headers, timeout)
    if code != 200:
        raise UnreachableError(
            f"Arm {arm!r} at {url} answers as HTTP's {code} when asked by gRPC for the model {model!r}: "
            "check the model's name, that it is loaded, and that the address is one of gRPC."
        )
    try:
        return read_metadata_response(body)
    except ValueError as error:
        raise UnreachableError(
            f"Arm {arm!r} at {url} answers for the model {model!r}, but not with V2 metadata: "
            "check that the address is a V2 server's."
        ) from error


def knock(who: str, url: str, *, headers: Mapping[str, str], timeout: float) -> None:
    """Whatever it answers, somebody is there. Raises UnreachableError if nobody is."""
    _call(who, url, "ServerReady", b"", headers, timeout)


def _call(
    who: str, url: str, method: str, message: bytes, headers: Mapping[str, str], timeout: float
) -> tuple[int, bytes]:
    calls = Calls(url, timeout)
    try:
        with gevent.Timeout(timeout, OSError(f"no answer in {timeout:g} s")):
            response = calls.post(Call(_head(url, method, headers), _framed(message)))
        return response.get_code(), response.body
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        raise UnreachableError(f"{who} at {url} does not answer by gRPC: {reason}.") from error
    finally:
        calls.close()


def _head(url: str, method: str, headers: Mapping[str, str]) -> bytes:
    parts = urlsplit(url)
    ours = {
        ":method": "POST",
        ":scheme": parts.scheme,
        ":path": f"{parts.path.rstrip('/')}{_SERVICE}/{method}",
        ":authority": parts.netloc.rpartition("@")[2],
        "content-type": "application/grpc",
        "te": "trailers",
        "user-agent": "fairtrial-loadtests",
    }
    for name, value in headers.items():
        if not (name + value).isascii() or not (name + value).isprintable() or not name:
            raise BadLoadError(f"The header {name!r} with the value {value!r} cannot be sent.")
    return header_block(ours | {name.lower(): value for name, value in headers.items()})


def _framed(message: bytes) -> bytes:
    return b"\x00" + len(message).to_bytes(4, "big") + message
