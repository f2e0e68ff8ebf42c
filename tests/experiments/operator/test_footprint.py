"""What an operator of many experiments does not keep in memory, and what it must not lose by that."""

from __future__ import annotations

import subprocess
import sys

from fairtrial.journal.entries import Entry, Kind
from fairtrial.operator.relay import Relay
from fairtrial.operator.resource import Resource


def entry(seq: int, kind: Kind = Kind.LOOK) -> Entry:
    return Entry(seq, float(seq), kind, None, {"look": seq})


def test_a_follower_gets_each_entry_once_and_what_it_has_read_is_forgotten():
    relay = Relay([entry(1, Kind.STARTED)])
    first, second = relay.open(), relay.open()
    relay.entered(entry(2))
    assert [each.seq for each in first.entries()] == [1, 2]
    relay.entered(entry(3))
    assert [each.seq for each in first.entries(after=2)] == [3]
    assert [each.seq for each in first.unread] == [3]
    assert [each.seq for each in second.entries(Kind.LOOK)] == [2, 3]


def test_nothing_is_kept_of_a_run_that_nobody_follows_any_more():
    relay = Relay([])
    reader = relay.open()
    reader.close()
    relay.entered(entry(1))
    assert not reader.unread
    assert not relay.open().entries()


def test_an_outline_has_all_that_is_decided_by():
    metadata = {
        "name": "wine",
        "namespace": "shop",
        "uid": "u",
        "resourceVersion": "7",
        "generation": 2,
        "annotations": {"fairtrial.dev/pause": "true"},
        "managedFields": [{"manager": "kubectl"}],
    }
    status = {"observedGeneration": 2, "run": {"id": "r", "kept": True, "spec": {}}, "journal": [{"seq": 1}]}
    whole = Resource({"metadata": metadata, "spec": {"deployment": "d", "metrics": []}, "status": status})
    outline = whole.outline
    assert (outline.key, outline.generation, outline.deployment) == (("shop", "wine"), 2, "d")
    assert outline.asks("fairtrial.dev/pause")
    assert outline.status == {"observedGeneration": 2, "run": {"kept": True}}
    assert "managedFields" not in outline.metadata


def test_arrow_works_without_pandas_which_others_may_use_afterwards():
    program = (
        "import sys\n"
        "from fairtrial.operator.footprint import leave_pandas_out\n"
        "leave_pandas_out()\n"
        "import pyarrow as pa\n"
        "assert pa.table({'x': [1, 2]}).to_pylist() == [{'x': 1}, {'x': 2}]\n"
        "assert 'pandas' not in sys.modules\n"
        "import pandas\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
