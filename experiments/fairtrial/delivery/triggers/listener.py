"""The HTTP server that alerts, CloudEvents and the registry's webhooks are posted to."""

from __future__ import annotations

import hmac
import logging
import os
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path

from fairtrial.clock import Clock
from fairtrial.delivery.inbox import Inbox
from fairtrial.delivery.pipeline.model import Listen
from fairtrial.delivery.state import State, StateError
from fairtrial.delivery.triggers.server import Answer, Server, refusal
from fairtrial.delivery.triggers.told import Receiver, RefusedError
from fairtrial.errors import FairtrialError, UsageError

_PATIENCE = 15.0  # seconds for a whole request
_HEALTH = "/healthz"

_log = logging.getLogger(__name__)


class Listener:
    """Answers from threads of its own, from `start` to `stop`: with 2xx once what was told is on the disk."""

    def __init__(
        self,
        listen: Listen,
        receivers: Mapping[str, Receiver],
        folder: Path,
        clock: Clock,
        wake: Callable[[], None],
        *,
        patience: float = _PATIENCE,
    ) -> None:
        """Listens at once, and answers from `start` on.

        receivers: by path. folder: the pipeline's own, where its state is. wake: called after each message
        that was taken, from any thread. patience: seconds that a sender may take for a request.

        Raises UsageError (the port is taken, the token's variable is empty) and StateError.
        """
        self._token = _token(listen)
        self._receivers = receivers
        self._clock = clock
        self._wake = wake
        self._lock = threading.Lock()
        try:
            self._server = Server((listen.address, listen.port), self.answer, patience)
        except (OSError, OverflowError) as error:
            said = error.strerror if isinstance(error, OSError) else error
            raise UsageError(
                f"cannot listen at {listen.address}:{listen.port}: {said}; say another one in spec.listen"
            ) from error
        try:
            self._state = State(folder)  # a connection of its own: the watch writes from another thread
        except FairtrialError:
            self._server.server_close()
            raise
        self._inbox = Inbox(self._state)
        host = f"[{listen.address}]" if ":" in listen.address else listen.address
        self.url = f"http://{host}:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="listener", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """No more is taken; who was answered was answered truly. Safe without a `start`."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        with self._lock:
            self._state.close()

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Pure but for what it keeps. headers: names in lower case."""
        if path == _HEALTH:
            return _only("GET", method) or Answer(HTTPStatus.OK, {"status": "ok"})
        receiver = self._receivers.get(path)
        if receiver is None:
            known = ", ".join((*self._receivers, _HEALTH))
            return refusal(HTTPStatus.NOT_FOUND, f"nothing of the pipeline listens here; there is {known}")
        if refused := _only("POST", method) or self._unwelcome(receiver, headers):
            return refused
        return self._taken(receiver, path, headers, body)

    def _taken(self, receiver: Receiver, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        try:
            events = receiver.take(headers, body, self._clock.now())
        except RefusedError as error:
            return refusal(error.status, str(error))
        except FairtrialError as error:  # a secret that is not where the file says
            _log.error("a message to %s was not taken: %s", path, error)
            return refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the listener cannot check this now; see its log")
        try:
            with self._lock:
                fresh = self._inbox.put(events)
        except StateError as error:
            _log.error("an event was not taken: %s", error)
            return refusal(HTTPStatus.SERVICE_UNAVAILABLE, "what was told cannot be kept; tell it again")
        self._wake()
        return Answer(HTTPStatus.OK, {"new": len(fresh), "known": len(events) - len(fresh)})

    def _unwelcome(self, receiver: Receiver, headers: Mapping[str, str]) -> Answer | None:
        if "origin" in headers:
            # A page that somebody looks at on this machine must not be able to roll back.
            return refusal(HTTPStatus.FORBIDDEN, "browsers may not post here")
        if receiver.signed or self._token is None:
            return None
        scheme, _, shown = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(shown.strip().encode(), self._token):
            return None
        return refusal(HTTPStatus.UNAUTHORIZED, "expected the listener's token: Authorization: Bearer ...")


def _only(allowed: str, method: str) -> Answer | None:
    return None if method == allowed else refusal(HTTPStatus.METHOD_NOT_ALLOWED, f"expected {allowed}")


def _token(listen: Listen) -> bytes | None:
    if listen.token is None:
        return None
    token = os.environ.get(listen.token, "").strip()
    if not token or not token.isascii():
        why = "has characters that no sender can show" if token else "is empty or not set"
        raise UsageError(
            f"spec.listen.token: the environment's {listen.token} {why}, where the token should be"
        )
    return token.encode()
