"""Whether a version may be served at all: who signed it, and what its files ask for."""

from __future__ import annotations

from pathlib import Path

from fairtrial_servers.errors import ModelError, ServerError
from fairtrial_servers.errors import UnsafeModelError as UnsafeFiles
from fairtrial_servers.gate import refuse_unsafe
from fairtrial_servers.models import parse_trusted
from fairtrial_servers.safety.scan.survey import scan
from fairtrial_servers.safety.signatures import check_signature

from fairtrial.errors import UnsafeModelError, UsageError
from fairtrial.experiment.model import Experiment
from fairtrial.planning.deployment import signed_by


def examine(experiment: Experiment, model: Path) -> int:
    """Verify the signature that the experiment's candidate demands, then scan every file; how many they are.

    model: its file or folder. Raises UnsafeModelError, also for a damaged model, and UsageError where the key
    cannot be read.
    """
    candidate = experiment.spec.candidates[0]
    parameters = {key: str(value) for key, value in candidate.parameters.items()}
    try:
        if candidate.signature is not None:
            check_signature(model, signed_by(experiment, candidate, candidate.signature))
        trusted = parse_trusted(parameters) if "trusted" in parameters else frozenset[str]()
        report = scan(model, allow=trusted)
        refuse_unsafe(report)
    except (UnsafeFiles, ModelError) as error:
        raise UnsafeModelError(str(error)) from error
    except ServerError as error:
        raise UsageError(str(error)) from error
    return report.files
