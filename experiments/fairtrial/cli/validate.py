"""`fairtrial validate`: is the file right?"""

from __future__ import annotations

import click

from fairtrial.cli.output import as_json, output_option, print_json, say
from fairtrial.errors import ExitCode
from fairtrial.experiment.problems import ExperimentFileError, Problem
from fairtrial.experiment.reading import load


@click.command("validate")
@click.argument("files", nargs=-1, metavar="[FILE]...")
@output_option
def command(files: tuple[str, ...]) -> ExitCode:
    """Check experiment files (default: experiment.yaml), and the files they name.

    Tells every mistake at once, each as FILE:LINE:COLUMN FIELD: what is wrong.
    """
    results = [(file, _problems(file)) for file in files or ("experiment.yaml",)]
    for file, problems in results:
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
                    {"file": file, "valid": not problems, "problems": [p.as_json() for p in problems]}
                    for file, problems in results
                ],
            }
        )
    return ExitCode.USAGE if wrong else ExitCode.OK


def _problems(file: str) -> tuple[Problem, ...]:
    try:
        load(file)
    except ExperimentFileError as error:
        return error.problems
    return ()
