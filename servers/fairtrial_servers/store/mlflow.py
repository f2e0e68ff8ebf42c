"""Models in an MLflow registry, or logged to one of its runs: the server is MLFLOW_TRACKING_URI's.

`models:/name@alias` is looked up each time, `models:/name/version` never changes, and `runs:/id/path` is
fetched anew until the run has ended.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairtrial_servers.addresses import said, scheme, shown
from fairtrial_servers.errors import ModelError
from fairtrial_servers.store.interface import Received, UnreachableError
from fairtrial_servers.store.receiving import CHUNK, Receiver

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: MLflow's own words for "it is not there", and for "you may not".
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND", "INVALID_PARAMETER_VALUE", "ENDPOINT_NOT_FOUND")
_DENIED = ("PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED")


class MlflowStore:
    def __init__(self, timeout: float) -> None:
        self._timeout = timeout

    def identity(self, uri: str) -> str:
        from mlflow import get_registry_uri, get_tracking_uri

        return f"{uri} at {get_tracking_uri()} {get_registry_uri()}"

    def is_fixed(self, uri: str) -> bool:
        return scheme(uri) == "models" and "@" not in uri and not uri.endswith("/latest")

    def download(self, uri: str, known: str | None, receiver: Receiver) -> Received:
        with self._patience(), _in_words(uri):
            from mlflow import MlflowClient

            client = MlflowClient()
            fixed = _fixed(client, uri) if scheme(uri) == "models" else uri
            files: dict[str, int | None] = dict(_files(fixed, ""))
            lone = not files
            if lone:  # it is no folder
                files = {fixed.rpartition("/")[2]: None}
            version = _version(client, fixed, files)
            if version is not None and version == known:
                return Received(version, lone, changed=False)
            sizes = list(files.values())
            if None not in sizes:
                receiver.expect(sum(size or 0 for size in sizes), len(files))
            for path, size in files.items():
                _receive(fixed if lone else f"{fixed}/{path}", path, size, receiver)
            return Received(version, lone)

    @contextmanager
    def _patience(self) -> Generator[None]:
        """MLflow's own settings, unless they are set: it would ask for many minutes, and draw bars."""
        wanted = {
            "MLFLOW_HTTP_REQUEST_TIMEOUT": str(max(1, int(self._timeout))),
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
            "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        }
        ours = [name for name in wanted if name not in os.environ]
        os.environ.update({name: wanted[name] for name in ours})
        try:
            yield
        finally:
            for name in ours:
                os.environ.pop(name, None)


def _fixed(client: MlflowClient, uri: str) -> str:
    """models:/name/version of an alias."""
    name, at, alias = uri.removeprefix("models:/").partition("@")
    if at:
        return f"models:/{name}/{client.get_model_version_by_alias(name, alias).version}"
    name, _, version = name.partition("/")
    if version == "latest":
        found = client.search_model_versions(
            f"name='{name}'", order_by=["version_number DESC"], max_results=1
        )
        if not found:
            raise ModelError(f"there is no model at {uri}: {name} has no versions")
        return f"models:/{name}/{found[0].version}"
    if not version.isdecimal():
        raise ModelError(f"{uri}: a version is a number, and an alias is written models:/{name}@{version}")
    return uri


def _version(client: MlflowClient, fixed: str, files: dict[str, int | None]) -> str | None:
    if scheme(fixed) == "models":
        return fixed
    run = client.get_run(fixed.removeprefix("runs:/").partition("/")[0]).info
    if run.end_time is None:
        return None  # more may be logged to it
    listing = "".join(f"{path} {size}\n" for path, size in sorted(files.items()))
    return hashlib.sha256(f"{run.run_id} {run.end_time}\n{listing}".encode()).hexdigest()


def _files(uri: str, below: str) -> Iterator[tuple[str, int | None]]:
    """Path relative to the model, and size, of every file."""
    import mlflow.artifacts

    listed: list[Any] = mlflow.artifacts.list_artifacts(artifact_uri=f"{uri}/{below}" if below else uri)
    for each in listed:
        path = f"{below}/{each.path.rpartition('/')[2]}" if below else each.path.rpartition("/")[2]
        if each.is_dir:
            yield from _files(uri, path)
        else:
            yield path, each.file_size


def _receive(uri: str, path: str, size: int | None, receiver: Receiver) -> None:
    import mlflow.artifacts

    with tempfile.TemporaryDirectory(dir=receiver.folder.parent) as folder:
        fetched = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=folder))
        if not fetched.is_file() or fetched.is_symlink():
            raise ModelError(f"{receiver.what}: {path!r} is no file")
        with receiver.file(path, size) as sink, fetched.open("rb") as content:
            while chunk := content.read(CHUNK):
                sink.write(chunk)


@contextmanager
def _in_words(uri: str) -> Generator[None]:
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    where = os.environ.get("MLFLOW_TRACKING_URI") or "MLflow's default store (MLFLOW_TRACKING_URI is not set)"
    try:
        yield
    except MlflowException as error:
        why = f"{said(error, where)} (asked at {shown(where)})"
        if error.error_code in _ABSENT:
            raise ModelError(f"there is no model at {uri}: {why}") from None
        if error.error_code in _DENIED:
            raise ModelError(
                f"{uri} may not be read: {why}; credentials are MLFLOW_TRACKING_USERNAME and "
                f"MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
            ) from None
        raise UnreachableError(f"{uri} cannot be fetched: {why}") from None
    except RequestException as error:
        raise UnreachableError(f"{uri} cannot be fetched: {said(error, where)}") from None
