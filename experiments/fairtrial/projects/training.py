"""Running a project's own train.py."""

from __future__ import annotations

import subprocess
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path

from fairtrial.errors import UsageError

SCRIPT = "train.py"


def train(folder: Path, progress: Callable[[str], None]) -> None:
    """Run `train.py` in `folder` with this Python, handing each line it prints to `progress`.

    Raises UsageError, with the script's last words, when it is not there or fails. The script ends
    with us: on an interrupt it is killed before the interrupt goes on.
    """
    if not (folder / SCRIPT).is_file():
        raise UsageError(f"there is no {folder / SCRIPT}; `fairtrial init {folder}` writes one")
    last: deque[str] = deque(maxlen=1)
    with subprocess.Popen(
        [sys.executable, SCRIPT],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as process:
        try:
            for line in process.stdout or ():
                if line.strip():
                    last.append(line.rstrip())
                    progress(line.rstrip())
            code = process.wait()
        except BaseException:
            process.kill()
            raise
    if code != 0:
        said = f": {last[0].strip()}" if last else ""
        raise UsageError(
            f"{folder / SCRIPT} ended with code {code}{said}; "
            f"run `python {SCRIPT}` in that folder to see it all"
        )
