"""An operator that kills itself with SIGKILL: `killed.py KUBECONFIG NAMESPACE SOURCES ENTRY WHEN`.

ENTRY is a kind of journal entry, or an effect and a kind (`shift/done`), or `never`. WHEN is `before` it is
written, or `after`.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from cluster.operator.scripted import feeds
from fairtrial.journal.entries import Kind
from fairtrial.operator.journal import StatusJournal
from fairtrial.operator.serving import Options, serve

KUBECONFIG, NAMESPACE, SOURCES, ENTRY, WHEN = sys.argv[1:]
_append = StatusJournal.append


def _append_or_die(journal: StatusJournal, kind: Kind, *args: Any, **details: Any) -> int:
    effect = details.get("effect")
    is_it = (f"{effect.value}/{kind.value}" if effect else kind.value) == ENTRY
    if is_it and WHEN == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    seq = _append(journal, kind, *args, **details)
    if is_it:
        os.kill(os.getpid(), signal.SIGKILL)
    return seq


StatusJournal.append = _append_or_die
OPTIONS = Options(
    namespaces=(NAMESPACE,),
    lease_namespace=NAMESPACE,
    lease_duration=2,
    port=0,
    kubeconfig=Path(KUBECONFIG),
    ready_timeout=10.0,
    settings={"patience": 0.1, "pauses": (0.2,)},
)
serve(OPTIONS, feeds(Path(SOURCES)))
