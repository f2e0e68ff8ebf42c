"""A model's V2 metadata: what it says that it takes and gives."""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from fairtrial_loadtests.errors import BadLoadError, UnreachableError


@dataclass(frozen=True)
class TensorSpec:
    """One input of a model. In `shape`, -1 is any size; empty when the model does not say.

    any_name: the model says that it takes this input under any name and in any numeric datatype.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    any_name: bool = False


@dataclass(frozen=True)
class ModelMetadata:
    """What GET /v2/models/NAME says; `inputs` is empty for a model that declares none."""

    inputs: tuple[TensorSpec, ...]


def read_metadata(
    arm: str, url: str, model: str, *, headers: dict[str, str], timeout: float
) -> ModelMetadata:
    """Ask the server at `url`. Raises UnreachableError if it does not answer 200 with V2 metadata."""
    status, body = get(f"arm {arm!r}", url, model_path(url, model), headers=headers, timeout=timeout)
    if status != 200:
        raise UnreachableError(
            f"Arm {arm!r} at {url} answers {status} when asked for the model {model!r}: "
            "check the model's name and that it is loaded."
        )
    try:
        document: dict[str, Any] = json.loads(body)
        return ModelMetadata(
            inputs=tuple(
                TensorSpec(
                    str(i["name"]),
                    str(i["datatype"]),
                    tuple(int(n) for n in i.get("shape") or ()),
                    (i.get("parameters") or {}).get("any_name") is True,
                )
                for i in document.get("inputs") or ()
            )
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnreachableError(
            f"Arm {arm!r} at {url} answers for the model {model!r}, but not with V2 metadata: "
            "check that the address is a V2 server's."
        ) from error


def get(who: str, url: str, path: str, *, headers: dict[str, str], timeout: float) -> tuple[int, bytes]:
    """One GET, status and body. Raises UnreachableError if there is no answer."""
    parts = urlsplit(url)
    if parts.hostname is None:
        raise BadLoadError(f"The address of {who}, {url!r}, is not an http or https URL.")
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=timeout, context=ssl.create_default_context()
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UnreachableError(f"{who[0].upper()}{who[1:]} at {url} does not answer: {reason}.") from error
    finally:
        connection.close()


def model_path(url: str, model: str) -> str:
    """Path of the model's metadata below a base URL, which may have a path of its own; "" names no model."""
    name = f"/{quote(model, safe='')}" if model else ""
    return f"{urlsplit(url).path.rstrip('/')}/v2/models{name}"
