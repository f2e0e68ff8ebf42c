"""`--output json`, which every verb takes: one JSON document on stdout, and logs on stderr."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., Any])
_KEY = "fairtrial.output"


def output_option(callback: _F) -> _F:
    """Add `--output text|json`; the verb asks `as_json()` rather than taking a parameter."""
    return click.option(
        "--output",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        expose_value=False,
        is_eager=True,
        callback=_remember,
        help="For people, or one JSON document on stdout.",
    )(callback)


def _remember(ctx: click.Context, _param: click.Parameter, value: str) -> None:
    ctx.meta[_KEY] = value


def as_json(ctx: click.Context | None = None) -> bool:
    """Whether the verb that runs was told `--output json`."""
    return (ctx or click.get_current_context()).meta.get(_KEY) == "json"


def print_json(document: object) -> None:
    """Write the one document. Refuses NaN, which is not JSON."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def say(message: str) -> None:
    """A line for people: on stdout, or on stderr when that is kept for the JSON document."""
    click.echo(message, err=as_json())
