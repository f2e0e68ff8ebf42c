"""Runs SeldonDeployments on this machine."""

from fairtrial_graphs.backends.local.backend import LocalBackend

__all__ = ["LocalBackend"]
