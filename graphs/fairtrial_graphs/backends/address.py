"""The address of an arm that somebody else runs. Files name it, so this imports nothing that asks there."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class Address:
    """Where an arm answers the V2 protocol: a base URL, and the model's name there if it was said."""

    url: str
    model: str | None = None

    @classmethod
    def read(cls, text: str) -> Address:
        """`https://host/base`, or with the model's name `https://host/base/v2/models/NAME`.

        Raises ValueError, with what is wrong, for any other text.
        """
        wrong = "give an address such as https://host or https://host/v2/models/NAME"
        try:
            parts = urlsplit(text)
            there = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError as error:
            raise ValueError(wrong) from error
        if not there:
            raise ValueError(wrong)
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError("an address has no password, query or fragment: credentials are headers")
        base, found, name = parts.path.partition("/v2/models/")
        if found and (not name or "/" in name):
            raise ValueError("after /v2/models/ comes the model's name, and nothing more")
        return cls(f"{parts.scheme}://{parts.netloc}{base.rstrip('/')}", unquote(name) or None)
