"""`fairtrial serve`: one model, or a SeldonDeployment, on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from fairtrial.cli.output import as_json, output_option, print_json, say
from fairtrial.cli.signals import ending_on_signals
from fairtrial.errors import ExitCode


@click.command("serve")
@click.argument("what", metavar="MODEL")
@click.option("--name", default=None, help="The model's name in V2 paths.  [default: the file's or folder's]")
@click.option("--http-port", type=click.IntRange(1, 65535), help="[default: a free one]")
@click.option("--grpc-port", type=click.IntRange(1, 65535), help="[default: a free one]")
@output_option
def command(what: str, name: str | None, http_port: int | None, grpc_port: int | None) -> ExitCode:
    """Serve MODEL (a file, a folder or an address) with the Open Inference Protocol, until interrupted.

    The runtime is chosen by the model's format. A model at an address, such as s3://bucket/wine or
    models:/wine@champion, is fetched and kept in a cache. MODEL may also be a SeldonDeployment (.yaml or
    .json): all its predictors are served then, behind one address that splits the traffic as it says.
    """
    from fairtrial_servers.store.addresses import is_remote

    from fairtrial.console.fetching import fetching_told
    from fairtrial.serving import serve_manifest, serve_model

    def ready(sentence: str, document: Mapping[str, Any]) -> None:
        say(sentence)
        if as_json():
            print_json(document)

    with ending_on_signals():
        if not is_remote(what) and Path(what).suffix in {".yaml", ".yml", ".json"}:
            serve_manifest(Path(what), port=http_port, ready=ready)
            return ExitCode.OK
        with fetching_told() as fetching:
            serve_model(
                what, name=name, http_port=http_port, grpc_port=grpc_port, ready=ready, fetching=fetching
            )
    return ExitCode.OK
