"""The times of a cron line, on the clock of a time zone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

_FIELDS = 5
_SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)


class TimesError(ValueError):
    """The line or the zone cannot be used; the message is a sentence."""


def zone_of(name: str) -> tzinfo:
    """Raises TimesError."""
    return _zone(name)


def check_zone(name: str) -> None:
    """Raises TimesError."""
    _zone(name)


def check_cron(line: str) -> None:
    """Raises TimesError; also when cronsim is not installed."""
    if len(line.split()) != _FIELDS:
        raise TimesError(
            f'expected five fields (minute, hour, day, month, day of the week) such as "0 3 * * 1", '
            f"got {len(line.split())}"
        )
    try:
        from cronsim import CronSim, CronSimError
    except ImportError as error:
        raise TimesError(
            "a schedule needs cronsim, which is not installed: pip install 'fairtrial[watch]'"
        ) from error
    try:
        next(CronSim(line, _SOME_DAY))
    except CronSimError as error:
        raise TimesError(f'"{line}" is no cron line: {error}') from error
    except StopIteration as error:
        raise TimesError(f'"{line}" names no time that ever comes') from error


def times_after(line: str, zone: str, moment: float) -> Iterator[float]:
    """Those after a moment, in order; all in seconds since the epoch. Endless.

    In the night in which the clock is set forward, a line with fixed hours that falls into the gap comes
    right after it; in the one in which it is set back, such a line comes once.
    """
    from cronsim import CronSim

    for found in CronSim(line, datetime.fromtimestamp(moment, _zone(zone))):
        # In the hour that comes twice, cronsim begins at the first of the two.
        if (time := found.timestamp()) > moment:
            yield time


@lru_cache(maxsize=16)
def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC  # needs no database, and the schedule no care for summer time
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise TimesError(
            f'"{name}" is no time zone of the IANA database; expected a name such as "Europe/Berlin" (where '
            "there are none at all, install tzdata)"
        ) from error
