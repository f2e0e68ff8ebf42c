"""MLflow's webhooks: signed messages that something happened at the registry."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus

from fairtrial.delivery.events import Event
from fairtrial.delivery.triggers.told import RefusedError

#: Seconds by which a message may be old, or its sender's clock ahead. MLflow's retries take less.
TOLERANCE = 300.0
_HEADERS = ("x-mlflow-signature", "x-mlflow-delivery-id", "x-mlflow-timestamp")
_VERSION = "v1"


class RegistryWebhook:
    """See `Receiver`. A valid message is a nudge to ask the registry at once, and no more than that.

    What the registry says is the truth, and the trigger's cursor says what of it was seen: a message that is
    lost, repeated, replayed or late changes nothing.
    """

    signed = True

    def __init__(self, secrets: Mapping[str, Callable[[], str]], nudge: Callable[[str], None]) -> None:
        """secrets: by trigger, each read when it is needed; raises UsageError. nudge: told the trigger."""
        self._secrets = secrets
        self._nudge = nudge

    def take(self, headers: Mapping[str, str], body: bytes, now: float) -> Sequence[Event]:
        """See `Receiver`. No events: they come from the poll."""
        nudged = [
            trigger for trigger, secret in self._secrets.items() if is_signed(secret(), headers, body, now)
        ]
        if not nudged:
            raise RefusedError(
                "the signature is wrong: does spec.triggers name the secret of the registry's webhook?",
                HTTPStatus.UNAUTHORIZED,
            )
        for trigger in nudged:
            self._nudge(trigger)
        return ()


def is_signed(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> bool:
    """Whether it was signed with this secret, and not long ago. Raises RefusedError where that is not said.

    The scheme is MLflow's, after Standard Webhooks: HMAC-SHA-256 of "ID.TIMESTAMP.BODY", in base64.
    """
    signature, delivery, timestamp = (headers.get(name, "") for name in _HEADERS)
    if not (signature and delivery and timestamp):
        raise RefusedError(
            "expected a signed message of MLflow; does its webhook have a secret?", HTTPStatus.UNAUTHORIZED
        )
    signed = f"{delivery}.{timestamp}.".encode("latin-1", "replace") + body
    digest = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()
    # Compared before the time is looked at: who cannot sign learns nothing of our clock.
    if not hmac.compare_digest(signature.encode(), f"{_VERSION},{digest}".encode()):
        return False
    if not (timestamp.isascii() and timestamp.isdecimal()) or abs(now - int(timestamp[:20])) > TOLERANCE:
        raise RefusedError(
            "the message is too old, or a clock is wrong: its time is more than "
            f"{TOLERANCE / 60:g} minutes from ours",
            HTTPStatus.UNAUTHORIZED,
        )
    return True
