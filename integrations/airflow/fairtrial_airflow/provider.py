"""What Airflow asks of a provider, by the entry point `apache_airflow_provider`."""

from __future__ import annotations

from importlib.metadata import metadata
from typing import Any

_INTEGRATION = "Fairtrial"


def provider_info() -> dict[str, Any]:
    """By Airflow's schema of providers (`provider_info.schema.json`)."""
    about = metadata("fairtrial-airflow")
    return {
        "package-name": "fairtrial-airflow",
        "name": _INTEGRATION,
        "description": about["Summary"],
        "versions": [about["Version"]],
        "integrations": [{"integration-name": _INTEGRATION}],
        "operators": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [
                    "fairtrial_airflow.operators.run",
                    "fairtrial_airflow.operators.model",
                    "fairtrial_airflow.operators.experiment",
                ],
            }
        ],
        "sensors": [{"integration-name": _INTEGRATION, "python-modules": ["fairtrial_airflow.sensors"]}],
        "triggers": [{"integration-name": _INTEGRATION, "python-modules": ["fairtrial_airflow.triggers"]}],
        "extra-links": ["fairtrial_airflow.links.ReportLink"],
    }
