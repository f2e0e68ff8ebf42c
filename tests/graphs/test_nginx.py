"""The configuration in docs/nginx.md, in a real nginx before three stand-in models."""

import http.client
import json
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fairtrial.evidence.sources import open_source
from fairtrial_graphs.backends.local.ports import free_ports, is_free
from graphs.processes import until
from graphs.standin import SERVER
from graphs.traffic import Load
from scipy.stats import binom

PAGE = Path(__file__).parents[2] / "docs" / "nginx.md"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed (apt-get install nginx-light)"),
]


@dataclass
class Front:
    folder: Path
    url: str
    models: dict[str, subprocess.Popen[bytes]]
    ports: dict[str, int]
    nginx: subprocess.Popen[bytes]

    def ask(self, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str]]:
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=10)
        connection.request("POST", "/v2/models/wine/infer?a=1", '{"id": "1"}', headers or {})
        response = connection.getresponse()
        response.read()
        connection.close()
        return response.status, {name.lower(): value for name, value in response.getheaders()}

    def inferred(self, node: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[node], timeout=10)
        connection.request("GET", f"/v2/models/{node}")
        said = json.loads(connection.getresponse().read())
        connection.close()
        return int(said["inferred"])

    def reweigh(self, percent: int) -> None:
        file = self.folder / "nginx.conf"
        file.write_text(re.sub(r"\d+% v2", f"{percent}% v2", file.read_text()))
        file.write_text(re.sub(r"weights-\d+", f"weights-{percent}", file.read_text()))
        argv = [str(NGINX), "-p", str(self.folder), "-e", "error.log", "-c", str(file), "-s", "reload"]
        subprocess.run(argv, check=True)
        # The old worker takes a connection now and then until it has ended.
        until(
            lambda: {self.ask()[1]["x-fairtrial-revision"] for _ in range(20)} == {f"weights-{percent}"},
            10,
            "the new weights",
        )


def configuration(folder: Path, ports: dict[str, int]) -> str:
    (block,) = re.findall(r"```nginx\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    said = {"9001": "wine-1", "9002": "wine-2", "9003": "wine-3", "8080": "front"}
    for port, name in said.items():
        assert f"127.0.0.1:{port}" in block
        block = block.replace(f"127.0.0.1:{port}", f"127.0.0.1:{ports[name]}")
    block = block.replace("/var/log/nginx/", f"{folder}/")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy"))
    for kind in ("fastcgi", "scgi", "uwsgi"):
        temporary += f"{kind}_temp_path {folder}/{kind};\n"
    head = f"daemon off;\nworker_processes 1;\npid {folder}/nginx.pid;\n"
    owner = "user root;\n" if folder.owner() == "root" else ""
    return f"{owner}{head}events {{ worker_connections 1024; }}\nhttp {{\n{temporary}{block}}}\n"


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    names = ("wine-1", "wine-2", "wine-3", "front")
    ports = dict(zip(names, free_ports(4), strict=True))
    models = {
        node: subprocess.Popen(
            [
                sys.executable, "-I", "-S", str(SERVER),
                json.dumps({
                    "node": node, "port": ports[node], "uri": "", "delay": 2 if node == "wine-3" else 0
                }),
            ]
        )
        for node in names[:3]
    }  # fmt: skip
    file = tmp_path / "nginx.conf"
    file.write_text(configuration(tmp_path, ports))
    nginx = subprocess.Popen([str(NGINX), "-p", str(tmp_path), "-e", "error.log", "-c", str(file)])
    try:
        until(lambda: not any(map(is_free, ports.values())), 20, "nginx and the models to listen")
        yield Front(tmp_path, f"http://127.0.0.1:{ports['front']}", models, ports, nginx)
    finally:
        for process in (nginx, *models.values()):
            process.terminate()
            process.wait(10)


def observed(front: Front) -> list[dict[str, object]]:
    if not (front.folder / "observations.jsonl").stat().st_size:
        return []
    batches = open_source(front.folder / "observations.jsonl").batches()
    return [row for batch in batches for row in batch.to_pylist()]


def test_the_split_is_sticky_and_a_larger_share_moves_only_the_baselines_callers(front: Front):
    def arms() -> dict[str | None, str | None]:
        load = Load(front.url, count=1_000, key_of=lambda number: f"user-{number}")
        answers = load.run()
        assert {answer.status for answer in answers} == {200}
        return {answer.key: answer.arm for answer in answers}

    front.models["wine-3"].kill()  # else each connection would wait for the shadow
    before = arms()
    low, high = binom.interval(0.9999, 1_000, 0.1)
    assert low <= Counter(before.values())["v2"] <= high
    front.reweigh(20)
    after = arms()
    moved = Counter((before[key], after[key]) for key in before)
    assert moved["v2", "v1"] == 0
    assert 50 < moved["v1", "v2"] < 160
    rows = observed(front)
    assert Counter(row["arm"] for row in rows if row["segment"] == "weights-10") >= Counter(before.values())
    assert {row["status"] for row in rows} == {200}


def test_a_caller_is_given_a_cookie_and_a_tester_goes_where_he_says(front: Front):
    front.reweigh(50)
    for _ in range(20):
        _, said = front.ask()
        cookie = said["set-cookie"].split(";")[0]
        _, again = front.ask({"cookie": cookie})
        assert again["x-fairtrial-arm"] == said["x-fairtrial-arm"]
        assert "set-cookie" not in again
    front.models["wine-3"].kill()
    lines: list[int] = []

    def quiet() -> bool:
        """Whether the log has not grown for the time that the shadow may take."""
        lines.append(len(observed(front)))
        return len(lines) > 50 and lines[-50] == lines[-1]

    until(quiet, 10, "the last line")
    before = lines[-1]
    for arm in ("v1", "v2"):
        status, said = front.ask({"x-fairtrial-arm": arm})
        assert (status, said["x-fairtrial-arm"]) == (200, arm)
        assert "x-fairtrial-revision" not in said
    status, said = front.ask()  # the line of this one comes after theirs would
    until(lambda: len(observed(front)) > before, 10, "the log")
    assert len(observed(front)) == before + 1


def test_the_shadow_has_each_request_once_and_delays_no_answer(front: Front):
    begun = time.monotonic()
    for _ in range(20):
        assert front.ask()[0] == 200
    assert time.monotonic() - begun < 20  # 40 if each waited for the shadow
    until(lambda: front.inferred("wine-3") == 20, 10, "the shadow's requests")
    front.models["wine-3"].kill()
    assert front.ask()[0] == 200


def test_a_dead_model_fails_its_own_callers_only(front: Front):
    front.reweigh(50)
    front.models["wine-2"].kill()
    front.models["wine-2"].wait()
    answers = [front.ask({"x-user": f"user-{number}"}) for number in range(50)]
    seen = {(said["x-fairtrial-arm"], status) for status, said in answers}
    assert seen == {("v1", 200), ("v2", 502)}
    until(lambda: ("v2", 502) in {(row["arm"], row["status"]) for row in observed(front)}, 10, "the log")
