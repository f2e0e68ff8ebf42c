"""The arguments of `fairtrial score` and of `python -m fairtrial_servers.score`, which are the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from fairtrial_servers.scoring.errors import ScoreError
from fairtrial_servers.scoring.options import Options, locate

_F = TypeVar("_F", bound=Callable[..., Any])

HELP = """Score the rows of DATA with MODEL: batch predictions, in the order of the rows, with no server.

MODEL is a file, a folder or any address that `serve` takes. DATA and OUT are .parquet, .csv or .jsonl (the
latter two also .gz), a folder of Parquet files, or sql+DATABASE-URL?table=NAME.

OUT appears when it is complete. A job that was cut off goes on where it stood when it is started again.
"""

_MANY: dict[str, Any] = {"multiple": True, "metavar": "COLUMN"}
_OPTIONS = (
    click.option("--out", required=True, help="Where the rows go with their predictions."),
    click.option("--outputs", metavar="NAME,...", default="", help="Of the model.  [default: as served]"),
    click.option("--id", "ids", **_MANY, help="A column that tells rows apart; no feature. Repeatable."),
    click.option("--target", "targets", **_MANY, help="A column with the truth; no feature. Repeatable."),
    click.option("--exclude", **_MANY, help="Another column that is no feature. Repeatable."),
    click.option("--only-predictions", is_flag=True, help="Write the --id columns and predictions only."),
    click.option("--lists", is_flag=True, help="An output of several values a row as one column of lists."),
    click.option("--prefix", default="", help="Put before the names of the prediction columns."),
    click.option(
        "--on-bad-row",
        type=click.Choice(["fail", "null"]),
        default="fail",
        show_default=True,
        help="End at the first row that the model does not take, or leave such rows without a prediction.",
    ),
    click.option("--text", **_MANY, help="A CSV column that is text, whatever its first rows are."),
    click.option("--restart", is_flag=True, help="Drop what an earlier job left of OUT, and begin anew."),
    click.option("--batch-rows", type=click.IntRange(min=1), help="Rows that are predicted at once."),
    click.option("-p", "--parameter", "parameters", multiple=True, metavar="KEY=VALUE",
                 help="A parameter of the model's runtime, such as trusted=mymodule. Repeatable."),
    click.option(
        "--engine",
        type=click.Choice(["local", "spark"]),
        default="local",
        show_default=True,
        help="This process, or Spark, where one machine is not enough.",
    ),
)  # fmt: skip


def arguments(callback: _F) -> _F:
    """Add MODEL, DATA and the options to a click command."""
    decorated: Any = callback
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    decorated = click.argument("data", metavar="DATA")(decorated)
    return click.argument("model", metavar="MODEL")(decorated)


def options_from(
    *,
    model: str,
    data: str,
    out: str,
    outputs: str,
    ids: Sequence[str],
    targets: Sequence[str],
    exclude: Sequence[str],
    text: Sequence[str],
    parameters: Sequence[str],
    **rest: Any,
) -> Options:
    """What the arguments say. Raises ScoreError."""
    pairs = [said.partition("=") for said in parameters]
    wrong = [said for said, (key, equals, _) in zip(parameters, pairs, strict=True) if not (key and equals)]
    if wrong:
        raise ScoreError(f"--parameter {wrong[0]}: write KEY=VALUE")
    return Options(
        model=model,
        data=locate(data),
        out=locate(out),
        outputs=tuple(name.strip() for name in outputs.split(",") if name.strip()),
        ids=tuple(ids),
        targets=tuple(targets),
        exclude=tuple(exclude),
        text=tuple(text),
        parameters={key: value for key, _, value in pairs},
        **rest,
    )
