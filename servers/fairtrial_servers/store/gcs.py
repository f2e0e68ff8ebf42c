"""Models in Google Cloud Storage."""

from __future__ import annotations

import base64
import importlib
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from fairtrial_servers.store.objects import ObjectStore

# By name: they come with an extra, and the code is checked where it is not installed, too.
_gcsfs: Any = importlib.import_module("gcsfs")
_retry: Any = importlib.import_module("gcsfs.retry")
_auth: Any = importlib.import_module("google.auth.exceptions")
_aiohttp: Any = importlib.import_module("aiohttp")


class GcsStore(ObjectStore):
    """`gs://bucket/name`, or a prefix. STORAGE_EMULATOR_HOST names another endpoint than Google's."""

    denied = (PermissionError, _auth.GoogleAuthError)
    failures = (_retry.HttpError, _aiohttp.ClientError)
    credentials = "GOOGLE_APPLICATION_CREDENTIALS, `gcloud auth application-default login` or the instance"

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout

    def identity(self, uri: str) -> str:
        return f"{uri} at {os.environ.get('STORAGE_EMULATOR_HOST') or ''}"

    def connect(self, uri: str) -> tuple[Any, str]:
        parts = urlsplit(uri, allow_fragments=False)
        anonymous = {"token": "anon"} if os.environ.get("STORAGE_EMULATOR_HOST") else {}
        filesystem = _gcsfs.GCSFileSystem(
            **anonymous, timeout=self._timeout, use_listings_cache=False, skip_instance_cache=True
        )
        return filesystem, f"{parts.netloc}{parts.path}"

    def stamp(self, info: Mapping[str, Any]) -> str | None:
        return info.get("generation") or info.get("etag") or None

    def check(self, filesystem: Any, info: Mapping[str, Any], md5: bytes) -> bool:
        del filesystem
        stated = info.get("md5Hash")
        return not stated or base64.b64decode(stated) == md5
