"""`fairtrial`, killed by itself with SIGKILL at a journal entry: `killed.py NUMBER before|after VERB ...`."""

import os
import signal
import sys
from typing import Any

from fairtrial.cli import main
from fairtrial.journal.store import Journal

NUMBER, WHEN = int(sys.argv[1]), sys.argv[2]
_append = Journal.append
_count = 0


def _append_or_die(journal: Journal, *args: Any, **details: Any) -> int:
    global _count  # noqa: PLW0603
    _count += 1
    if _count == NUMBER and WHEN == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    seq = _append(journal, *args, **details)
    if _count == NUMBER and WHEN == "after":
        os.kill(os.getpid(), signal.SIGKILL)
    return seq


Journal.append = _append_or_die
sys.argv = ["fairtrial", *sys.argv[3:]]
main()
