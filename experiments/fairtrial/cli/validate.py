"""`fairtrial validate`: is the file right?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import click

from fairtrial.cli.output import as_json, output_option, print_json, say
from fairtrial.errors import ExitCode
from fairtrial.experiment.problems import ExperimentFileError
from fairtrial.experiment.reading import load

_SELDON = re.compile(r"""^[\s{"']*kind["']?\s*:\s*["']?SeldonDeployment\b""", re.MULTILINE)
_PIPELINE = re.compile(r"""^[{"']*kind["']?\s*:\s*["']?Pipeline\b""", re.MULTILINE)


class _Told(Protocol):
    def as_json(self) -> dict[str, str | int]: ...


@click.command("validate")
@click.argument("files", nargs=-1, metavar="[FILE]...")
@output_option
def command(files: tuple[str, ...]) -> ExitCode:
    """Check experiment files (default: experiment.yaml) and the files they name, pipeline files and the
    experiments they name, Pipelines for a cluster, or SeldonDeployments.

    Tells every mistake at once, each as FILE:LINE:COLUMN FIELD: what is wrong. What Seldon Core would take
    and then mishandle is a warning, which makes no file wrong.
    """
    checked = [(file, *_checked(file)) for file in files or ("experiment.yaml",)]
    results = [(file, problems) for file, problems, _ in checked]
    for file, problems, warnings in checked:
        for warning in warnings:
            click.echo(f"warning: {warning}", err=True)
        for problem in problems:
            click.echo(str(problem), err=True)
        if not problems:
            say(f"{file}: no mistakes")
    wrong = [file for file, problems in results if problems]
    if wrong:
        count = sum(len(problems) for _, problems in results)
        click.echo(f"error: {count} mistake{'s' if count > 1 else ''} in {', '.join(wrong)}", err=True)
    if as_json():
        print_json(
            {
                "valid": not wrong,
                "files": [
                    {
                        "file": file,
                        "valid": not problems,
                        "problems": [p.as_json() for p in problems],
                        "warnings": [w.as_json() for w in warnings],
                    }
                    for file, problems, warnings in checked
                ],
            }
        )
    return ExitCode.USAGE if wrong else ExitCode.OK


def _checked(file: str) -> tuple[Sequence[_Told], Sequence[_Told]]:
    """The problems and the warnings."""
    text = _text(Path(file))
    if _SELDON.search(text):
        from fairtrial_graphs.seldon.text import mistakes

        return mistakes(text, file)
    try:
        if _PIPELINE.search(text):
            _check_pipeline(file)
        else:
            load(file)
    except ExperimentFileError as error:
        return error.problems, ()
    return (), ()


def _check_pipeline(file: str) -> None:
    from fairtrial.delivery.pinning import load_template
    from fairtrial.delivery.pipeline.reading import is_resource
    from fairtrial.delivery.pipeline.reading import load as load_pipeline
    from fairtrial.operator.pipelines.reading import load as load_resource

    if is_resource(Path(file).read_bytes()):
        load_resource(file)
        return
    pipeline = load_pipeline(file)
    load_template(pipeline.folder / pipeline.spec.experiment)


def _text(file: Path) -> str:
    """ "" where it cannot be read, which whoever loads it says better."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return ""
