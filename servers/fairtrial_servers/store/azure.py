"""Models in Azure's Blob Storage.

The account is in the address (`abfs://container@account.dfs.core.windows.net/path`, `wasbs://` likewise), or,
for `az://container/path`, in AZURE_STORAGE_ACCOUNT_NAME or AZURE_STORAGE_CONNECTION_STRING.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from fairtrial_servers.addresses import shown
from fairtrial_servers.errors import ModelError
from fairtrial_servers.store.objects import ObjectStore

# By name: they come with an extra, and the code is checked where it is not installed, too.
_adlfs: Any = importlib.import_module("adlfs")
_aiohttp: Any = importlib.import_module("aiohttp")
_azure: Any = importlib.import_module("azure.core.exceptions")

_ACCOUNT = re.compile(r"AccountName=([^;]+)")
_ENDPOINTS = (".dfs.core.windows.net", ".blob.core.windows.net")


class AzureStore(ObjectStore):
    denied = (PermissionError, _azure.ClientAuthenticationError)
    failures = (_azure.AzureError, _aiohttp.ClientError, ValueError)
    credentials = (
        "AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN, "
        "or what azure-identity finds"
    )

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout

    def identity(self, uri: str) -> str:
        account = os.environ.get("AZURE_STORAGE_ACCOUNT_NAME") or ""
        connection = os.environ.get("AZURE_STORAGE_CONNECTION_STRING") or ""
        return f"{uri} at {account} {connection}"

    def connect(self, uri: str) -> tuple[Any, str]:
        container, account, path = _parts(uri)
        connection = os.environ.get("AZURE_STORAGE_CONNECTION_STRING")
        connected = _ACCOUNT.search(connection) if connection else None
        if account and connected and connected[1] != account:
            raise ModelError(
                f"{shown(uri)} is in the account {account}, but AZURE_STORAGE_CONNECTION_STRING is for "
                f"{connected[1]}"
            )
        if not (account or connection or os.environ.get("AZURE_STORAGE_ACCOUNT_NAME")):
            raise ModelError(
                f"{shown(uri)} says no account: set AZURE_STORAGE_ACCOUNT_NAME or "
                f"AZURE_STORAGE_CONNECTION_STRING, or write abfs://{container}@ACCOUNT.dfs.core.windows.net/{path}"
            )
        filesystem = _adlfs.AzureBlobFileSystem(
            account_name=account,
            connection_timeout=int(min(self._timeout, 10)) or 1,
            read_timeout=int(self._timeout) or 1,
            max_concurrency=4,
            use_listings_cache=False,
            skip_instance_cache=True,
        )
        # adlfs hands no such setting on; by its own the library is silent for a minute and a half.
        retry = getattr(getattr(filesystem.service_client, "_config", None), "retry_policy", None)
        if retry is not None:
            retry.total_retries, retry.initial_backoff, retry.increment_base = 2, 0.5, 1
        return filesystem, f"{container}/{path}"

    def is_denied(self, error: BaseException) -> bool:
        return super().is_denied(error) or getattr(error, "status_code", None) in (401, 403)

    def stamp(self, info: Mapping[str, Any]) -> str | None:
        return info.get("etag") or None

    def check(self, filesystem: Any, info: Mapping[str, Any], md5: bytes) -> bool:
        del filesystem
        settings = info.get("content_settings") or {}
        stated = settings.get("content_md5")
        return not stated or bytes(stated) == md5


def _parts(uri: str) -> tuple[str, str | None, str]:
    """Container, account where the address says it, and path."""
    parts = urlsplit(uri, allow_fragments=False)
    path = parts.path.lstrip("/")
    if "@" not in parts.netloc:
        return parts.netloc, None, path
    container, _, host = parts.netloc.partition("@")
    account = next((host.removesuffix(end) for end in _ENDPOINTS if host.endswith(end)), None)
    if account is None:
        raise ModelError(
            f"{shown(uri)}: the host is ACCOUNT{_ENDPOINTS[0]} or ACCOUNT{_ENDPOINTS[1]}, not {host}"
        )
    return container, account, path
