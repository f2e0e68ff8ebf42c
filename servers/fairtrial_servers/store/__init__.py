"""Where models are kept: an address goes in, files on this machine come out."""

from fairtrial_servers.store.schemes import fetch

__all__ = ["fetch"]
