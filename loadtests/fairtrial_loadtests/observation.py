"""The schema of an observation: what every producer writes and only the experiments read.

It is data, not code, that the parts share: a producer in another language, or a team's own log, is
as good as ours if it has these columns. Extra columns are allowed and are metrics by their name.
"""

from typing import Any, TypeAlias

import pyarrow as pa

#: A pyarrow Table in the columns of `SCHEMA`; pyarrow has no types.
Table: TypeAlias = Any

REQUIRED = ("arm", "time", "latency", "status")

#: Column by column, with units. `time` is the *intended* send time, and latency counts from it, so
#: that a stalled server (or generator) shows in the latency instead of hiding in the schedule.
SCHEMA = pa.schema(
    [
        pa.field("arm", pa.string(), nullable=False),  # name of the arm that answered; "" when unknown
        pa.field("time", pa.float64(), nullable=False),  # intended send, seconds since the epoch
        pa.field("latency", pa.float64(), nullable=False),  # seconds from the intended send
        pa.field(
            "status", pa.int16(), nullable=False
        ),  # HTTP code; 0: no answer (refused, timed out, dropped)
        pa.field("id", pa.string()),  # unique per request
        pa.field("unit", pa.string()),  # unit of randomisation (user), where known
        pa.field("pair", pa.int64()),  # arrival number shared by the halves of a paired replay
        pa.field("row", pa.int64()),  # row of the data set that was sent
        pa.field(
            "segment", pa.string()
        ),  # route revision that split the request; null when sent straight to an arm
        pa.field("sent", pa.float64()),  # real send, seconds since the epoch
        pa.field("score", pa.float64()),  # 1 right, 0 wrong (a classifier with a target)
        pa.field("absoluteError", pa.float64()),  # |prediction - target| (a regressor with a target)
        pa.field("squaredError", pa.float64()),  # (prediction - target) squared
        pa.field("prediction", pa.string()),  # the prediction as text, for explanations
    ]
)
