"""Where an MLflow server and its registry are, by one address: MLflow's own, Databricks's, Azure ML's."""

from __future__ import annotations

from importlib.metadata import entry_points

from fairtrial_servers.addresses import scheme, shown

_DATABRICKS = ("databricks", "databricks-uc")


def tracking_uri(uri: str) -> str:
    """The address for runs and their artifacts. `databricks-uc` names Unity Catalog's registry only."""
    kind, rest = _kind_and_rest(uri)
    return f"databricks{rest}" if kind in _DATABRICKS else uri


def registry_uri(uri: str, model: str) -> str:
    """The address for registered models, which is the same but on Databricks.

    There a name of three levels (catalog.schema.model) is Unity Catalog's, any other the workspace's own.
    """
    kind, rest = _kind_and_rest(uri)
    if kind not in _DATABRICKS:
        return uri
    return f"databricks-uc{rest}" if kind == "databricks-uc" or model.count(".") == 2 else f"databricks{rest}"


def in_unity_catalog(registry: str) -> bool:
    """Whether the registry takes no filter but the name, and lists versions without their tags."""
    return _kind_and_rest(registry)[0] == "databricks-uc"


def place(uri: str | None) -> str:
    """The address as it may be printed."""
    if uri is None:
        return "the address in MLFLOW_TRACKING_URI"
    return shown(uri)


def advice(uri: str) -> str:
    """What to look at where such a registry refuses."""
    kind = _kind_and_rest(uri)[0]
    if kind in _DATABRICKS:
        return (
            "the host and the token of Databricks are DATABRICKS_HOST and DATABRICKS_TOKEN, or those of the "
            "profile in ~/.databrickscfg that databricks://PROFILE names"
        )
    if kind == "azureml":
        return (
            "Azure ML takes the credentials of az login, or of AZURE_CLIENT_ID, AZURE_TENANT_ID and "
            "AZURE_CLIENT_SECRET"
        )
    return "see mlflow.trackingUri, MLFLOW_TRACKING_USERNAME and its like, and the server's log"


def lacks_plugin(uri: str) -> bool:
    """Whether MLflow needs a plugin for this address that is not installed."""
    return _kind_and_rest(uri)[0] == "azureml" and "azureml" not in {
        entry.name for entry in entry_points(group="mlflow.model_registry_store")
    }


def _kind_and_rest(uri: str) -> tuple[str, str]:
    """ "databricks", "://profile". `databricks` stands alone too."""
    return (uri, "") if uri in _DATABRICKS else (scheme(uri), uri[len(scheme(uri)) :])
