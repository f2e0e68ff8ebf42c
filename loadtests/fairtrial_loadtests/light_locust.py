"""Locust without its web page until somebody asks for it.

Flask and what it draws in are a third of the time that Locust takes to import, and a load process shows
no page. A stand-in for the module `locust.web` becomes the real one at the first use of anything in it.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

_NAME = "locust.web"


class _WebUI:
    """Locust's environment imports this name at once; the page is made only by a call."""

    def __new__(cls, *arguments: Any, **options: Any) -> Any:
        return _real().WebUI(*arguments, **options)


class _DeferredModule(ModuleType):
    WebUI = _WebUI

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_real(), name)


def _real() -> Any:
    if isinstance(sys.modules.get(_NAME), _DeferredModule):
        del sys.modules[_NAME]
    return importlib.import_module(_NAME)


def defer_web_page() -> None:
    """To be called before Locust is first imported; does nothing afterwards."""
    sys.modules.setdefault(_NAME, _DeferredModule(_NAME))
