"""MLflow's client, for its registry and for tracking."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient


def mlflow_client(uri: str | None, registry: str | None = None) -> MlflowClient:
    """uri: of the server, or MLFLOW_TRACKING_URI of the environment. registry: `uri` unless given."""
    # It prints where a run is when that ends; our standard output is one document.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    # By itself it would ask a server that is away for four minutes; so it is half a minute.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "4")
    from mlflow import MlflowClient

    # Of a database that does not answer it prints the traceback, and raises as well.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    return MlflowClient(tracking_uri=uri, registry_uri=registry or uri)
