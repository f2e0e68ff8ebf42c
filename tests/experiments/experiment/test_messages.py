"""Each mistake in a file is one line that says where it is, what was expected and what was there."""

from __future__ import annotations

from pathlib import Path

import pytest
from fairtrial.errors import ExitCode, UsageError
from fairtrial.experiment.problems import ExperimentFileError
from fairtrial.experiment.reading import load, parse

LINES = """\
apiVersion: fairtrial.dev/v1alpha1
kind: Experiment
metadata: {name: wine}
spec:
  baseline: {name: v1, modelUri: models/v1}
  candidates:
    - {name: v2, modelUri: models/v2}
  strategy: {canary: {steps: [{setWeight: 10}, {setWeight: 50}]}}
  traffic:
    loadTest: {arrivalRate: 100/s, maxDuration: 2m, requests: {data: holdout.parquet}}
  metrics:
    - {name: accuracy, minEffect: 1pp}
    - name: latency
      quantile: 0.99
      maxRegression: 10%
  analysis: {falsePositiveRate: 5%}
"""


def mistakes(text: str | bytes, folder: Path | None = None) -> list[str]:
    """The mistakes found in a file, each as `line:column path: message`."""
    raw = text.encode() if isinstance(text, str) else text
    with pytest.raises(ExperimentFileError) as caught:
        parse(raw, source="e.yaml", folder=folder or Path(), check_files=folder is not None)
    assert caught.value.exit_code == ExitCode.USAGE
    return [str(problem).removeprefix("e.yaml:") for problem in caught.value.problems]


def changed(old: str, new: str) -> list[str]:
    assert LINES.count(old) == 1, "the change must be of one place"
    return mistakes(LINES.replace(old, new))


def test_the_file_itself_has_no_mistake() -> None:
    experiment = parse(LINES.encode(), source="e.yaml", folder=Path(), check_files=False)
    assert experiment.metadata.name == "wine"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("quantile", "quantlie", '14:7 spec.metrics.1.quantlie: unknown field, did you mean "quantile"?'),
        (
            "modelUri: models/v2",
            "model_uri: models/v2",
            '7:18 spec.candidates.0.model_uri: unknown field, did you mean "modelUri"?',
        ),
        (
            "analysis: {",
            "arrivalRate: 3/s\n  analysis: {",
            "16:3 spec.arrivalRate: unknown field here, it belongs in spec.traffic.loadTest",
        ),
        (
            "canary: {steps: [{setWeight: 10}, {setWeight: 50}]}",
            "rolling: {}, abTest: {}",
            "8:14 spec.strategy.rolling: unknown field; known here: canary, abTest, shadow, blueGreen, "
            "bandit",
        ),
        (
            "2m,",
            "2 min,",
            "10:49 spec.traffic.loadTest.maxDuration: expected a duration such as 90s, 2m, "
            '1m30s or 500ms, got the text "2 min"',
        ),
        (
            "100/s",
            "100",
            "10:29 spec.traffic.loadTest.arrivalRate: expected a rate such as 200/s or 12000/m, "
            "got the number 100",
        ),
        ("0.99", "99", "14:17 spec.metrics.1.quantile: expected less than 1.0, got the number 99"),
        ("0.99", "'0.99'", '14:17 spec.metrics.1.quantile: expected a number, got the text "0.99"'),
        ("0.99", ".nan", "14:17 spec.metrics.1.quantile: expected a finite number, got the number nan"),
        (
            "{name: wine}",
            "{name: 7}",
            "3:18 metadata.name: expected a text (put it in quotes), got the number 7",
        ),
        (
            "{name: wine}",
            "{name: Wine}",
            "3:18 metadata.name: expected a name of lower-case letters, digits and "
            'dashes between them, got the text "Wine"',
        ),
        (
            "{name: wine}",
            "wine",
            '3:11 metadata: expected a mapping, such as {name: wine}, got the text "wine"',
        ),
        (
            "  analysis: {falsePositiveRate: 5%}",
            "  analysis:",
            "16:3 spec.analysis: no value; write one, or remove the field",
        ),
        (
            "5%}",
            "5}",
            "16:33 spec.analysis.falsePositiveRate: expected a percentage from 0% to 100%, got the "
            "number 5, did you mean 5%?",
        ),
        ("5%}", "5%, seed: 1.5}", "16:43 spec.analysis.seed: expected a whole number, got the number 1.5"),
        (
            "5%}",
            "5%, method: bayes}",
            "16:45 spec.analysis.method: expected sequential, alwaysValid, groupSequential or fixedHorizon, "
            'got the text "bayes"',
        ),
        (
            "  analysis",
            "  onInconclusive: shrug\n  analysis",
            '16:19 spec.onInconclusive: expected rollback, promote or hold, got the text "shrug"',
        ),
        (
            "models/v1",
            "s4://bucket/m",
            '5:34 spec.baseline.modelUri: expected a path or an address, got "s4:", did you mean "s3://"?',
        ),
        (
            "models/v1",
            "file:models/v1",
            '5:34 spec.baseline.modelUri: expected three slashes, as in file:///srv/models, after "file:"',
        ),
        (
            "models/v1",
            "https://host/m.onnx?sig=s3cret",
            "5:34 spec.baseline.modelUri: expected an address without a password, signature or token, which "
            "would be copied into manifests and run folders: credentials are taken from the environment, "
            "see docs/stores.md",
        ),
        (
            "fairtrial.dev/v1alpha1",
            "fairtrial.dev/v2",
            '1:13 apiVersion: expected fairtrial.dev/v1alpha1, got the text "fairtrial.dev/v2"',
        ),
        ("kind: Experiment\n", "", "1:1 kind: required, here kind: Experiment"),
        (
            "kind: Experiment",
            "kind: SeldonDeployment",
            "2:7 kind: expected Experiment, got the text "
            '"SeldonDeployment"; an experiment names one in spec.deployment',
        ),
        (
            "    - {name: v2, modelUri: models/v2}",
            "    []",
            "7:5 spec.candidates: expected at least one, such as "
            "[{name: v2, modelUri: models/v2}], got a list",
        ),
        (
            "    - {name: v2, modelUri: models/v2}",
            "    {name: v2}",
            "7:5 spec.candidates: expected a list, such as [{name: v2, modelUri: models/v2}], got a mapping",
        ),
        (
            "holdout.parquet",
            "holdout.xlsx",
            "10:70 spec.traffic.loadTest.requests.data: expected a file that ends "
            'in .parquet, .csv or .jsonl, got the text "holdout.xlsx"',
        ),
        (
            "name: latency",
            "name: latecny",
            '13:13 spec.metrics.1.name: unknown metric "latecny", did you mean '
            '"latency"? For a column of your own say its kind and direction',
        ),
    ],
)
def test_a_mistake_is_told_where_it_is(old: str, new: str, expected: str) -> None:
    found = changed(old, new)
    assert expected in found
    assert len(found) == 1


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "setWeight: 50",
            "setWeight: 10",
            "8:60 spec.strategy.canary.steps.1.setWeight: weights must rise, and 10 follows 10",
        ),
        (
            "steps: [{setWeight: 10}, {setWeight: 50}]}}",
            "steps: [{setWeight: 10}]}, abTest: {weight: 50%}}",
            "8:13 spec.strategy: expected exactly one strategy: canary, abTest, shadow, blueGreen or bandit",
        ),
        (
            "canary: {steps: [{setWeight: 10}, {setWeight: 50}]}",
            "abTest: {weight: 100%}",
            "8:31 spec.strategy.abTest.weight: 100% leaves the baseline without traffic; at most 99%",
        ),
        (
            "name: latency\n      quantile: 0.99\n      maxRegression: 10%",
            "name: accuracy",
            '13:13 spec.metrics.1.name: another metric is called "accuracy"; name '
            "this one otherwise and say its `column`",
        ),
        ("name: v2,", "name: v1,", '7:14 spec.candidates.0.name: another arm is called "v1" already'),
        (", modelUri: models/v2", "", '7:7 spec.candidates.0.modelUri: required: where the model of "v2" is'),
        (
            "minEffect: 1pp",
            "maxRegression: 1pp",
            "12:39 spec.metrics.0.maxRegression: maxRegression belongs to a "
            "guardrail; an objective has minEffect",
        ),
        (
            "minEffect: 1pp",
            "minEffect: 1",
            "12:35 spec.metrics.0.minEffect: a rate is between 0 and 1 and cannot move by 1; 1pp is 0.01",
        ),
        (
            "minEffect: 1pp",
            "minEffect: 5ms",
            '12:35 spec.metrics.0.minEffect: "accuracy" is not a time; use % of '
            "the baseline or a plain number",
        ),
        (
            "minEffect: 1pp",
            "minEffect: 1pp, designEffect: 1pp",
            "12:54 spec.metrics.0.designEffect: expected more than minEffect (1pp), got 1pp",
        ),
        (
            "10%\n",
            "1pp\n",
            '15:22 spec.metrics.1.maxRegression: percentage points are for rates; "latency" is '
            "none, use % of the baseline",
        ),
        (
            "maxRegression: 10%",
            "kind: mean",
            "15:13 spec.metrics.1.kind: a metric with a quantile is of kind quantile, not mean",
        ),
        ("5%}", "60%}", "16:33 spec.analysis.falsePositiveRate: expected more than 0% and less than 50%"),
        (
            "5%}",
            "5%, warmUp: 2m}",
            "16:45 spec.analysis.warmUp: not shorter than traffic.loadTest.maxDuration: "
            "nothing would be judged",
        ),
        (
            "requests: {",
            "paired: false, splitShare: 20%, requests: {",
            "10:80 spec.traffic.loadTest.splitShare: without paired replay all arrivals go through the split",
        ),
        (
            "holdout.parquet",
            "holdout.parquet, exclude: [target]",
            "10:97 spec.traffic.loadTest.requests.exclude.0: "
            '"target" is not sent anyway: it is the target or the unit',
        ),
        (
            "  analysis",
            "  abort: {errorRate: 0%}\n  analysis",
            "16:22 spec.abort.errorRate: expected more than 0% and less than 100%",
        ),
        (
            "  analysis",
            "  sticky: {header: a b}\n  analysis",
            '16:20 spec.sticky.header: expected the name of an HTTP header, got the text "a b"',
        ),
        (
            "  analysis",
            "  sticky: {header: x-user, key: user}\n  analysis",
            "16:33 spec.sticky.key: header is said already; choose one of the two",
        ),
        (
            "  analysis",
            "  sticky: {}\n  analysis",
            "16:11 spec.sticky: say what names the caller: one of header, cookie and key",
        ),
        (
            "  analysis",
            "  sticky: {cookie: {name: who, ttl: 10ms}}\n  analysis",
            "16:37 spec.sticky.cookie.ttl: expected at least 1s",
        ),
        (
            "metadata",
            "merge: &m {a: 1}\nmetadata",
            "3:1 merge: unknown field; known here: apiVersion, kind, metadata, spec",
        ),
    ],
)
def test_contradictions_between_fields_are_told_too(old: str, new: str, expected: str) -> None:
    found = changed(old, new)
    assert expected in found
    assert len(found) == 1


_CANARY = "canary: {steps: [{setWeight: 10}, {setWeight: 50}]}"


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        (
            "canary: {}",
            "8:22 spec.strategy.canary: expected steps, such as [{setWeight: 10}], "
            "or stepWeight and maxWeight",
        ),
        (
            "canary: {steps: [{setWeight: 10}], stepWeight: 10}",
            "8:61 spec.strategy.canary.stepWeight: steps say the weights already; remove one of the two",
        ),
        (
            "canary: {steps: [{setWeight: 10}], pause: 5s}",
            "8:56 spec.strategy.canary.pause: belongs to stepWeight; each of the steps says its own",
        ),
        (
            "canary: {stepWeight: 20, maxWeight: 10}",
            "8:50 spec.strategy.canary.maxWeight: the last weight must not be below the first, "
            "and 10 is below 20",
        ),
        (
            "canary: {stepWeight: 60}",
            "8:35 spec.strategy.canary.stepWeight: the last weight must not be below the first, "
            "and 50, the default, is below 60",
        ),
        (
            "abTest: {weights: {v1: 50, v2: 40}}",
            "8:32 spec.strategy.abTest.weights: weights sum to 100, and these to 90",
        ),
        (
            "abTest: {weight: 50, weights: {v1: 50, v2: 50}}",
            "8:31 spec.strategy.abTest.weight: weights say each arm's share already; remove one of the two",
        ),
        (
            "abTest: {weights: {v1: 50, v3: 50}}",
            "8:45 spec.strategy.abTest.weights.v3: no arm is called so; there are v1, v2",
        ),
        ("abTest: {weights: {v1: 100}}", "8:32 spec.strategy.abTest.weights: say a weight for v2 too"),
        (
            "abTest: {weights: {v1: 50, v2: 500}}",
            "8:45 spec.strategy.abTest.weights.v2: expected a whole percentage from 1 to 100, such as 10, "
            "got the number 500",
        ),
        (
            "shadow: {percent: 0}",
            "8:32 spec.strategy.shadow.percent: expected a whole percentage from 1 to 100, such as 10, "
            "got the number 0",
        ),
        (
            "blueGreen: {preview: users}",
            '8:35 spec.strategy.blueGreen.preview: expected loadTest or shadow, got the text "users"',
        ),
        (
            "bandit: {floor: 50}",
            "8:30 spec.strategy.bandit.floor: 50% for each of 2 arms leaves nothing to divide",
        ),
        (
            "bandit: {floor: 12}",
            "8:30 spec.strategy.bandit.floor: expected a multiple of 5, got the number 12",
        ),
        (
            "bandit: {reward: latency}",
            '12:5 spec.metrics: strategy.bandit.reward: "latency" is no objective here; there are accuracy',
        ),
    ],
)
def test_a_mistake_of_a_strategy_is_one_sentence(strategy: str, expected: str) -> None:
    assert changed(_CANARY, strategy) == [expected]


@pytest.mark.parametrize("strategy", ["shadow", "blueGreen"])
def test_a_candidate_that_no_user_meets_needs_pairs(strategy: str) -> None:
    text = LINES.replace(_CANARY, f"{strategy}: {{}}")
    told = f"{strategy} sends no users to the candidate, so that only replayed pairs can judge it"
    assert mistakes(text.replace("100/s,", "100/s, paired: false,")) == [
        f"10:44 spec.traffic.loadTest.paired: {told}"
    ]
    assert mistakes(text.replace("100/s,", "100/s, splitShare: 100%,")) == [
        f"10:48 spec.traffic.loadTest.splitShare: {told}; 100% leaves none"
    ]


def test_one_candidate_at_most_is_a_shadow_or_exchanged() -> None:
    text = LINES.replace("models/v2}", "models/v2}\n    - {name: v3, modelUri: models/v3}")
    assert mistakes(text.replace(_CANARY, "shadow: {}")) == [
        "9:22 spec.strategy.shadow: Seldon Core takes one shadow at most, and there are 2 candidates"
    ]
    assert mistakes(text.replace(_CANARY, "blueGreen: {}")) == [
        "9:25 spec.strategy.blueGreen: blueGreen exchanges two versions, and there are 2 candidates"
    ]


def test_several_candidates_need_a_share_each() -> None:
    several = "\n".join(f"    - {{name: v{i}, modelUri: m{i}}}" for i in range(2, 14))
    found = changed("    - {name: v2, modelUri: models/v2}", several)
    assert found == [
        "19:43 spec.strategy.canary.steps.0.setWeight: 12 candidates need at least 12%, one each; it is 10%"
    ]


def test_a_deployment_by_hand_and_models_exclude_each_other() -> None:
    found = changed("  baseline", "  deployment: seldon.yaml\n  baseline")
    assert [line.split(": ")[0] for line in found] == [
        "6:34 spec.baseline.modelUri",
        "8:28 spec.candidates.0.modelUri",
    ]


def test_all_mistakes_are_told_at_once_even_those_that_others_hide() -> None:
    text = (
        LINES.replace("quantile:", "quantlie:")  # an unknown field
        .replace("modelUri: models/v2", "modelUrl: models/v2")  # which is not a missing one as well
        .replace("name: v2", "name: v1")  # a contradiction within the list that the typo is in
        .replace("{name: wine}", "{name: Wine}")
        .replace("100/s", "fast")
        .replace("5%}", "5%, warmUp: 5m}")  # a contradiction with a sibling of the wrong rate
        .replace("setWeight: 50", "setWeight: 5")
        .replace("minEffect: 1pp", "minEffect: -1pp")
        .replace("      maxRegression: 10%", "      maxRegression: 10%\n    - {name: latency}")
    )
    assert [line.split(": ")[0] for line in mistakes(text)] == [
        "3:18 metadata.name",
        "7:14 spec.candidates.0.name",
        "7:18 spec.candidates.0.modelUrl",
        "8:60 spec.strategy.canary.steps.1.setWeight",
        "10:29 spec.traffic.loadTest.arrivalRate",
        "12:35 spec.metrics.0.minEffect",
        "14:7 spec.metrics.1.quantlie",
        "16:14 spec.metrics.2.name",
        "17:45 spec.analysis.warmUp",
    ]


def test_files_that_are_not_there_are_told_beside_other_mistakes(tmp_path: Path) -> None:
    (tmp_path / "models" / "v1").mkdir(parents=True)
    assert mistakes(LINES.replace("quantile", "quantlie"), tmp_path) == [
        f"7:28 spec.candidates.0.modelUri: there is no model at {tmp_path}/models/v2",
        f"10:70 spec.traffic.loadTest.requests.data: there is no data at {tmp_path}/holdout.parquet",
        '14:7 spec.metrics.1.quantlie: unknown field, did you mean "quantile"?',
    ]


def test_a_missing_default_data_file_is_told_at_the_place_to_say_another(tmp_path: Path) -> None:
    (tmp_path / "models" / "v1").mkdir(parents=True)
    (tmp_path / "models" / "v2").mkdir()
    found = mistakes(LINES.replace(", requests: {data: holdout.parquet}", ""), tmp_path)
    assert found == [
        f"10:5 spec.traffic.loadTest.requests.data: there is no {tmp_path}/holdout.parquet, the default; say "
        "where the held-out data is"
    ]


def test_no_such_file_and_a_folder_are_told_apart(project: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        load(project / "nope.yaml")
    with pytest.raises(UsageError, match=r"is a folder.*did you mean .*experiment\.yaml"):
        load(project)
