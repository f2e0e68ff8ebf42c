"""The tables of the evidence store, for SQLite and PostgreSQL. Times are microseconds since the epoch."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, MetaData, SmallInteger, Table, Text

METADATA = MetaData()

#: One row a request of an arm. What comes later is filled in, until `sequence` says that it was given out.
EXCHANGES = Table(
    "fairtrial_exchanges",
    METADATA,
    Column("request_id", Text, primary_key=True),
    Column("arm", Text, primary_key=True),
    Column("deployment", Text, primary_key=True),
    Column("asked", BigInteger),  # null until the request is known
    Column("unit", Text),
    Column("answered", BigInteger),  # null until the response is known
    Column("status", SmallInteger),
    Column("prediction", Text),
    Column("form", SmallInteger),
    Column("received", BigInteger, nullable=False, index=True),  # when the first half came here
    Column("sequence", BigInteger),  # place in what is given out; 0: never; null: not yet
    Column("reward", Text),  # a JSON number; as it was when it was given out
    Column("truth", Text),  # a JSON scalar, likewise
)
Index(
    "fairtrial_exchanges_waiting",
    EXCHANGES.c.deployment,
    EXCHANGES.c.asked,
    sqlite_where=EXCHANGES.c.sequence.is_(None),
    postgresql_where=EXCHANGES.c.sequence.is_(None),
)
Index(
    "fairtrial_exchanges_given",
    EXCHANGES.c.deployment,
    EXCHANGES.c.sequence,
    sqlite_where=EXCHANGES.c.sequence.is_not(None),
    postgresql_where=EXCHANGES.c.sequence.is_not(None),
)

#: What was later known, by request; it may come before the request.
FEEDBACK = Table(
    "fairtrial_feedback",
    METADATA,
    Column("request_id", Text, primary_key=True),
    Column("reward", Text),
    Column("truth", Text),
    Column("received", BigInteger, nullable=False, index=True),
)

#: How far each deployment's observations are numbered; its row is the lock of who numbers.
DEPLOYMENTS = Table(
    "fairtrial_deployments",
    METADATA,
    Column("deployment", Text, primary_key=True),
    Column("last", BigInteger, nullable=False),
)

#: When each collector was last known to take events.
COLLECTORS = Table(
    "fairtrial_collectors",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("alive", BigInteger, nullable=False),
)

#: Times in which events may have been refused: what is not known of a request then says nothing.
GAPS = Table(
    "fairtrial_gaps",
    METADATA,
    Column("start", BigInteger, primary_key=True),
    Column("end", BigInteger, primary_key=True),
)
