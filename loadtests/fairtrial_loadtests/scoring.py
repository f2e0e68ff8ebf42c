"""From a V2 answer to a prediction, and from a prediction and its target to a score.

Which columns of an observation are filled:

- `score` (1 right, 0 wrong) where the target can be a class: text, booleans, whole numbers. Right is an
  equal number, or the same text; for an output with several numbers (probabilities, logits) the position
  of the largest is the class.
- `absoluteError` and `squaredError` where the target is a number and the output is one floating-point
  number. A target column with any fraction in it is no class, so then these only.
- A whole-number target with a floating-point output may be either (Spark's classifiers answer 3.0, and
  the ages of a regressor are whole): all three are filled, and the metric that is asked for says which.

A request that failed, or whose answer cannot be read, is a wrong score, and has no error to measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from fairtrial_loadtests.dataset import Value

_LONGEST_TEXT = 200  # characters of a prediction that are kept


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answered for one row."""

    model: str  # name of the model that answered, "" if it does not say
    prediction: str | int | float | bool
    fractional: bool  # one floating-point number
    position: bool = False  # the position of the largest of several numbers

    @property
    def text(self) -> str:
        return str(_whole(self.prediction))[:_LONGEST_TEXT]


class Scores(NamedTuple):
    score: float | None = None
    absolute_error: float | None = None
    squared_error: float | None = None


_NONE = Scores()
_WRONG = Scores(score=0.0)


def read_answer(body: bytes) -> Answer | None:
    """The prediction in a V2 response. None: unreadable."""
    try:
        return answer_in(orjson.loads(body))
    except ValueError:
        return None


def answer_in(document: dict[str, Any]) -> Answer | None:
    """The prediction in what a V2 response says: its output `predict`, or else its first. None: none."""
    try:
        outputs: list[dict[str, Any]] = document["outputs"]
        output = next((each for each in outputs if each["name"] == "predict"), outputs[0])
        data: Any = output["data"]
        while isinstance(data[0], list):
            data = data[0]
        model = str(document.get("model_name", ""))
        if len(data) > 1:
            return Answer(model, data.index(max(data)), fractional=False, position=True)
        value = data[0]
        if not isinstance(value, str | int | float):
            return None
        return Answer(model, value, fractional=str(output.get("datatype", "")).startswith("FP"))
    except (ValueError, TypeError, LookupError, AttributeError):
        return None


class Scorer:
    """Scores answers by the data set's targets (None: there are none, and nothing is scored)."""

    def __init__(self, targets: Sequence[Value] | None) -> None:
        self._targets = targets
        self._classes = not any(
            isinstance(target, float) and not target.is_integer() for target in targets or ()
        )

    def score(self, row: int, answer: Answer | None) -> Scores:
        """Scores of one row; `answer` is None for a request that failed."""
        target = self._targets[row] if self._targets is not None else None
        if target is None:
            return _NONE
        if answer is None:
            return _WRONG if self._classes else _NONE
        prediction = answer.prediction
        score = None
        if self._classes and not (answer.position and isinstance(target, str)):
            score = float(target == prediction or str(_whole(target)) == str(_whole(prediction)))
        if answer.fractional and not isinstance(target, str) and not isinstance(prediction, str):
            error = abs(float(prediction) - float(target))
            return Scores(score, error, error * error)
        return Scores(score)


def _whole(value: str | int | float | bool) -> str | int | float | bool:
    """3 for 3.0: how a class is written says nothing about it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
