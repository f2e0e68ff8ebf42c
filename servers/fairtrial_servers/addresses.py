"""Addresses of models: their schemes, what may be wrong with one, and what of it may be shown to people.

Pure and light: an experiment file is checked with it before anything is fetched.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

#: What is read, by scheme; each with an example. `sql+` stands for all dialects of SQLAlchemy.
EXAMPLES: Mapping[str, str] = {
    "file": "file:///srv/models/wine.joblib",
    "http": "http://models.example.com/wine.joblib",
    "https": "https://models.example.com/wine.joblib",
    "s3": "s3://bucket/models/wine",
    "gs": "gs://bucket/models/wine",
    "az": "az://container/models/wine",
    "abfs": "abfs://container@account.dfs.core.windows.net/models/wine",
    "abfss": "abfss://container@account.dfs.core.windows.net/models/wine",
    "wasb": "wasb://container@account.blob.core.windows.net/models/wine",
    "wasbs": "wasbs://container@account.blob.core.windows.net/models/wine",
    "models": "models:/wine@champion",
    "runs": "runs:/0f1e2d/model",
    "oci": "oci://registry.example.com/models/wine:7",
    "sql+": "sql+postgresql+psycopg://user@host/database?key=wine",
}
_AZURE = ("az", "abfs", "abfss", "wasb", "wasbs")
_MLFLOW = {
    "models": (r"models:/[^/@]+(@[^/@]+|/[^/@]+)", "models:/name@alias or models:/name/version"),
    "runs": (r"runs:/[^/]+/.*[^/]", "runs:/id/path"),
}

# Two letters at least: `C:\models` is a path.
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):", re.IGNORECASE)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://[^\s'\"<>]+")
#: Parameters of a query that say which model is meant, and let nobody in.
_HARMLESS = frozenset({"table", "key", "keycolumn", "contentcolumn", "filecolumn", "file", "versionid"})
_SECRETS = (
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_CONNECTION_STRING", "AZURE_CLIENT_SECRET", "AZURE_STORAGE_CLIENT_SECRET", "PGPASSWORD",
    "FAIRTRIAL_SQL_PASSWORD", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN",
)  # fmt: skip
_PINNED = re.compile(r"#sha256=([0-9a-f]{64})$")
_HIDDEN = "***"


def scheme(uri: str) -> str:
    """The scheme of an address in lower case; "" for a plain path."""
    match = _SCHEME.match(uri)
    return match[1].lower() if match else ""


def is_remote(uri: str) -> bool:
    """Whether the model has to be fetched, rather than being on this machine's disk."""
    return scheme(uri) not in ("", "file")


def pinned(uri: str) -> tuple[str, str | None]:
    """An address without its `#sha256=...`, and the digest that stands there: "sha256:..."."""
    found = _PINNED.search(uri) if is_remote(uri) else None
    return (uri[: found.start()], f"sha256:{found[1]}") if found else (uri, None)


def wrong_with(uri: str) -> str | None:
    """What is wrong with an address by itself, to follow "expected ..."; None if it can be looked up."""
    kind = scheme(uri)
    if not uri.strip():
        return "a path or an address, got nothing"
    if kind and kind not in EXAMPLES and not kind.startswith("sql+"):
        return f'a path or an address, got "{kind}:"{_meant(kind)}'
    if kind == "file" and not uri.startswith("file:///"):
        return 'three slashes, as in file:///srv/models, after "file:"'
    if kind in _MLFLOW:
        pattern, form = _MLFLOW[kind]
        return None if re.fullmatch(pattern, pinned(uri)[0]) else f"{form}, got {shown(uri)!r}"
    return _wrong_with_url(kind, uri) if is_remote(uri) else None


def _wrong_with_url(kind: str, uri: str) -> str | None:
    try:
        parts = urlsplit(pinned(uri)[0])
        _ = parts.port if kind not in _AZURE else None
    except ValueError:
        return f"an address such as {EXAMPLES.get(kind, EXAMPLES['sql+'])}, got one that cannot be read"
    if kind.startswith("sql+"):
        there = dict(parse_qsl(parts.query)).get("key")
        return None if there else f"the model's key in the query, as in {EXAMPLES['sql+']}"
    whole = parts.netloc and parts.path.strip("/")
    return None if whole else f"an address such as {EXAMPLES[kind]}, got {shown(uri)!r}"


def credentials_in(uri: str) -> bool:
    """Whether somebody who reads the address could use it: a password, a signature, a token."""
    return bool(list(_secrets_of(uri)))


def shown(uri: str) -> str:
    """The address as it may be printed: no user, no password, no value of a query but harmless ones."""
    kind = scheme(uri)
    try:
        parts = urlsplit(uri)
    except ValueError:
        return f"{kind}:{_HIDDEN}"
    if kind in ("", "file") or (kind in _MLFLOW and not parts.netloc):
        return uri
    host = parts.netloc if kind in _AZURE and _is_container(parts) else parts.netloc.rpartition("@")[2]
    said = "&".join(
        f"{name}={value if name.lower() in _HARMLESS else _HIDDEN}"
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    )
    # what stands behind the # of a registry's address is a path in the image
    pin = f"#{parts.fragment}" if parts.fragment and (kind == "oci" or _PINNED.search(uri)) else ""
    slashes = "//" if host or uri[len(kind) + 1 :].startswith("//") else ""
    return f"{kind}:{slashes}{host}{parts.path}{'?' + said if said else ''}{pin}"


def without_secrets(text: str, uri: str = "") -> str:
    """One line of somebody else's words, with no credentials of `uri`, or of the environment, in it."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    line = _URL.sub(lambda found: shown(found[0]), line)
    known = [*_secrets_of(uri), *(os.environ.get(name, "") for name in _SECRETS)]
    for secret in sorted({s for s in known if len(s) > 2}, key=len, reverse=True):
        line = line.replace(secret, _HIDDEN)
    return line[:300]


def said(error: BaseException, uri: str) -> str:
    """Why a library failed, in its words, fit to be shown."""
    return without_secrets(str(error), uri) or type(error).__name__


def model_name(uri: str) -> str:
    """What the model at an address, or the file or folder at a path, may be called."""
    kind = scheme(uri)
    if kind in ("", "file"):
        return Path(unquote(urlsplit(uri).path) if kind else uri).absolute().stem
    parts = urlsplit(pinned(uri)[0])
    if kind.startswith("sql+"):
        return dict(parse_qsl(parts.query)).get("key") or "model"
    if kind == "models":
        return re.split("[/@]", parts.path.strip("/"))[0]
    last = unquote(parts.path.rstrip("/").rpartition("/")[2]) or parts.netloc.partition("@")[0]
    return re.sub(r"(\.tar)?\.[A-Za-z][A-Za-z0-9]*$", "", last) or last


def names(kinds: Iterable[str]) -> str:
    """Schemes, for a message."""
    return ", ".join(
        f"{k}<dialect>://" if k == "sql+" else f"{k}:/" if k in _MLFLOW else f"{k}://" for k in kinds
    )


def _secrets_of(uri: str) -> Iterator[str]:
    """The password, and what in the query tells of letting somebody in, as written and as meant."""
    if not is_remote(uri):
        return
    try:
        parts = urlsplit(uri)
    except ValueError:
        return
    user, at, _ = parts.netloc.rpartition("@")
    if at and not (scheme(uri) in _AZURE and _is_container(parts)):
        password = user.partition(":")[2]
        # A lone name lets nobody in, but as a user of http it often is a token.
        for secret in (password, user if not password and not scheme(uri).startswith("sql+") else ""):
            if secret:
                yield from (secret, unquote(secret))
    for pair in parts.query.split("&"):
        name, _, value = pair.partition("=")
        if value and _lets_in(name):
            yield from (value, unquote(value))


_TELLING = re.compile(
    r"sig|token|secret|passw|pwd|credential|auth|(api|access|account)[-_]?key|(^|[-_.])key$", re.IGNORECASE
)


def _lets_in(name: str) -> bool:
    return name.lower() not in _HARMLESS and bool(_TELLING.search(name))


def _is_container(parts: SplitResult) -> bool:
    """In Azure's addresses what stands before the @ is the container, with no password."""
    return ":" not in parts.netloc.rpartition("@")[0]


def _meant(kind: str) -> str:
    if kind in ("sql", "postgresql", "postgres", "mysql", "sqlite", "mssql", "oracle"):
        return f"; a model in a database is {EXAMPLES['sql+']}"
    if kind in ("s3a", "s3n"):
        return ', did you mean "s3://"?'
    if kind == "gcs":
        return ', did you mean "gs://"?'
    known = [name for name in EXAMPLES if name != "sql+"]
    close = difflib.get_close_matches(kind, known, n=1, cutoff=0.5)
    if close:
        return f', did you mean "{names(close)}"?'
    return f"; known are {names(EXAMPLES)}"
