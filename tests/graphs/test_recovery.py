"""What dies is started again and told; what cannot start is told with its last words."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import psutil
import pytest
from fairtrial_graphs.backends.interface import Incident, NotReady, Route
from fairtrial_graphs.backends.local import LocalBackend
from fairtrial_graphs.backends.local import backend as backend_module
from fairtrial_graphs.backends.local import listening as listening_module
from fairtrial_graphs.backends.local import proxy as proxy_module
from fairtrial_graphs.backends.local.ports import free_ports, is_free
from fairtrial_graphs.build import Arm, build, with_weights
from graphs.processes import called, descendants, has_ended, started_since, until
from graphs.standin import Command, launcher
from graphs.traffic import Load

ARMS = [Arm("v1", "one", "STANDIN"), Arm("v2", "two", "STANDIN")]
BOTH = build("d", ARMS, {"v1": 50, "v2": 50})


def quietly(_: str) -> None:
    pass


def process_of(word: str) -> psutil.Process:
    return called(descendants(os.getpid()), word)


def await_incident(backend: LocalBackend) -> Incident:
    found: list[Incident] = []
    until(lambda: bool(found.extend(backend.incidents()) or found), 10, "an incident")
    assert len(found) == 1, found
    return found[0]


@contextmanager
def occupied() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def test_a_killed_model_is_started_again_while_the_other_answers(backend: LocalBackend):
    serving = backend.apply(BOTH, Route("r"), quietly)
    with Load(serving.url).in_background() as load:
        load.wait_for(100)
        process_of('"node": "v2"').kill()
        incident = await_incident(backend)
        until(lambda: Load(serving.arms["v2"].url, count=1).run()[0].status == 200, 10, "v2 to answer again")
        before = len(load.answers)
        load.wait_for(200)
    assert incident.predictor == "v2"
    assert incident.restarted
    assert incident.message == "the model server of v2 was killed by SIGKILL; started again (1 of 5)"
    # Failures are the dead arm's alone, and carry its name; the other had none.
    failed = [answer for answer in load.answers if answer.status != 200]
    assert {answer.arm for answer in failed} <= {"v2"}
    assert {answer.status for answer in load.answers[before + 20 :]} == {200}
    assert backend.incidents() == []


def test_a_killed_envoy_is_started_again_at_the_same_addresses_with_the_same_split(backend: LocalBackend):
    serving = backend.apply(with_weights(BOTH, {"v1": 0, "v2": 100}), Route("r"), quietly)
    envoy = process_of("bootstrap.json")
    envoy.kill()
    incident = await_incident(backend)
    assert incident.predictor is None
    assert incident.restarted
    assert incident.message == "Envoy was killed by SIGKILL; started again (1 of 5)"
    answers = Load(serving.url, count=50).run()
    assert {(a.status, a.arm, a.revision) for a in answers} == {(200, "v2", "r")}
    for name, arm in serving.arms.items():
        assert Load(arm.url, count=1).run()[0].arm == name
    again = backend.apply(BOTH, Route("r2"), quietly)
    assert (again.url, again.arms) == (serving.url, serving.arms)
    assert {a.arm for a in Load(serving.url, count=100).run()} == {"v1", "v2"}


def test_an_envoy_that_dies_just_before_a_change_is_started_again_and_told(backend: LocalBackend):
    serving = backend.apply(BOTH, Route("r"), quietly)
    process_of("bootstrap.json").kill()
    backend.apply(with_weights(BOTH, {"v1": 100, "v2": 0}), Route("r2"), quietly)
    assert {(a.status, a.arm, a.revision) for a in Load(serving.url, count=20).run()} == {(200, "v1", "r2")}
    assert await_incident(backend).restarted


def test_a_killed_guard_does_not_take_the_service_down_for_good(backend: LocalBackend):
    serving = backend.apply(BOTH, Route("r"), quietly)
    model = process_of('"node": "v1"')
    psutil.Process(model.ppid()).kill()
    incident = await_incident(backend)
    assert (incident.predictor, incident.restarted) == ("v1", True)
    until(lambda: has_ended(model), 5, "end of the first v1")
    until(lambda: Load(serving.arms["v1"].url, count=1).run()[0].status == 200, 10, "v1 to answer again")


def test_a_model_whose_port_was_taken_meanwhile_comes_back_on_another(backend: LocalBackend):
    serving = backend.apply(BOTH, Route("r"), quietly)
    first = process_of('"node": "v2"')
    port = next(c.laddr.port for c in first.net_connections("tcp") if c.status == psutil.CONN_LISTEN)
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        first.send_signal(signal.SIGKILL)
        until(lambda: _bound(thief, port), 5, "the port")
        thief.listen()
        await_incident(backend)
        until(lambda: Load(serving.arms["v2"].url, count=1).run()[0].status == 200, 20, "v2 to answer again")


def _bound(thief: socket.socket, port: int) -> bool:
    try:
        thief.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


def test_a_model_that_cannot_load_is_told_with_its_last_words_and_the_rest_is_as_it_was(
    backend: LocalBackend,
):
    serving = backend.apply(build("d", ARMS[:1]), Route("r"), quietly)
    broken = Arm(
        "v2", "two", "STANDIN", parameters={"fail": "ValueError: 7 features expected\nshutting down"}
    )
    with pytest.raises(NotReady) as error:
        backend.apply(build("d", [ARMS[0], broken], {"v1": 50, "v2": 50}), Route("r2"), quietly)
    assert error.value.predictor == "v2"
    assert "ended with exit code 3. It last said: ValueError: 7 features expected" in str(error.value)
    assert "v2.log" in str(error.value)
    assert {(a.status, a.arm, a.revision) for a in Load(serving.url, count=20).run()} == {(200, "v1", "r")}
    assert (
        len([p for p in descendants(os.getpid()) if "standin_server.py" in " ".join(p.cmdline())]) == 2
    )  # v1, its guard


def test_a_model_that_never_gets_ready_is_told_after_the_timeout(tmp_path: Path):
    arm = Arm("v1", "one", "STANDIN", parameters={"unready": "yes"})
    with LocalBackend(tmp_path, launcher, ready_timeout=1.0) as backend:
        with pytest.raises(NotReady, match=r"v1 is not ready: it was not ready after 1 s.*v1\.log"):
            backend.apply(build("d", [arm]), Route("r"), quietly)
        assert [p for p in descendants(os.getpid()) if "standin_server.py" in " ".join(p.cmdline())] == []


def test_a_port_lost_between_its_choice_and_its_use_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with occupied() as taken:
        choices = iter([(taken, *free_ports(2)), free_ports(3)])
        monkeypatch.setattr(listening_module, "free_ports", lambda _: next(choices))
        monkeypatch.setattr(listening_module, "is_free", lambda _: True)
        with LocalBackend(tmp_path, launcher) as backend:
            serving = backend.apply(build("d", ARMS[:1]), Route("r"), quietly)
            assert Load(serving.url, count=1).run()[0].status == 200


@pytest.mark.parametrize(
    "module", [backend_module, proxy_module], ids=["a listener's", "the admin address's"]
)
def test_a_port_that_envoy_lost_to_another_program_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType
):
    with occupied() as taken, LocalBackend(tmp_path, launcher) as backend:
        choices = iter([(taken,)])
        monkeypatch.setattr(module, "free_ports", lambda count: next(choices, None) or free_ports(count))
        serving = backend.apply(BOTH, Route("r"), quietly)
        assert {a.status for a in Load(serving.url, count=20).run()} == {200}
        for name, arm in serving.arms.items():
            assert Load(arm.url, count=1).run()[0].arm == name


def test_the_port_asked_for_is_the_splits(tmp_path: Path):
    (port,) = free_ports(1)
    with LocalBackend(tmp_path, launcher, front_port=port) as backend:
        assert backend.apply(build("d", ARMS[:1]), Route("r"), quietly).url == f"http://127.0.0.1:{port}"


def test_a_port_asked_for_that_is_in_use_is_told_before_anything_starts(tmp_path: Path):
    before = descendants(os.getpid())
    with occupied() as port, LocalBackend(tmp_path, launcher, front_port=port) as backend:
        with pytest.raises(NotReady, match=f"port {port} is in use by another program"):
            backend.apply(build("d", ARMS[:1]), Route("r"), quietly)
        assert started_since(before) == []


def test_a_port_asked_for_that_a_dying_run_still_holds_is_waited_for(tmp_path: Path):
    with socket.socket() as dying:
        dying.bind(("127.0.0.1", 0))
        dying.listen()
        port = dying.getsockname()[1]
        leaves = threading.Timer(0.5, dying.close)
        leaves.start()
        with LocalBackend(tmp_path, launcher, front_port=port) as backend:
            assert backend.apply(build("d", ARMS[:1]), Route("r"), quietly).url.endswith(f":{port}")
        leaves.join()


def test_what_the_launcher_refuses_leaves_nothing_running(tmp_path: Path):
    def picky(
        *,
        node: str,
        implementation: str,
        model_uri: str,
        http_port: int,
        grpc_port: int,
        metrics_port: int,
        parameters: Mapping[str, str],
        folder: str,
    ) -> Command:
        if node == "v2":
            raise LookupError("no such implementation")
        return Command([sys.executable, "-c", "import time; time.sleep(60)"])

    with LocalBackend(tmp_path, picky) as backend:
        with pytest.raises(LookupError, match="no such implementation"):
            backend.apply(BOTH, Route("r"), quietly)
        assert [p for p in descendants(os.getpid()) if "sleep(60)" in " ".join(p.cmdline())] == []


def test_free_ports_are_free_and_not_handed_out_twice():
    ports = [port for _ in range(20) for port in free_ports(3)]
    assert len(set(ports)) == len(ports)
    assert all(map(is_free, ports))
    with occupied() as port:
        assert not is_free(port)
