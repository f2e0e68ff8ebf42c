"""Chooses the store by the scheme of the address."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from fairtrial_servers.errors import ModelError
from fairtrial_servers.store.interface import Store
from fairtrial_servers.store.local import LocalStore


def _oci(_base: Path) -> Store:
    try:
        from fairtrial_servers.store.oci import OciStore
    except ModuleNotFoundError as error:
        raise ModelError(
            f"oci:// addresses are read by {error.name}, which is not installed: "
            f'pip install "fairtrial-servers[oci]"'
        ) from error
    return OciStore()


#: Scheme -> the store that understands it. "" is a plain path.
STORES: Mapping[str, Callable[[Path], Store]] = {"": LocalStore, "file": LocalStore, "oci": _oci}

# Two letters at least: `C:\models` is a path.
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):", re.IGNORECASE)


def scheme(uri: str) -> str:
    """The scheme of an address in lower case; "" for a plain path."""
    match = _SCHEME.match(uri)
    return match[1].lower() if match else ""


def fetch(uri: str, base: Path) -> Path:
    """The model at `uri` as a file or folder on this machine; plain relative paths start at `base`.

    Raises ModelError for a scheme that no store understands, or when there is no model there.
    """
    if not uri:
        raise ModelError("the model has no address: set modelUri to a path or an address")
    kind = scheme(uri)
    if kind not in STORES:
        known = ", ".join(["a path", *(f"{name}://" for name in STORES if name)])
        raise ModelError(f"{uri}: no model store reads {kind}:// addresses; supported now: {known}")
    return STORES[kind](base).fetch(uri)
