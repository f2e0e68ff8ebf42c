"""Scanners of model files on the same hostile and honest ones: ours, picklescan, fickling and modelscan.

The corpus is the one of the tests: tests/servers/safety/hostile.py, and the estimators of test_safety.py.
Each of the others runs by `uv run --isolated --with`, in an environment of its own, once for each model.
What counts is its exit code: 0 says safe, 1 that it found something, any other that it cannot say.

    uv run python benchmarks/scanners.py
"""

from __future__ import annotations

import argparse
import json
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import joblib
import skops.io

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from fairtrial_servers.safety.scan.survey import scan
from servers.safety import hostile
from servers.test_safety import HONEST

#: Name -> packages, and the command that scans one file or folder with exit code 0 for safe.
PEERS = {
    "picklescan": (["picklescan==1.0.5"], ["picklescan", "-p", "{}"]),
    "fickling": (["fickling"], ["fickling", "--check-safety", "{}"]),
    "modelscan": (["modelscan", "h5py"], ["modelscan", "-p", "{}"]),
}
_RUN_ALL = """
import json, os, subprocess, sys
command, targets = json.loads(sys.argv[1]), json.load(sys.stdin)
command[0] = os.path.join(os.path.dirname(sys.executable), command[0])
codes = []
for target in targets:
    argv = [part.format(target) for part in command]
    try:
        codes.append(subprocess.run(argv, capture_output=True, timeout=120).returncode)
    except subprocess.TimeoutExpired:
        codes.append(-1)
print(json.dumps(codes))
"""


def write_honest(folder: Path) -> list[Path]:
    folder.mkdir()
    paths: list[Path] = []
    for number, model in enumerate(HONEST.values()):
        joblib.dump(model, folder / f"{number}.joblib", compress=3 if number % 2 else 0)
        (folder / f"{number}.pkl").write_bytes(pickle.dumps(model))
        skops.io.dump(model, folder / f"{number}.skops")
    paths += sorted(folder.iterdir())
    return paths


def of_peer(name: str, targets: list[Path]) -> list[int]:
    """The exit code for each."""
    packages, command = PEERS[name]
    extra = [part for package in packages for part in ("--with", package)]
    argv = ["uv", "run", "--no-project", "--isolated", *extra, "python", "-c", _RUN_ALL, json.dumps(command)]
    done = subprocess.run(
        argv,
        input=json.dumps([str(target) for target in targets]),
        capture_output=True,
        text=True,
        check=True,
    )
    return [int(code) for code in json.loads(done.stdout.splitlines()[-1])]


def _counts(codes: list[int]) -> str:
    return f"{codes.count(1)} / {sum(code not in (0, 1) for code in codes)}"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=["ours", *PEERS], action="append", help="default: all")
    parser.add_argument("--missed", action="store_true", help="list what each lets through")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bad = list(hostile.write(folder / "hostile", folder / "ran").values())
        good = write_honest(folder / "honest")
        print(
            f"{'found / cannot say':12}"
            f"{f'of {len(bad)} hostile':>18}{f'of {len(good)} honest':>24}{'seconds':>10}"
        )
        perfect = True
        for scanner in options.only or ["ours", *PEERS]:
            begun = time.monotonic()
            if scanner == "ours":
                said = [int(not scan(path).safe) for path in (*bad, *good)]
                perfect = all(said[: len(bad)]) and not any(said[len(bad) :])
            else:
                said = of_peer(scanner, [*bad, *good])
            seconds = time.monotonic() - begun
            print(
                f"{scanner:12}{_counts(said[: len(bad)]):>24}{_counts(said[len(bad) :]):>24}{seconds:10.0f}",
                flush=True,
            )
            if options.missed:
                missed = [path.name for path, code in zip(bad, said, strict=False) if code == 0]
                print(f"    lets through: {', '.join(missed) or 'nothing'}")
        ran = (folder / "ran").exists()
    print(
        f"ours: every hostile file and no honest one: {'met' if perfect else 'MISSED'}; a payload ran: {ran}"
    )
    return 0 if perfect and not ran else 1


if __name__ == "__main__":
    sys.exit(main())
