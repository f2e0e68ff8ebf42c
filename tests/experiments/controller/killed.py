"""`fairtrial`, killed by itself with SIGKILL at a journal entry: `killed.py NUMBER WHEN VERB ...`.

WHEN is `after` (the entry with this number is written) or `unjournalled` (the effect with this number, or
of this name, is made, and its entry is not). Before an effect is the same as after the entry that it is
intended.
"""

import os
import signal
import sys
from typing import Any

from fairtrial.cli import main
from fairtrial.journal.entries import Kind
from fairtrial.journal.store import Journal

WHICH, WHEN = sys.argv[1], sys.argv[2]
_append = Journal.append
_count = 0


def _append_or_die(journal: Journal, kind: Kind, *args: Any, **details: Any) -> int:
    global _count  # noqa: PLW0603
    _count += WHEN == "after" or kind is Kind.DONE
    named = kind is Kind.DONE and details.get("effect") == WHICH
    if (str(_count) == WHICH or named) and WHEN == "unjournalled":
        os.kill(os.getpid(), signal.SIGKILL)
    seq = _append(journal, kind, *args, **details)
    if str(_count) == WHICH and WHEN == "after":
        os.kill(os.getpid(), signal.SIGKILL)
    return seq


Journal.append = _append_or_die
sys.argv = ["fairtrial", *sys.argv[3:]]
main()
