"""Models in S3, and in what speaks its protocol. AWS_ENDPOINT_URL names another endpoint than Amazon's."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import s3fs
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
)

from fairtrial_servers.store.objects import ObjectStore

_MD5 = re.compile(r'"?([0-9a-f]{32})"?')


class S3Store(ObjectStore):
    """`s3://bucket/key`, a prefix, or one version: `s3://bucket/key?versionId=...`."""

    denied = (PermissionError, NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)
    failures = (BotoCoreError, ClientError, aiohttp.ClientError, asyncio.TimeoutError)
    credentials = "AWS's usual places; FSSPEC_S3_ANON=true reads public buckets with none"

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout

    def identity(self, uri: str) -> str:
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        return f"{uri} at {endpoint}"

    def is_fixed(self, uri: str) -> bool:
        return _version_of(uri) is not None

    def connect(self, uri: str) -> tuple[Any, str]:
        parts = urlsplit(uri, allow_fragments=False)
        version = _version_of(uri)
        filesystem = s3fs.S3FileSystem(
            version_aware=version is not None,
            use_listings_cache=False,
            skip_instance_cache=True,
            config_kwargs={
                "connect_timeout": min(self._timeout, 10),
                "read_timeout": self._timeout,
                "retries": {"max_attempts": 2},
            },
        )
        filesystem.retries = 2
        suffix = f"?versionId={version}" if version else ""
        return filesystem, f"{parts.netloc}{parts.path}{suffix}"

    def stamp(self, info: Mapping[str, Any]) -> str | None:
        return info.get("ETag") or None

    def check(self, filesystem: Any, info: Mapping[str, Any], md5: bytes) -> bool:
        stated = _MD5.fullmatch(info.get("ETag") or "")
        if stated is None or stated[1] == md5.hex():
            return True
        # The tag of an object that is encrypted with a key of the user's is no checksum.
        bucket, _, key = info["name"].partition("?")[0].partition("/")
        head = filesystem.call_s3("head_object", Bucket=bucket, Key=key)
        return head.get("ServerSideEncryption", "AES256") != "AES256" or "SSECustomerAlgorithm" in head


def _version_of(uri: str) -> str | None:
    found = parse_qs(urlsplit(uri, allow_fragments=False).query).get("versionId")
    return found[0] if found else None
