"""CPU time of a request of one row, ours beside others' servers around the same model.

    uv run benchmarks/serving.py [--only ours,fastapi] [--rounds 9] [--requests 1000]

Each server is pinned to core 0, the client to core 1. One connection, kept alive, asks for the same row again
and again; what is measured is the CPU time of the server's processes, by which a shared machine is less of a
disturbance than by the clock. The servers are all up at once and take turns, round by round, so that each
ratio is of rounds that saw the same machine. Every other server runs in an environment of its own, made by uv
in `--cache` and kept there. Ends with 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import joblib
import psutil
from fairtrial_servers.launch import model_server
from serving_peers import Peer, peers
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

#: (ours, the other, the largest allowed share of the other's CPU time)
BARS = (
    ("ours", "fastapi", 1.2),
    ("ours", "mlserver", 1 / 2.4),
    ("ours", "mlserver-best", 1 / 1.3),
    ("ours-onnx", "mlserver", 1 / 2.4),
    ("ours-onnx", "mlserver-best", 1 / 1.3),
    *(
        (name, other, 1.0)
        for name in ("ours", "ours-onnx")
        for other in ("kserve", "litserve", "mlflow", "bentoml")
    ),
)


@dataclass
class Running:
    peer: Peer
    process: psutil.Process
    port: int
    log: Path

    def cpu(self) -> float:
        """Seconds of CPU time of all its processes."""
        each = [self.process, *self.process.children(recursive=True)]
        return sum(times.user + times.system for process in each for times in [process.cpu_times()])


def save_models(folder: Path) -> list[float]:
    """Write model.joblib and model.onnx; the row that is asked for."""
    from skl2onnx import to_onnx

    data, target = load_digits(return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)).fit(data[:600], target[:600])
    joblib.dump(model, folder / "model.joblib")
    onnx = to_onnx(model, data[:1].astype("float32"), options={"zipmap": False})
    (folder / "model.onnx").write_bytes(onnx.SerializeToString())
    return data[700].tolist()


def environment(peer: Peer, cache: Path) -> Path:
    """The bin folder of an environment with the peer's packages, made once."""
    if not peer.packages:
        return Path(sys.executable).parent
    name = peer.packages[0].split("=")[0].split(">")[0]
    home = cache / (
        f"{name}-onnx" if "onnx" in peer.name else f"{name}-best" if "best" in peer.name else name
    )
    python = home / "bin" / "python"
    if not (home / "complete").exists():
        print(f"installing {', '.join(peer.packages)}", file=sys.stderr)
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        subprocess.run(["uv", "venv", "--quiet", "--clear", "--python", version, str(home)], check=True)
        subprocess.run(
            [
                "uv",
                "pip",
                "install",
                "--quiet",
                "--compile-bytecode",
                "--python",
                str(python),
                *peer.packages,
            ],
            check=True,
        )
        (home / "complete").touch()
    return python.parent


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@contextlib.contextmanager
def running(peer: Peer, models: Path, cache: Path, folder: Path) -> Iterator[Running]:
    bin_ = environment(peer, cache)
    folder.mkdir()
    for file in models.iterdir():
        (folder / file.name).symlink_to(file)
    for name, text in peer.files.items():
        (folder / name).write_text(text)
    port = free_port()
    env = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **peer.env}
    env |= {"MLSERVER_HTTP_PORT": str(port), "MLSERVER_GRPC_PORT": str(free_port())}
    env |= {"MLSERVER_METRICS_PORT": str(free_port()), "PATH": f"{bin_}:{env['PATH']}"}
    if not peer.packages:
        kind = ("FAIRTRIAL_ONNX_SERVER", "onnx") if "onnx" in peer.name else ("SKLEARN_SERVER", "joblib")
        model_server(
            node="digits", implementation=kind[0], model_uri=str(models / f"model.{kind[1]}"), http_port=port,
            grpc_port=free_port(), metrics_port=free_port(), parameters={}, folder=str(folder / "settings"),
        )  # fmt: skip
    for script in peer.prepare:
        subprocess.run([f"{bin_}/python", script], cwd=folder, env=env, check=True, capture_output=True)
    log = folder / "log"
    with log.open("wb") as out:
        argv = ["taskset", "-c", "0", *peer.argv(str(bin_), port)]
        process = psutil.Popen(argv, cwd=folder, env=env, stdout=out, stderr=subprocess.STDOUT)
    try:
        yield Running(peer, process, port, log)
    finally:
        family = [*process.children(recursive=True), process]
        for each in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.terminate()
        for each in psutil.wait_procs(family, 8)[1]:
            each.kill()


def connect(to: Running) -> socket.socket:
    """A connection to a server that answers. Idle ones are closed by most, so each turn has its own."""
    deadline = time.monotonic() + 180
    while True:
        said: object = "no answer"
        with contextlib.suppress(OSError):
            connection = socket.create_connection(("127.0.0.1", to.port), timeout=60)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            said = ask(connection, to.peer.request)
            if said.startswith(b"HTTP/1.1 200"):
                return connection
            connection.close()
        if time.monotonic() > deadline or not to.process.is_running():
            raise SystemExit(f"{to.peer.name} does not answer: {said!r}\n{to.log.read_text()[-2000:]}")
        time.sleep(0.5)


def ask(connection: socket.socket, request: bytes) -> bytes:
    connection.sendall(request)
    answer = b""
    while True:
        got = connection.recv(65_536)
        if not got:
            return answer
        answer += got
        head, end, body = answer.partition(b"\r\n\r\n")
        if end:
            fields = head.lower()
            if b"\r\ntransfer-encoding: chunked" in fields:
                if body.endswith(b"0\r\n\r\n"):
                    return answer
            elif len(body) >= int(fields.split(b"content-length:", 1)[1].split(b"\r", 1)[0]):
                return answer


def measure(options: argparse.Namespace) -> dict[str, list[float]]:
    """Microseconds of CPU time a request, round by round."""
    os.sched_setaffinity(0, {1} if (os.cpu_count() or 1) > 1 else {0})
    with contextlib.ExitStack() as stack:
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        models = temporary / "models"
        models.mkdir()
        wanted = [
            peer for peer in peers(save_models(models)) if not options.only or peer.name in options.only
        ]
        servers: list[Running] = []
        for peer in wanted:
            servers.append(stack.enter_context(running(peer, models, options.cache, temporary / peer.name)))
            with connect(servers[-1]):
                print(f"{peer.name} answers", file=sys.stderr)
        spent: dict[str, list[float]] = {peer.name: [] for peer in wanted}
        for number in range(options.rounds + 1):  # the first is to warm up
            for server in servers:
                with connect(server) as connection:
                    before = server.cpu()
                    for _ in range(options.requests):
                        ask(connection, server.peer.request)
                    if number:
                        spent[server.peer.name].append(1e6 * (server.cpu() - before) / options.requests)
        return spent


def report(spent: dict[str, list[float]]) -> bool:
    """Print the table and the bars; whether all that could be judged were met."""
    ours = [name for name in ("ours", "ours-onnx") if name in spent]
    print(
        f"{'CPU a request, one row':24}{'median, us':>12}{'least':>8}"
        + "".join(f"{f'{n} = 1':>16}" for n in ours)
    )
    for name, rounds in spent.items():
        ratios = "".join(f"{ratio(rounds, spent[other]):16.2f}" for other in ours)
        print(f"{name:24}{statistics.median(rounds):12.0f}{min(rounds):8.0f}{ratios}")
    good = True
    for name, other, most in BARS:
        if name in spent and other in spent:
            share = ratio(spent[name], spent[other])
            good &= share <= most
            print(f"{name} / {other}: {share:.2f}; bar {most:.2f}: {'met' if share <= most else 'MISSED'}")
    return good


def ratio(rounds: list[float], others: list[float]) -> float:
    """The median of the ratios of rounds in turn."""
    return statistics.median(one / other for one, other in zip(rounds, others, strict=True))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cache = Path.home() / ".cache" / "fairtrial" / "benchmarks"
    parser.add_argument("--only", type=lambda said: said.split(","), help="servers, separated by commas")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=1_000, help="a round and server")
    parser.add_argument("--cache", type=Path, default=cache, help="where the environments are kept")
    return 0 if report(measure(parser.parse_args())) else 1


if __name__ == "__main__":
    sys.exit(main())
