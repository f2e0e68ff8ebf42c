"""Where models are kept: an address goes in, files on this machine come out."""

from fairtrial_servers.store.schemes import Fetched, fetch, obtain

__all__ = ["Fetched", "fetch", "obtain"]
