"""The components: containers of Fairtrial's image, with typed inputs and outputs.

kfp reads the annotations as they are, so that they may not be put off.
"""

import os
from pathlib import Path
from typing import Optional

from kfp import dsl

#: Read as the components are defined: set FAIRTRIAL_IMAGE before they are imported.
IMAGE = os.environ.get("FAIRTRIAL_IMAGE", "fairtrial:0.1.0")


def _shell(script: str) -> list[str]:
    """A script of this package, as a command; the words that follow it are the component's."""
    return ["sh", "-c", (Path(__file__).parent / script).read_text(encoding="utf-8"), script]


@dsl.container_component
def trial(
    experiment: str,
    verdict: dsl.OutputPath(str),  # pyright: ignore[reportInvalidTypeForm]
    document: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
    summary: dsl.Output[dsl.Markdown],
    data: Optional[dsl.Input[dsl.Dataset]] = None,  # noqa: UP045 - what kfp reads
    baseline: Optional[dsl.Input[dsl.Model]] = None,  # noqa: UP045
    candidate: Optional[dsl.Input[dsl.Model]] = None,  # noqa: UP045
    data_name: str = "holdout.parquet",
    on_rollback: str = "pass",
    on_inconclusive: str = "pass",
    arguments: str = "",
):
    """Put a model version on trial.

    Args:
        experiment: The text of the experiment file.
        data: The rows to replay; `requests.data` of the experiment is `data_name`.
        baseline: A model of another step; the experiment says `modelUri: models/baseline`.
        candidate: A model of another step; the experiment says `modelUri: models/candidate`.
        data_name: What the experiment calls the rows.
        on_rollback: Whether ROLLBACK is to "fail" the step, or to "pass", for the pipeline to branch.
        on_inconclusive: The same of INCONCLUSIVE.
        arguments: Further options of `fairtrial run`, divided by blanks.
        verdict: PROMOTE, ROLLBACK or INCONCLUSIVE.
        document: verdict.json.
        report: The page with the evidence.
        summary: The verdict with its figures.
    """
    return dsl.ContainerSpec(
        image=IMAGE,
        command=_shell("trial.sh"),
        args=[
            experiment,
            data_name,
            on_rollback,
            on_inconclusive,
            verdict,
            document.path,
            report.path,
            summary.path,
            arguments,
            dsl.IfPresentPlaceholder(input_name="data", then=["--data", data.path]),
            dsl.IfPresentPlaceholder(input_name="baseline", then=["--baseline", baseline.path]),
            dsl.IfPresentPlaceholder(input_name="candidate", then=["--candidate", candidate.path]),
        ],
    )


@dsl.container_component
def score(
    model: dsl.Input[dsl.Model],
    data: dsl.Input[dsl.Dataset],
    scored: dsl.Output[dsl.Dataset],
    data_format: str = "parquet",
    arguments: str = "",
):
    """Predictions of a model for every row.

    Args:
        model: The model.
        data: The rows.
        data_format: Of the rows and of what is scored: parquet, csv or jsonl.
        arguments: Further options of `fairtrial score`, divided by blanks.
        scored: The rows with their predictions.
    """
    return dsl.ContainerSpec(
        image=IMAGE,
        command=_shell("score.sh"),
        args=[model.path, data.path, data_format, scored.path, arguments],
    )


@dsl.container_component
def pack(
    model: dsl.Input[dsl.Model],
    to: str,
    image: dsl.Output[dsl.Artifact],
    arguments: str = "",
):
    """An OCI image with the model in it, pushed to a registry.

    Args:
        model: The model.
        to: REGISTRY/NAME:TAG.
        arguments: Further options of `fairtrial pack`, divided by blanks.
        image: What was pushed, its digest too, as JSON.
    """
    return dsl.ContainerSpec(
        image=IMAGE,
        command=_shell("pack.sh"),
        args=[model.path, to, image.path, arguments],
    )
