"""`fairtrial serve`: one model, or a SeldonDeployment, on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from fairtrial.cli.output import as_json, output_option, print_json, say
from fairtrial.cli.signals import ending_on_signals
from fairtrial.errors import ExitCode, UsageError


@click.command("serve")
@click.argument("what", metavar="MODEL")
@click.option("--name", default=None, help="The model's name in V2 paths.  [default: the file's or folder's]")
@click.option("--http-port", type=click.IntRange(1, 65535), help="[default: a free one]")
@click.option("--grpc-port", type=click.IntRange(1, 65535), help="[default: a free one]")
@click.option(
    "--stand-in",
    "stand_ins",
    metavar="IMAGE=COMMAND",
    multiple=True,
    help="Run COMMAND for containers of a SeldonDeployment with this image (* is any text). Repeatable.",
)
@click.option(
    "--stand-ins",
    "stand_ins_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The same from a YAML file that maps images to commands.",
)
@click.option(
    "--access-log",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Write each request through a SeldonDeployment's split there, for `judge --data FOLDER`.",
)
@output_option
def command(
    what: str,
    name: str | None,
    http_port: int | None,
    grpc_port: int | None,
    stand_ins: tuple[str, ...],
    stand_ins_file: Path | None,
    access_log: Path | None,
) -> ExitCode:
    """Serve MODEL (a file, a folder or an address) with the Open Inference Protocol, until interrupted.

    The runtime is chosen by the model's format. A model at an address, such as s3://bucket/wine or
    models:/wine@champion, is fetched and kept in a cache. MODEL may also be a SeldonDeployment (.yaml or
    .json): all its predictors and their graphs are served then, behind one address that splits the traffic
    as it says. What it has in container images is run by the commands that --stand-in gives; they find
    their port in PREDICTIVE_UNIT_SERVICE_PORT, as seldon-core-microservice does.
    """
    from fairtrial_servers.addresses import is_remote

    from fairtrial.console.fetching import fetching_told
    from fairtrial.serving import serve_manifest, serve_model
    from fairtrial.stand_ins import stand_ins_from

    def ready(sentence: str, document: Mapping[str, Any]) -> None:
        say(sentence)
        if as_json():
            print_json(document)

    def tell(sentence: str) -> None:
        click.echo(sentence, err=True)

    with ending_on_signals():
        if not is_remote(what) and Path(what).suffix in {".yaml", ".yml", ".json"}:
            commands = stand_ins_from(stand_ins, stand_ins_file)
            serve_manifest(
                Path(what), port=http_port, stand_ins=commands, access_log=access_log, ready=ready, tell=tell
            )
            return ExitCode.OK
        if access_log is not None:
            raise UsageError(f"--access-log is for the split of a SeldonDeployment, and {what} is a model")
        with fetching_told() as fetching:
            serve_model(
                what, name=name, http_port=http_port, grpc_port=grpc_port, ready=ready, fetching=fetching
            )
    return ExitCode.OK
