"""A job on the engine that its options name."""

from __future__ import annotations

import gc
import importlib.util
from typing import TYPE_CHECKING

from fairtrial_servers.scoring.errors import ScoreError
from fairtrial_servers.scoring.options import Options
from fairtrial_servers.scoring.progress import Progress

if TYPE_CHECKING:
    from fairtrial_servers.scoring.job import Outcome


def run(options: Options, progress: Progress) -> Outcome:
    """Raises ServerError: ScoreError for data, options and output, ModelError, UnsafeModelError."""
    needs = {"pyarrow": "score"}
    if options.engine == "spark":
        needs["pyspark"] = "spark"
    if "sql" in (options.data.kind, options.out.kind):
        needs["sqlalchemy"] = "score"
    for module, extra in needs.items():
        if importlib.util.find_spec(module) is None:
            raise ScoreError(
                f'this needs {module}, which is not installed: pip install "fairtrial-servers[{extra}]"'
            )
    if options.engine == "spark":
        from fairtrial_servers.scoring.spark import score_on_spark

        return score_on_spark(options, progress)
    gc.disable()  # which goes through all that imports make again and again, and finds nothing to free
    try:
        from fairtrial_servers.scoring.job import score
    finally:
        gc.freeze()
        gc.enable()
    return score(options, progress)
