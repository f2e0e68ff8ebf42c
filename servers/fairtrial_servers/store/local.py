"""Models that are already on this machine."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from fairtrial_servers.errors import ModelError


class LocalStore:
    """Paths, relative to `base`, and `file://` addresses."""

    def __init__(self, base: Path) -> None:
        self._base = base

    def fetch(self, uri: str) -> Path:
        """The path itself: nothing is copied. Raises ModelError when it is not there."""
        path = self._base / self._path(uri).expanduser()
        if not path.exists():
            raise ModelError(f"there is no model at {path}: neither a file nor a folder")
        return path

    @staticmethod
    def _path(uri: str) -> Path:
        if not uri.startswith("file:"):
            return Path(uri)
        parts = urlsplit(uri)
        if parts.netloc not in ("", "localhost"):
            raise ModelError(
                f"{uri} names the host {parts.netloc}, but files are read from this machine only: "
                f"write file:///absolute/path"
            )
        return Path(unquote(parts.path))
