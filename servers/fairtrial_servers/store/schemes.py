"""Chooses the store by the scheme of the address."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fairtrial_servers.addresses import is_remote, pinned, scheme, shown, wrong_with
from fairtrial_servers.errors import ModelError, ServerError
from fairtrial_servers.store.interface import Progress, Store
from fairtrial_servers.store.local import LocalStore
from fairtrial_servers.store.manifest import manifest_of
from fairtrial_servers.store.settings import settings

__all__ = ["Fetched", "fetch", "obtain", "scheme"]


@dataclass(frozen=True)
class Fetched:
    """A model on this machine. What is in the cache stays there while the object lives."""

    path: Path
    held: object = None

    def digest(self) -> str:
        """ "sha256:...", as manifest.py defines it; reads all of the model. Raises ModelError."""
        return manifest_of(self.path).digest


def obtain(uri: str, base: Path, progress: Progress | None = None, *, digest: str | None = None) -> Fetched:
    """The model at `uri`: where it is, or in the cache, fetched where it is not there or has changed.

    Plain relative paths start at `base`. `digest` ("sha256:...") is what the model must have, and lets one
    that is in the cache be used with no question to its store. Raises ModelError for an address that cannot
    be read, when there is no model there, or its store does not answer; ServerError for settings of the
    cache, or a library that is not installed.
    """
    if not uri:
        raise ModelError("the model has no address: set modelUri to a path or an address")
    if not is_remote(uri):
        found = Fetched(LocalStore(base).fetch(uri))
        if digest is not None and found.digest() != digest:
            raise ModelError(f"{found.path} has changed: it is {found.digest()}, and was {digest}")
        return found
    wrong = wrong_with(uri)
    if wrong is not None:
        raise ModelError(f"{shown(uri)} is no address of a model: expected {wrong}")
    from fairtrial_servers.store.cache import Cache

    plain, pin = pinned(uri)
    said = settings()
    store = _STORES[_family(plain)](base, said.timeout)
    entry = Cache(said).obtain(plain, store, progress or (lambda _done, _total: None), digest or pin)
    return Fetched(entry.path, entry)


def fetch(uri: str, base: Path, progress: Progress | None = None) -> Path:
    """`obtain` for the rest of this process: the model is not removed from the cache before it ends."""
    found = obtain(uri, base, progress)
    _held.append(found)
    return found.path


_held: list[Fetched] = []


def _family(uri: str) -> str:
    kind = scheme(uri)
    return "sql" if kind.startswith("sql+") else kind


def _http(base: Path, timeout: float) -> Store:
    del base
    from fairtrial_servers.store.http import HttpStore

    return HttpStore(timeout)


def _s3(base: Path, timeout: float) -> Store:
    del base
    _need("s3", "s3fs")
    from fairtrial_servers.store.s3 import S3Store

    return S3Store(timeout)


def _gcs(base: Path, timeout: float) -> Store:
    del base
    _need("gcs", "gcsfs")
    from fairtrial_servers.store.gcs import GcsStore

    return GcsStore(timeout)


def _azure(base: Path, timeout: float) -> Store:
    del base
    _need("azure", "adlfs")
    from fairtrial_servers.store.azure import AzureStore

    return AzureStore(timeout)


def _sql(base: Path, timeout: float) -> Store:
    del timeout
    _need("sql", "sqlalchemy")
    from fairtrial_servers.store.sql import SqlStore

    return SqlStore(base)


def _mlflow(base: Path, timeout: float) -> Store:
    del base
    _need("mlflow", "mlflow")
    from fairtrial_servers.store.mlflow import MlflowStore

    return MlflowStore(timeout)


def _oci(base: Path, timeout: float) -> Store:
    del base, timeout
    from fairtrial_servers.store.oci import OciStore

    return OciStore()


#: Scheme -> the store that understands it, made when it is needed: their libraries are heavy.
_STORES: dict[str, Callable[[Path, float], Store]] = {
    "http": _http,
    "https": _http,
    "s3": _s3,
    "gs": _gcs,
    **dict.fromkeys(("az", "abfs", "abfss", "wasb", "wasbs"), _azure),
    "sql": _sql,
    "models": _mlflow,
    "runs": _mlflow,
    "oci": _oci,
}


def _need(extra: str, module: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise ServerError(
            f"models at such an address are fetched with {module}, which is not installed: "
            f'pip install "fairtrial-servers[{extra}]"'
        )
