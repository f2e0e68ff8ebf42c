"""The columns of an observation of live traffic."""

from __future__ import annotations

import pyarrow as pa
from fairtrial_loadtests.observation import SCHEMA

#: The documented columns, the number of giving out, and what a request was rewarded with.
LIVE_SCHEMA = (
    SCHEMA.append(pa.field("sequence", pa.int64()))
    .append(pa.field("reward", pa.float64()))
    .append(pa.field("truth", pa.string()))
)
