"""What the command line costs before it does anything: `fairtrial --help` and `fairtrial validate`.

    uv run benchmarks/command_line.py [--rounds 10]

Processor seconds of the whole process, the least of interleaved rounds. The peers are what a command of its
kind cannot do without: for `--help` a Python that imports click, for `validate` of an example one that
imports click, pydantic and ruamel.yaml, and neither does anything. The bars are ratios to them, since
seconds are the machine's. Ends with 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from fairtrial.projects.writing import write_project

RUN = "import sys; from fairtrial.cli import main; sys.argv = ['fairtrial', {!r}]; main()"
#: What is measured, the peer, and how many times the peer's seconds it may take.
CLAIMS = {
    "--help": ("import click", 2.0),
    "validate": ("import click, pydantic, ruamel.yaml", 3.5),
}


def seconds(code: str, folder: Path) -> float:
    """What a Python that runs `code` takes of a processor, in seconds, its bytecode being there."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment | {"PYTHONPYCACHEPREFIX": str(folder / ".caches")},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def example(folder: Path) -> None:
    write_project("better", folder)
    for version in ("v1", "v2"):
        (folder / "models" / version).mkdir(parents=True)
    (folder / "holdout.parquet").touch()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    codes = {verb: (RUN.format(verb), peer) for verb, (peer, _) in CLAIMS.items()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        example(folder)
        for pair in codes.values():  # bytecode
            for code in pair:
                seconds(code, folder)
        taken: dict[str, list[float]] = {}
        for _ in range(rounds):
            for pair in codes.values():
                for code in pair:
                    taken.setdefault(code, []).append(seconds(code, folder))
    good = True
    for verb, (ours, peer) in codes.items():
        least, usual, bar = min(taken[ours]), min(taken[peer]), CLAIMS[verb][1]
        good &= least <= bar * usual
        print(
            f"fairtrial {verb}: {least:.3f} s; `{peer}`: {usual:.3f} s; "
            f"{least / usual:.2f} of it (bar {bar:g}: {'met' if least <= bar * usual else 'MISSED'})"
        )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
