"""A load that falls behind its schedule says so: at once, and in the end."""

import numpy as np
import pyarrow as pa
import pytest
from fairtrial_loadtests.lags import LagHistogram
from fairtrial_loadtests.observation import SCHEMA
from fairtrial_loadtests.part_writer import PartWriter

EPOCH = 1.8e9


@pytest.fixture
def told():
    return []


@pytest.fixture
def writer(tmp_path, told):
    return PartWriter(tmp_path, 0, told.append)


def table(lags, status=200):
    time = np.arange(len(lags)) * 0.01
    columns = {name: [None] * len(lags) for name in SCHEMA.names}
    columns |= {
        "arm": ["v1"] * len(lags),
        "time": time,
        "latency": [0.1] * len(lags),
        "status": [status] * len(lags),
        "id": [f"{n}-v1" for n in range(len(lags))],
        "sent": pa.array(time + np.array(lags), from_pandas=True),
    }
    return pa.table(columns, schema=SCHEMA)


def test_a_load_that_keeps_its_schedule_says_nothing(writer, told):
    for _ in range(10):
        writer.write(table([0.0005] * 100), EPOCH)
    assert told == []
    assert writer.summary(reason="stop", first_arrival=0, next_arrival=1000)["behind"] is None


def test_a_load_that_falls_behind_says_so_once_and_in_its_summary(writer, told):
    writer.write(table([0.001] * 100), EPOCH)
    for _ in range(3):
        writer.write(table([0.3] * 100), EPOCH)
    assert told == ["the load falls behind its schedule: requests now leave 300 ms late"]
    behind = writer.summary(reason="stop", first_arrival=0, next_arrival=400)["behind"]
    assert isinstance(behind, str)
    assert "1% of the requests left 30" in behind


def test_a_hiccup_is_told_in_the_end_only(writer, told):
    writer.write(table([0.001] * 90 + [0.2] * 10), EPOCH)
    assert told == []
    assert writer.lags.sentence() is not None


def test_what_was_never_sent_is_no_lag_and_is_counted(writer, told):
    writer.write(table([np.nan] * 50, status=0), EPOCH)
    assert (writer.requests, writer.dropped, writer.failures) == (50, 50, 50)
    assert told == []
    assert writer.lags.sentence() is None
    assert LagHistogram().sentence() is None
