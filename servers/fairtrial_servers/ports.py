"""Takes TCP ports early, so that a server whose port is taken says so before it loads a model."""

from __future__ import annotations

import socket

from fairtrial_servers.errors import ServerError


def take(what: str, host: str, port: int) -> socket.socket:
    """A socket bound to the port but not yet listening: callers are refused until something serves it.

    `what` names its purpose. Raises ServerError when the port cannot be had.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ServerError(f"the {what} port {port} on {host} cannot be taken: {error.strerror}") from error
    return listener
