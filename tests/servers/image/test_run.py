"""The packed image really runs: unpacked by another tool, entered as its own user, and asked over REST.

The image is made of this machine's Python as base and of wheels from the package index.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import joblib
import numpy as np
import pytest
from fairtrial_servers.image.layout import write_layout
from fairtrial_servers.image.platforms import own_platform
from servers.image.base import make_base, why_no_base

pytest.importorskip("uv", reason="needs uv: uv sync --group image")

from fairtrial_servers.image.pack import Request, pack

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.geteuid() != 0, reason="entering a root file system needs root"),
    pytest.mark.skipif(shutil.which("umoci") is None, reason="umoci is not installed"),
    pytest.mark.skipif(bool(why_no_base()), reason=why_no_base() or "-"),
]


@pytest.fixture(scope="module")
def built(digits_file, tmp_path_factory):
    """The image as a layout, its size in bytes and the seconds that it took."""
    folder = tmp_path_factory.mktemp("image")
    base = make_base(folder / "base", own_platform())
    began = time.monotonic()
    packed = pack(Request(model=digits_file, base=str(base)), folder / "work", cache=folder / "cache")
    write_layout(folder / "image", packed.root, packed.files(), "digits")
    print(f"\nimage: {packed.size / 1e6:.1f} MB, packed in {time.monotonic() - began:.1f} s")
    return folder, base, packed


@pytest.fixture(scope="module")
def root(built) -> Path:
    """The image's root file system, unpacked with every digest checked."""
    folder = built[0]
    subprocess.run(
        ["umoci", "unpack", "--image", f"{folder / 'image'}:digits", str(folder / "bundle")],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder / "bundle" / "rootfs"


@contextmanager
def running(
    root: Path, log: Path, **environment: str
) -> Iterator[tuple[dict[str, object], subprocess.Popen[str]]]:
    """The image's entrypoint as process 1 of its own, read-only but for /tmp, as the user that it names."""
    config = json.loads((root.parent / "config.json").read_text())["process"]
    user = f"{config['user']['uid']}:{config['user']['gid']}"
    inside = (
        'mount --bind "$1" "$1" && mount -t proc proc "$1/proc" && mount --bind /dev "$1/dev" '
        '&& mount -t tmpfs tmpfs "$1/tmp" '
        '&& mount -o remount,bind,ro "$1" && exec /usr/sbin/chroot --userspec="$2" "$1" "${@:3}"'
    )
    for name in ("dev", "proc", "tmp"):
        (root / name).mkdir(exist_ok=True)
    env = {**dict(each.split("=", 1) for each in config["env"]), **environment}
    with log.open("w") as err:
        process = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", inside, "-", str(root),
             user, *config["args"]],
            env=env, stdout=subprocess.PIPE, stderr=err, text=True,
        )  # fmt: skip
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, log.read_text()
        yield json.loads(line), process
    finally:
        # The wish to die with its parent, which --kill-child makes, is lost when the user changes.
        if process.poll() is None:
            os.kill(_first_process(process), signal.SIGKILL)
        process.wait(10)
        process.stdout.close()


def _first_process(unshare: subprocess.Popen[str]) -> int:
    (child,) = Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children").read_text().split()
    return int(child)


def _ports(free_ports) -> dict[str, str]:
    http, grpc, metrics = free_ports(3)
    return {
        "MLSERVER_HTTP_PORT": str(http),
        "MLSERVER_GRPC_PORT": str(grpc),
        "PREDICTIVE_UNIT_METRICS_SERVICE_PORT": str(metrics),
    }


def _predict(http: str, name: str, rows: np.ndarray) -> list[object]:
    sent = {"name": "x", "shape": list(rows.shape), "datatype": "FP64", "data": rows.ravel().tolist()}
    answer = httpx.post(
        f"http://127.0.0.1:{http}/v2/models/{name}/infer", json={"inputs": [sent]}, timeout=60
    )
    return answer.raise_for_status().json()["outputs"][0]["data"]


def test_the_image_serves_the_model_inside_as_its_own_user_and_ends_on_a_signal(
    root, tmp_path, free_ports, digits, digits_model
):
    ports = _ports(free_ports)
    began = time.monotonic()
    with running(root, tmp_path / "log", **ports) as (ready, process):
        print(f"\nready after {time.monotonic() - began:.1f} s")
        assert ready["model"] == "model"
        rows = digits[0][:20]
        assert _predict(ports["MLSERVER_HTTP_PORT"], "model", rows) == digits_model.predict(rows).tolist()
        child = _first_process(process)
        status = Path(f"/proc/{child}/status").read_text()
        assert "Uid:\t8888\t8888" in status
        os.kill(child, signal.SIGTERM)
        assert process.wait(15) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_the_image_serves_the_model_that_the_operator_mounts_under_the_operators_names(
    root, tmp_path, free_ports, digits
):
    from sklearn.dummy import DummyClassifier

    mount = root / "mnt" / "models"
    mount.mkdir(parents=True, exist_ok=True)
    joblib.dump(DummyClassifier(strategy="constant", constant=7).fit(*digits), mount / "model.joblib")
    ports = _ports(free_ports)
    as_the_operator = {
        **ports,
        "MLSERVER_MODEL_NAME": "classifier",
        "MLSERVER_MODEL_IMPLEMENTATION": "mlserver_sklearn.SKLearnModel",
        "MLSERVER_MODEL_VERSION": "v1",
        "MLSERVER_MODEL_URI": "/mnt/models",
        "PREDICTIVE_UNIT_PARAMETERS": json.dumps(
            [{"name": "predict_fn", "value": "predict", "type": "STRING"}]
        ),
    }
    try:
        with running(root, tmp_path / "log", **as_the_operator) as (ready, _process):
            assert ready["model"] == "classifier"
            assert _predict(ports["MLSERVER_HTTP_PORT"], "classifier", digits[0][:3]) == [7, 7, 7]
    finally:
        (mount / "model.joblib").unlink()


def test_the_next_version_costs_seconds_and_is_the_same_image_whoever_packs_it(built, digits_file, tmp_path):
    folder, base, first = built
    began = time.monotonic()
    again = pack(Request(model=digits_file, base=str(base)), tmp_path / "work", cache=folder / "cache")
    print(f"\npacked again in {time.monotonic() - began:.1f} s")
    assert again.root.digest == first.root.digest
