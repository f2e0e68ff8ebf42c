"""An event, and what is made of it."""

from __future__ import annotations

from fairtrial.delivery.events import Event, Happening

EVENT = Event(
    key="degraded:5ef77f1f8a3ecfb0:2026-11-28T11:00:00.123456+00:00",
    happening=Happening.ALERT,
    trigger="degraded",
    time=1795863600.123456,
    body={"summary": "accuracy fell to 0.71"},
)
NAME = "fairtrial-degraded-5ef77f1f8a3ecfb0-2026-11-28T11-00-00.123456-00-00-ddb416bc0fe9"
TOLD = {
    "key": EVENT.key,
    "happening": "alert",
    "trigger": "degraded",
    "time": "2026-11-28T11:00:00.123+00:00",
    "body": {"summary": "accuracy fell to 0.71"},
}


def never() -> bool:
    """Nothing more urgent waits."""
    return False
