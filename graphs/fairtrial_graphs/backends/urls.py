"""Arms that somebody else runs, each at an address of its own: nothing is started, changed or ended.

There is no split between them. A manifest says which arms there are; where they are says who makes the
backend.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from fairtrial_graphs.backends.address import Address
from fairtrial_graphs.backends.interface import ArmEndpoint, Incident, NotReady, Progress, Route, Serving
from fairtrial_graphs.seldon.types import SeldonDeployment

_REFUSED = (401, 403)


class UrlBackend:
    """`arms` are where the predictors of every manifest are; `headers` are sent to the arm of that name.

    `timeout` is how many seconds an answer may take.
    """

    def __init__(
        self,
        arms: Mapping[str, Address],
        headers: Callable[[str], Mapping[str, str]] = lambda _: {},
        *,
        timeout: float = 10.0,
    ) -> None:
        self._arms = arms
        self._headers = headers
        self._timeout = timeout

    @property
    def outlives_run(self) -> bool:
        """See `Backend`: nothing was applied that could."""
        return False

    def apply(self, deployment: SeldonDeployment, route: Route, progress: Progress) -> Serving:
        """Look that every arm answers, and has its model. Raises NotReady."""
        arms: dict[str, ArmEndpoint] = {}
        for predictor in deployment.spec.predictors:
            name = predictor.name
            where = self._arms.get(name)
            if where is None:
                raise NotReady(f"nobody has said at which address {name} runs", predictor=name)
            arm = _Asked(name, where.url, self._headers(name), self._timeout)
            model = where.model or arm.find_model()
            arm.check_ready(model)
            progress(f"{name} is ready: {model} at {where.url}")
            arms[name] = ArmEndpoint(name, where.url, model)
        return Serving(url=next(iter(arms.values())).url, arms=arms, revision=route.revision)

    def incidents(self) -> Sequence[Incident]:
        """See `Backend`: what becomes of the arms is seen by the answers alone."""
        return ()

    def release(self) -> None:
        """See `Backend`: nothing was held."""

    def close(self) -> None:
        """See `Backend`: nothing was started."""


class _Asked:
    """One arm, and what it answers."""

    def __init__(self, name: str, url: str, headers: Mapping[str, str], timeout: float) -> None:
        self._name = name
        self._url = url
        self._headers = dict(headers)
        self._timeout = timeout

    def find_model(self) -> str:
        """The one model that is there, or the one that is called as the arm is. Raises NotReady."""
        status, body = self._ask("POST", "/v2/repository/index")
        there = _names_in(body) if status == 200 else []
        if len(there) == 1:
            return there[0]
        if self._name in there or self._ask("GET", f"/v2/models/{quote(self._name, safe='')}")[0] == 200:
            return self._name
        models = f"it has {', '.join(there)}" if there else "it does not list its models"
        raise self._not_ready(
            f"does not say which model is meant ({models}): give {self._url}/v2/models/NAME"
        )

    def check_ready(self, model: str) -> None:
        """Raises NotReady."""
        path = f"/v2/models/{quote(model, safe='')}"
        status, _ = self._ask("GET", f"{path}/ready")
        if status == 404:  # Not every V2 server has this; without the model it has no metadata either.
            status, _ = self._ask("GET", path)
        if status != 200:
            raise self._not_ready(f"answers {status} when asked whether the model {model} is ready")

    def _ask(self, method: str, path: str) -> tuple[int, bytes]:
        parts = urlsplit(self._url)
        assert parts.hostname is not None, "an address was read"
        if parts.scheme == "https":
            connection = http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=self._timeout, context=ssl.create_default_context()
            )
        else:
            connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=self._timeout)
        headers = {**self._headers, **({"Content-Type": "application/json"} if method == "POST" else {})}
        try:
            connection.request(method, parts.path + path, b"{}" if method == "POST" else None, headers)
            response = connection.getresponse()
            status, body = response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise self._not_ready(f"does not answer: {why}") from error
        finally:
            connection.close()
        if status in _REFUSED:
            raise self._not_ready(f"answers {status}: it wants credentials, or other ones")
        return status, body

    def _not_ready(self, why: str) -> NotReady:
        return NotReady(f"{self._name} at {self._url} {why}", predictor=self._name)


def _names_in(body: bytes) -> list[str]:
    """The models of a V2 repository index that are ready, or do not say."""
    try:
        listed: list[dict[str, Any]] = json.loads(body)
        return [str(model["name"]) for model in listed if model.get("state") in (None, "", "READY")]
    except (ValueError, TypeError, KeyError, AttributeError):
        return []
