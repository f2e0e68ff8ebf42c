"""MLflow's client, for its registry and for tracking."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient


def mlflow_client(uri: str | None) -> MlflowClient:
    """uri: of the server for both; MLFLOW_TRACKING_URI of the environment unless given."""
    # It prints where a run is when that ends; our standard output is one document.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)
