"""`fairtrial collect`: the evidence collector for live traffic."""

from __future__ import annotations

import click

from fairtrial.cli.output import as_json, output_option, print_json, say
from fairtrial.errors import UsageError


@click.command("collect")
@click.option(
    "--store",
    envvar="FAIRTRIAL_STORE",
    default="sqlite:///evidence.db",
    show_default=True,
    help="sqlite:///FILE, or postgresql://USER:PASSWORD@HOST/NAME; FAIRTRIAL_STORE keeps a password out of "
    "the list of processes.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one."
)
@click.option(
    "--unit",
    help="Where requests name their user: id, or a parameter of V2 (a tag of Seldon's messages); for loggers "
    "whose address does not say ?unit=NAME.  [default: nowhere]",
)
@click.option("--retention", default="24h", show_default=True, help="How long anything is kept, read or not.")
@click.option(
    "--max-waiting",
    type=click.IntRange(1, 1_000_000),
    default=20_000,
    show_default=True,
    help="Events that may wait to be stored; those beyond are answered by 503.",
)
@click.option("--name", help="Of this collector among those of one store.  [default: host and port]")
@output_option
def command(
    store: str, host: str, port: int, unit: str | None, retention: str, max_waiting: int, name: str | None
) -> None:
    """Collect what Seldon Core's request logger posts, until SIGTERM.

    Requests and responses are joined, and so is what is posted to /feedback later. An event is acknowledged
    once it is durable. Experiments with `traffic.live: {source: requestLog}` read from here.

    FAIRTRIAL_COLLECTOR_TOKEN in the environment: what readers and feedback must send as a bearer token.
    FAIRTRIAL_COLLECTOR_PATH: the secret that events are posted to, as in http://HOST/SECRET.
    """
    import os

    from fairtrial.clock import SystemClock
    from fairtrial.collect.access import Access
    from fairtrial.collect.server import Settings, serve
    from fairtrial.experiment.quantities import parse_duration

    try:
        seconds = parse_duration(retention)
    except ValueError as error:
        raise UsageError(f"--retention: {error}") from error

    def ready(url: str) -> None:
        say(f"collecting at {url}")
        if as_json():
            print_json({"url": url})

    settings = Settings(
        store,
        host,
        port,
        unit,
        retention=seconds,
        most_waiting=max_waiting,
        name=name,
        access=Access.of(os.environ),
    )
    serve(settings, SystemClock(), ready)
