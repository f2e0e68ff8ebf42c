"""One control plane for all tests of a run that ask for it, and a namespace of its own for each of them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import control_plane as starting
from cluster import crds, programs
from cluster.client import Client
from cluster.control_plane import ControlPlane
from cluster.helm import Helm, program
from cluster.programs import BuildError, MissingError
from cluster.seldon_operator import SeldonOperator

_PROGRAMS = {"control_plane": "kube-apiserver", "controller_manager": "kube-controller-manager"}  # by fixture
_FOUND = pytest.StashKey[dict[str, Path | MissingError | BuildError]]()  # by fixture


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what is to be built before any test's time runs, and where a person sees how far it is."""
    found = session.config.stash.setdefault(_FOUND, {})
    if session.config.option.collectonly:
        return
    asked = {fixture for item in session.items for fixture in getattr(item, "fixturenames", ())}
    for fixture in _PROGRAMS.keys() & asked:
        try:
            programs.etcd()
            found[fixture] = programs.kubernetes(_PROGRAMS[fixture], lambda line: print(line, flush=True))
        except (MissingError, BuildError) as error:
            found[fixture] = error


@pytest.fixture(scope="session")
def control_plane(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    """A real etcd and kube-apiserver."""
    program = _program(pytestconfig, "control_plane")
    with starting.control_plane(programs.etcd(), program, tmp_path_factory.mktemp("control-plane")) as plane:
        yield plane


@pytest.fixture
def controller_manager(
    pytestconfig: pytest.Config, control_plane: ControlPlane, tmp_path: Path
) -> Iterator[None]:
    """A real kube-controller-manager, which does what the API server alone does not.

    It ends with its test: it would write the status of Deployments in which a stand-in says what is ready.
    """
    program = _program(pytestconfig, "controller_manager")
    with starting.controller_manager(program, control_plane, tmp_path):
        yield


@pytest.fixture(scope="session")
def api(control_plane: ControlPlane) -> Iterator[Client]:
    """The administrator's client."""
    client = Client(control_plane.url, control_plane.authority, control_plane.token)
    yield client
    client.close()


@pytest.fixture
def namespace(api: Client) -> str:
    """A new namespace. It is left behind: the control plane's folder goes with the test run."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name


@pytest.fixture(scope="session")
def seldon(api: Client) -> Client:
    """A client of a server that has the kinds of Seldon Core 1 and 2."""
    try:
        api.install(crds.seldon())
    except MissingError as error:
        pytest.skip(str(error))
    return api


@pytest.fixture(scope="session")
def istio(api: Client) -> Client:
    """A client of a server that has the kinds of Istio that Seldon's operator writes."""
    api.install(crds.istio())
    return api


@pytest.fixture
def seldon_operator(seldon: Client, istio: Client) -> Iterator[SeldonOperator]:
    """A stand-in for Seldon's operator, at work in every namespace."""
    operator = SeldonOperator(istio)
    operator.start()
    yield operator
    operator.stop()
    assert not operator.failures


@pytest.fixture(scope="session")
def gateway_api(api: Client) -> Client:
    """A client of a server that has the kinds of the Gateway API's standard channel."""
    try:
        api.install(crds.gateway_api())
    except MissingError as error:
        pytest.skip(str(error))
    return api


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    try:
        return Helm(program("helm"), tmp_path_factory.mktemp("helm"))
    except MissingError as error:
        pytest.skip(str(error))


def _program(config: pytest.Config, fixture: str) -> Path:
    found = config.stash[_FOUND][fixture]
    if isinstance(found, MissingError):
        pytest.skip(str(found))
    if isinstance(found, BuildError):
        pytest.fail(str(found))
    return found
