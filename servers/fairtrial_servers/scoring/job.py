"""One scoring job from its options to its output."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from fairtrial_servers.scoring.arrow import Batch, Schema
from fairtrial_servers.scoring.binding import Binding, bind
from fairtrial_servers.scoring.cells import parsed
from fairtrial_servers.scoring.errors import ScoreError, first_line, listed
from fairtrial_servers.scoring.model import Model, digest, load
from fairtrial_servers.scoring.options import Options, check
from fairtrial_servers.scoring.predicting import Predictor
from fairtrial_servers.scoring.progress import Progress
from fairtrial_servers.scoring.reading import Source, open_source
from fairtrial_servers.scoring.resuming import Output, Standing, open_output
from fairtrial_servers.scoring.whole_lines import cell_names, has_lines

#: Numbers in a batch: few enough for a processor's cache, and so many that a call is cheap beside them.
_CELLS = 1 << 19
_MOST_ROWS, _FEWEST_ROWS = 1 << 16, 1 << 10


@dataclass(frozen=True)
class Outcome:
    """`rows`: of the whole output. `resumed_from`: rows that an earlier start had already predicted.

    `without`: rows that have no prediction, as `on_bad_row` allows. `seconds`: of this start.
    """

    out: str
    rows: int
    resumed_from: int
    without: int
    seconds: float
    already_complete: bool = False

    def document(self) -> dict[str, object]:
        scored = self.rows - self.resumed_from
        return {
            "out": self.out,
            "rows": self.rows,
            "resumedFrom": self.resumed_from,
            "withoutPrediction": self.without,
            "seconds": round(self.seconds, 3),
            "rowsPerSecond": round(scored / self.seconds, 1) if self.seconds > 0 else 0.0,
            "alreadyComplete": self.already_complete,
        }

    def sentence(self) -> str:
        if self.already_complete:
            return (
                f"{self.out} is complete already: this very job was finished before; --restart does it again"
            )
        scored = self.rows - self.resumed_from
        rate = f"{scored / self.seconds:,.0f} rows/s" if self.seconds > 0 else ""
        said = f"{self.rows:,} rows in {self.out}, {self.seconds:,.1f} s, {rate}"
        if self.resumed_from:
            said += f"; the predictions of {self.resumed_from:,} were there from an earlier start"
        if self.without:
            said += f"; {self.without:,} rows have no prediction, for the model does not take them"
        return said


def score(options: Options, progress: Progress) -> Outcome:
    """Run a job on this machine, or take up one that was cut off.

    Raises ServerError: ScoreError for data, options and output, ModelError, UnsafeModelError.
    """
    began = time.monotonic()
    check(options)
    output = open_output(options)
    try:
        progress.phase("loading the model")
        model = load(options.model, options.parameters)
        source = open_source(options)
        binding = bind(
            model.loaded.table_inputs(),
            source.schema,
            options.not_features,
            source.name,
            parsed=options.data.kind == "csv",
        )
        source.expect(binding.numbers(), binding.texts(), binding.names())
        predictor = Predictor(model.loaded, model.signature, binding, options, source.name)
        identity = identify(options, model, source)
        standing = output.stand(identity, restart=options.restart)
        if standing.complete:
            return Outcome(output.name, standing.written, standing.written, standing.without, 0.0, True)
        predictor.schema = output.layout()
        rows, without = _through(options, source, binding, predictor, output, standing, progress)
        if source.fingerprint() != identity["data"]["fingerprint"]:
            raise ScoreError(f"{source.name} has changed while it was read: start again with --restart")
        output.finish({**identity, "rows": rows})
        return Outcome(output.name, rows, standing.predicted, without, time.monotonic() - began)
    finally:
        progress.end()
        output.release()


def identify(options: Options, model: Model, source: Source) -> Mapping[str, Any]:
    """What makes two starts the same job."""
    return {
        "model": {"address": options.model, "format": model.format, "digest": digest(model.path)},
        "data": {"address": source.name, "fingerprint": source.fingerprint()},
        "options": options.shaping(),
    }


def _through(
    options: Options,
    source: Source,
    binding: Binding,
    predictor: Predictor,
    output: Output,
    standing: Standing,
    progress: Progress,
) -> tuple[int, int]:
    """Read, predict and write all rows that are not written yet. The number of rows, and of those without."""
    kept = output.predicted()
    size = rows_of_batch(options, source.schema)
    row, without, begun = standing.written, standing.without, False
    wanted = [*options.ids, *binding.names()] if options.only_predictions else None
    columns = list(dict.fromkeys(wanted)) if wanted is not None else None
    typed = source.verbatim and options.out.kind != "csv"
    progress.begin(source.rows, standing.predicted)
    for batch in source.batches(size, standing.written, columns):
        predictions = next(kept, None)
        if predictions is None:
            predictions = predictor.predict(batch, row)
            output.keep(row, predictions)
        elif predictions.num_rows != batch.num_rows:
            raise ScoreError(
                f"what is kept of {output.name} does not fit its data: begin anew with --restart"
            )
        if typed:
            batch = _typed(batch, source, binding.numbers())  # noqa: PLW2901
        whole = joined_with(options, source.name, batch, predictions)
        if not begun:
            output.begin(whole.schema)
            begun = True
        row += batch.num_rows
        output.write(whole, row)
        without += predictions.column(0).null_count if options.on_bad_row == "null" else 0
        progress.at(row, source.share_read())
    if not begun:
        names = source.schema.names if columns is None else columns
        fields = [source.schema.field(name) for name in names]
        empty = pa.RecordBatch.from_pylist([], schema=pa.schema(fields, metadata=source.schema.metadata))
        output.begin(joined_with(options, source.name, empty, predictor.no_rows()).schema)
    return row, without


def joined_with(options: Options, name: str, batch: Batch, predictions: Batch) -> Batch:
    """Rows that were read, or their ids alone, with their predictions. `name`: of the data, for messages.

    Raises ScoreError if the predictions' columns are called as others are.
    """
    if options.only_predictions:
        batch = batch.select(list(options.ids))
    elif has_lines(batch.schema):
        batch = batch.select([0])
    others = cell_names(batch.schema)
    doubled = [each for each in predictions.schema.names if each in others]
    if doubled:
        raise ScoreError(
            f"{name} has columns of the predictions' names, {listed(doubled)}: give them others by --prefix"
        )
    metadata = None if options.only_predictions else batch.schema.metadata
    schema = pa.schema([*batch.schema, *predictions.schema], metadata=metadata)
    return pa.RecordBatch.from_arrays([*batch.columns, *predictions.columns], schema=schema)


def _typed(batch: Batch, source: Source, features: Sequence[str]) -> Batch:
    """The cells of a CSV file as what they stand for; a feature that is no number as an empty cell."""
    columns: list[Any] = []
    fields = [source.schema.field(name) for name in batch.schema.names]
    for field, column in zip(fields, batch.columns, strict=True):
        if field.name in features:
            columns.append(parsed(column)[0])
            continue
        try:
            columns.append(column.cast(field.type))
        except pa.ArrowInvalid as error:
            raise ScoreError(
                f'{source.name}, column "{field.name}": {first_line(error)}; if it holds text, '
                f"add --text {field.name}"
            ) from error
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))


def rows_of_batch(options: Options, schema: Schema) -> int:
    """Rows that are predicted at once."""
    return options.batch_rows or max(_FEWEST_ROWS, min(_MOST_ROWS, _CELLS // max(len(schema), 1)))
