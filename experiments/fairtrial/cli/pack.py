"""`fairtrial pack`: an image, or an artifact, with a model in it."""

from __future__ import annotations

from pathlib import Path

import click

from fairtrial.cli.output import as_json, output_option, print_json, say
from fairtrial.errors import ExitCode, UsageError


@click.command("pack")
@click.argument("model", metavar="MODEL", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--image",
    type=click.Path(path_type=Path),
    help="Write an OCI image layout here: a folder, or a .tar.",
)
@click.option(
    "--push", "to", metavar="REGISTRY/NAME:TAG", help="Push to a registry; logins are those of docker."
)
@click.option(
    "--base",
    default="",
    metavar="IMAGE",
    help="An image with Python: a layout on disk, or a reference.  [default: the official slim one]",
)
@click.option(
    "--platform",
    "platforms",
    multiple=True,
    help="linux/amd64 or linux/arm64; several make an index.  [default: this machine's]",
)
@click.option("--name", default="", help="The model's name in V2 paths.  [default: the file's or folder's]")
@click.option("--implementation", default="", help="The server's class.  [default: by the model's format]")
@click.option(
    "--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="Passed to the model server."
)
@click.option("--with", "extra", multiple=True, metavar="REQUIREMENT", help="A further Python package.")
@click.option(
    "--lock",
    type=click.Path(path_type=Path),
    help="The Python packages to install, one a line.  [default: the versions that run here]",
)
@click.option(
    "--include",
    "included",
    multiple=True,
    metavar="PATH=PLACE",
    help="A file or folder, and its absolute place in the image.",
)
@click.option("--python", default=None, metavar="3.N", help="The base's Python, where it cannot be seen.")
@click.option("--artifact", is_flag=True, help="The bare model, with no server around it.")
@click.option("--insecure", is_flag=True, help="Speak plain http to the registries.")
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    help="Where layers are kept.  [default: fairtrial/images in the user's cache]",
)
@output_option
def command(
    model: Path,
    image: Path | None,
    to: str | None,
    base: str,
    platforms: tuple[str, ...],
    name: str,
    implementation: str,
    parameters: tuple[str, ...],
    extra: tuple[str, ...],
    lock: Path | None,
    included: tuple[str, ...],
    python: str | None,
    artifact: bool,
    insecure: bool,
    cache: Path | None,
) -> ExitCode:
    """Put MODEL (a file or folder) into an image that serves it, without a container engine.

    The same input gives the same digest. An unsafe model gets no image: exit code 4.
    """
    from fairtrial.packing import Packing, pack_model

    if image is None and to is None:
        raise UsageError("say where the image goes: -o PATH, --push REGISTRY/NAME:TAG, or both")
    document = pack_model(
        Packing(
            model=model,
            image=image,
            to=to,
            base=base,
            platforms=platforms,
            name=name,
            implementation=implementation,
            parameters=_pairs(parameters, "--parameter"),
            extra_requirements=extra,
            lock=lock,
            include=tuple((Path(path), place) for path, place in _pairs(included, "--include").items()),
            python=python,
            artifact=artifact,
            insecure=insecure,
            cache=cache,
        ),
        lambda line: click.echo(line, err=True),
    )
    say(document["image"])
    if as_json():
        print_json(document)
    return ExitCode.OK


def _pairs(given: tuple[str, ...], option: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in given:
        key, equals, value = each.partition("=")
        if not equals or not key:
            raise UsageError(f"{option} {each}: expected a name, = and a value")
        found[key] = value
    return found
