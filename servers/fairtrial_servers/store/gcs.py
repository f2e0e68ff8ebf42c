"""Models in Google Cloud Storage."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import gcsfs
from gcsfs.retry import HttpError
from google.auth.exceptions import GoogleAuthError

from fairtrial_servers.store.objects import ObjectStore


class GcsStore(ObjectStore):
    """`gs://bucket/name`, or a prefix. STORAGE_EMULATOR_HOST names another endpoint than Google's."""

    denied = (PermissionError, GoogleAuthError)
    failures = (HttpError, aiohttp.ClientError)
    credentials = "GOOGLE_APPLICATION_CREDENTIALS, `gcloud auth application-default login` or the instance"

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout

    def identity(self, uri: str) -> str:
        return f"{uri} at {os.environ.get('STORAGE_EMULATOR_HOST') or ''}"

    def connect(self, uri: str) -> tuple[Any, str]:
        parts = urlsplit(uri, allow_fragments=False)
        anonymous = {"token": "anon"} if os.environ.get("STORAGE_EMULATOR_HOST") else {}
        filesystem = gcsfs.GCSFileSystem(
            **anonymous, timeout=self._timeout, use_listings_cache=False, skip_instance_cache=True
        )
        return filesystem, f"{parts.netloc}{parts.path}"

    def stamp(self, info: Mapping[str, Any]) -> str | None:
        return info.get("generation") or info.get("etag") or None

    def check(self, filesystem: Any, info: Mapping[str, Any], md5: bytes) -> bool:
        stated = info.get("md5Hash")
        return not stated or base64.b64decode(stated) == md5
