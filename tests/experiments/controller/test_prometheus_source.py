"""Live evidence from a real Prometheus, whose scrapes were made beforehand."""

from __future__ import annotations

import http.client
import subprocess
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from experiments.clocks import StoppedClock
from fairtrial.controller.live_feed import ProviderError
from fairtrial.controller.prometheus_source import Prometheus
from fairtrial.controller.scrapes import Scrapes, observations_of
from fairtrial.errors import UsageError
from servers.store.programs import free_port, running

_NOON = 1_795_867_200  # 2026-11-28T12:00:00Z
_EDGES = (0.005, 0.01, 0.05, 0.1)
_SELECTOR = 'requests_seconds_bucket{deployment_name="wine"}'
_SCRAPES = 40
_INTERVAL = 15
#: New requests at each scrape, by their latency in seconds.
_LATENCIES = (0.003, 0.004, 0.007, 0.03, 0.03, 0.08, 3.0)


def _told_from(pod: int) -> tuple[int, int]:
    """When a pod is scraped. The second of v2 takes over from the first; between them nobody is there."""
    return {1: (-20, _SCRAPES), 2: (-20, 20), 3: (24, _SCRAPES)}[pod]


def _openmetrics() -> str:
    """Pods 1 (v1), 2 and 3 (v2); pod 2 is restarted at scrape 10, and not seen at scrape 15."""
    lines = ["# TYPE requests_seconds histogram"]
    for pod, arm, code in ((1, "v1", "200"), (2, "v2", "200"), (2, "v2", "500"), (3, "v2", "200")):
        of_scrape = _LATENCIES if code == "200" else (0.007,)
        begin, end = _told_from(pod)
        for le in (*_EDGES, float("inf")):
            bound = "+Inf" if le == float("inf") else f"{le:g}"
            labels = f'deployment_name="wine",predictor_name="{arm}",pod="{pod}",code="{code}",le="{bound}"'
            for scrape in range(begin, end):
                if pod == 2 and scrape == 15:
                    continue
                began = 10 if pod == 2 and scrape >= 10 else begin
                count = (scrape - began + 1) * sum(latency <= le for latency in of_scrape)
                moment = _NOON + scrape * _INTERVAL - 3
                lines.append(f"requests_seconds_bucket{{{labels}}} {count} {moment}")
    # What is of one series must stand together, in order of time.
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "told.txt").write_text(_openmetrics())
    try:
        made = subprocess.run(
            ["promtool", "tsdb", "create-blocks-from", "openmetrics", "told.txt", "data"],
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("there is no Prometheus here: apt-get install prometheus")
    assert made.returncode == 0, made.stderr
    (folder / "prometheus.yml").write_text("{}")
    port = free_port()
    argv = [
        "prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data",
        f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=100y",
    ]  # fmt: skip
    with running(argv, lambda: _ready(port), folder):
        yield f"http://127.0.0.1:{port}"


def _ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/-/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def source(server: str, clock: StoppedClock, **more: object) -> Prometheus:
    known: dict[str, object] = {"since": float(_NOON), "interval": float(_INTERVAL)}
    selector = str(more.pop("selector", _SELECTOR))
    return Prometheus(server, selector, clock, **(known | more))  # type: ignore[arg-type]


def whole(server: str) -> pa.Table:
    clock = StoppedClock(_NOON + 3600.0)
    reading = source(server, clock).read(None)
    assert not reading.more
    return reading.table


def test_each_request_between_two_scrapes_is_an_observation(server: str):
    table = whole(server)
    counts = Counter(zip(table.column("arm").to_pylist(), table.column("status").to_pylist(), strict=True))
    new = len(_LATENCIES)
    assert counts["v1", 200] == new * 39  # scrapes 1 to 39: what was counted by noon is not ours
    # v2 has scrapes 1 to 19 of its first pod, whose restart lost nothing here, and 24 to 39 of its second.
    assert counts["v2", 200] == new * (19 + 16)
    assert counts["v2", 500] == 19
    first = table.filter(pa.compute.and_(
        pa.compute.equal(table.column("sequence"), (_NOON + _INTERVAL) * 1000),
        pa.compute.equal(table.column("arm"), "v1"),
    ))  # fmt: skip
    spread = [0.00125, 0.00375, 0.0075, 0.02, 0.04, 0.075, 0.2]
    np.testing.assert_allclose(sorted(first.column("latency").to_pylist()), spread)
    assert np.all(np.diff(table.column("time").to_numpy()) >= 0)


def test_read_as_time_goes_on_and_again_after_a_kill_it_is_the_same(server: str):
    at_once = whole(server)
    clock = StoppedClock(float(_NOON))
    reader = source(server, clock)
    after: int | None = None
    parts = []
    for turn in range(120):
        clock.sleep(10.0)
        if turn % 7 == 0:
            reader = source(server, clock)  # killed, and begun again where the parts end
        table = reader.read(after).table
        if table.num_rows:
            parts.append(table)
            after = int(table.column("sequence")[-1].as_py())
    assert len(parts) > 20
    assert pa.concat_tables(parts).equals(at_once)


def test_an_slo_must_be_an_edge(server: str):
    clock = StoppedClock(_NOON + 3600.0)
    assert source(server, clock, levels=[0.05]).read(None).table.num_rows
    with pytest.raises(
        UsageError, match=r"no edge \(le\) at the SLO of 0.2 s; there are 0.005, 0.01, 0.05, 0.1"
    ):
        source(server, clock, levels=[0.2]).read(None)


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        ("requests_seconds_bucket{", "cannot answer for requests_seconds_bucket{: "),
        ("sum by (predictor_name) (requests_seconds_bucket)", "cannot answer for"),
    ],
)
def test_a_selector_that_is_none_is_told(server: str, selector: str, words: str):
    with pytest.raises(UsageError, match=words):
        source(server, StoppedClock(_NOON + 3600.0), selector=selector).read(None)


def test_nothing_to_be_seen_is_no_error_and_nobody_there_is_an_outage(server: str):
    clock = StoppedClock(_NOON + 3600.0)
    assert source(server, clock, selector="nothing_bucket").read(None).table.num_rows == 0
    with pytest.raises(ProviderError, match="does not answer: "):
        source(f"http://127.0.0.1:{free_port()}", clock).read(None)


def test_a_bucket_that_is_behind_the_one_below_it_loses_nothing():
    def labels(le: str) -> frozenset[tuple[str, str]]:
        return frozenset({("arm", "v1"), ("le", le)})

    moments = np.array([10.0, 20.0])
    buckets = {labels("1"): np.array([5.0, 8.0]), labels("+Inf"): np.array([4.0, 9.0])}
    table = observations_of(Scrapes(moments, buckets, {}))
    assert Counter(table.column("time").to_pylist()) == {10.0: 5, 20.0: 5}


def test_codes_of_grpc_are_answers_and_failures():
    def status(code: str) -> int:
        labels = frozenset({("predictor_name", "v1"), ("le", "+Inf"), ("code", code)})
        table = observations_of(Scrapes(np.array([1.0]), {labels: np.array([1.0])}, {}))
        return table.column("status")[0].as_py()

    assert [status(code) for code in ("200", "503", "OK", "Unavailable")] == [200, 503, 200, 500]
