"""What a scoring job is told, and where its data comes from and goes to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, urlencode, urlsplit

from fairtrial_servers.scoring.errors import ScoreError

Kind = Literal["parquet", "csv", "jsonl", "folder", "sql"]

_SUFFIXES: Mapping[str, Kind] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
_KNOWN = (
    ".parquet, .csv or .jsonl (the latter two also as .gz), a folder of Parquet files (with a slash at its "
    "end where it does not exist yet), or sql+DATABASE-URL?table=NAME"
)
_SQL = "sql+"


@dataclass(frozen=True)
class Location:
    """Where rows are.

    `path`: of a file or folder. `url`: of a database, for SQLAlchemy; `table` in it, maybe with its schema
    before a dot; `key`: the column that orders it, where it has no primary key.
    """

    kind: Kind
    path: Path = Path()
    gzip: bool = False
    url: str = ""
    table: str = ""
    key: str | None = None

    @property
    def name(self) -> str:
        """For messages and records: a path, or a database's address without its password."""
        if self.kind != "sql":
            return str(self.path)
        place = re.sub(r"(://[^/@]*):[^/@]*@", r"\1:***@", self.url.partition("?")[0])
        return f"{_SQL}{place}?table={self.table}"


@dataclass(frozen=True)
class Options:
    """A scoring job. `parameters` are those that the graph node would have when the model is served."""

    model: str
    data: Location
    out: Location
    outputs: tuple[str, ...] = ()  # empty: those that a request gets which names none
    ids: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    text: tuple[str, ...] = ()  # columns of a CSV file whose cells are text whatever they look like
    only_predictions: bool = False
    lists: bool = False  # an output of several columns becomes one column of lists
    prefix: str = ""
    on_bad_row: Literal["fail", "null"] = "fail"
    restart: bool = False
    engine: Literal["local", "spark"] = "local"
    batch_rows: int | None = None
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    keep_every: float = 1.0  # seconds of work that a kill may cost

    @property
    def not_features(self) -> frozenset[str]:
        return frozenset((*self.ids, *self.targets, *self.exclude))

    def shaping(self) -> dict[str, object]:
        """All that decides what the output holds, beside the model and the data."""
        return {
            "outputs": list(self.outputs),
            "ids": list(self.ids),
            "targets": list(self.targets),
            "exclude": list(self.exclude),
            "text": list(self.text),
            "onlyPredictions": self.only_predictions,
            "lists": self.lists,
            "prefix": self.prefix,
            "onBadRow": self.on_bad_row,
            "batchRows": self.batch_rows,
            "parameters": dict(self.parameters),
        }


def locate(said: str) -> Location:
    """The place that `said` names. Raises ScoreError for what is of no known kind."""
    if said.startswith(_SQL):
        return _database(said)
    path = Path(said).expanduser()
    if said.endswith("/") or path.is_dir():
        return Location("folder", path)
    gzip = path.suffix.lower() == ".gz"
    kind = _SUFFIXES.get(Path(path.stem).suffix.lower() if gzip else path.suffix.lower())
    if kind is None or (gzip and kind == "parquet"):
        raise ScoreError(f"{said}: rows are read from and written to {_KNOWN}")
    return Location(kind, path, gzip)


def _database(said: str) -> Location:
    parts = urlsplit(said.removeprefix(_SQL))
    query = dict(parse_qsl(parts.query))
    table, key = query.pop("table", ""), query.pop("key", None)
    if not parts.scheme or not table:
        raise ScoreError(
            f"{said.rsplit('@', maxsplit=1)[-1]} does not say which table: "
            f"write sql+DATABASE-URL?table=NAME, as sql+sqlite:///rows.db?table=rows"
        )
    # Put together by hand: urlunsplit would make one slash of the three in sqlite:///file.db.
    rest = f"?{urlencode(query)}" if query else ""
    url = f"{parts.scheme}://{parts.netloc}{parts.path}{rest}"
    return Location("sql", url=url, table=table, key=key)


def check(options: Options) -> None:
    """Raises ScoreError for options that do not go together."""
    # A file has its rows in the order of the data.
    in_order = options.out.kind != "sql" and options.engine == "local"
    if options.only_predictions and not options.ids and not in_order:
        raise ScoreError(
            "--only-predictions leaves nothing to tell the rows apart by, and they have no order there: "
            "name a column with --id"
        )
    if options.lists and options.out.kind == "csv":
        raise ScoreError(
            f"{options.out.name}: CSV has no lists; leave --lists out, or write .parquet or .jsonl"
        )
    if options.lists and options.out.kind == "sql":
        raise ScoreError("a SQL table has no lists: leave --lists out")
    if options.data.kind != "sql" and options.data.path.absolute() == options.out.path.absolute():
        raise ScoreError(f"{options.out.name} is the data itself: give --out another name")
    if options.data.kind == "sql" and (options.data.url, options.data.table) == (
        options.out.url,
        options.out.table,
    ):
        raise ScoreError(f"{options.out.name} is the data itself: give --out another table")
