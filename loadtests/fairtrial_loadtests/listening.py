"""Locust's master on an address, made to stand what strangers may send to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from locust.env import Environment
from locust.exception import RPCError
from locust.runners import MasterRunner

from fairtrial_loadtests.crew import Address
from fairtrial_loadtests.errors import BadLoadError


def listen(environment: Environment, address: Address) -> tuple[MasterRunner, Address]:
    """The master, and where it listens. Raises BadLoadError if nobody can listen there."""
    try:
        runner = environment.create_master_runner(address.location, address.port)
    except (RPCError, SystemExit) as error:  # Locust leaves by itself where the port is taken
        raise BadLoadError(
            f"Nobody can listen at {address}, which is no address of this machine, or in use by another."
        ) from error
    # What is no message of Locust's would end the greenlet that listens, and anybody may send it.
    untyped: Any = runner
    untyped.server.recv_from_client = _until_understood(runner.server.recv_from_client)
    untyped.handle_message = _ignoring(runner.handle_message)
    return runner, Address(address.host, runner.server.port)


def _until_understood(receive: Callable[[], Any]) -> Callable[[], Any]:
    def received() -> Any:
        while True:
            try:
                return receive()
            except RPCError:  # Locust knows what to do
                raise
            except Exception:  # noqa: BLE001 - whatever a stranger's bytes bring about
                continue

    return received


def _ignoring(handle: Callable[[str, Any], None]) -> Callable[[str, Any], None]:
    def handled(client_id: str, msg: Any) -> None:
        try:
            handle(client_id, msg)
        except Exception:  # noqa: BLE001 - whatever a stranger's message brings about
            return

    return handled
