"""`--against ARM=URL`: arms that run already."""

from __future__ import annotations

from collections.abc import Sequence

import click

from fairtrial.errors import UsageError

against_option = click.option(
    "--against",
    multiple=True,
    metavar="ARM=URL",
    help="Where an arm runs already, as https://host or https://host/v2/models/NAME; say it for every arm. "
    "Nothing is deployed, promoted or rolled back. Headers, such as credentials, are taken from "
    "FAIRTRIAL_HEADERS, or FAIRTRIAL_HEADERS_<ARM>.",
)


def addresses_of(said: Sequence[str]) -> dict[str, str]:
    """By arm. Raises UsageError."""
    found: dict[str, str] = {}
    for each in said:
        arm, equals, url = each.partition("=")
        if not equals or not arm or not url:
            raise UsageError(f"--against {each}: give ARM=URL, such as v1=https://models.example")
        if arm in found:
            raise UsageError(f"--against: {arm} has two addresses")
        found[arm] = url
    return found
