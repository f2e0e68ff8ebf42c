"""JUnit XML is valid by the schemas in use, and says of each claim and gate what CI servers colour."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from xml.etree import ElementTree

import pytest
import xmlschema
from experiments.edited_histories import both, looking
from experiments.histories import BETTER, SAME, WORSE, Story, run
from experiments.outputs.outcomes import broken, outcome_of
from fairtrial.errors import ExitCode
from fairtrial.judge.verdict import Gate
from fairtrial.outputs.junit import junit
from fairtrial.outputs.outcome import Outcome
from fairtrial.outputs.summary import summary

_SCHEMAS = [
    xmlschema.XMLSchema(str(Path(__file__).parent / "schemas" / name))
    for name in ("ant-junit.xsd", "jenkins-junit-10.xsd")
]


def cases(outcome: Outcome) -> dict[str, tuple[str, str]]:
    """What is wrong with each case ("passed": nothing), and its message. The schemas must allow it all."""
    text = junit(outcome)
    for schema in _SCHEMAS:
        schema.validate(text)
    found: dict[str, tuple[str, str]] = {}
    for suite in ElementTree.fromstring(text):
        marks: list[str] = []
        for case in suite.iter("testcase"):
            marks.append(case[0].tag if len(case) else "passed")
            found[f"{case.get('classname')}/{case.get('name')}"] = (
                marks[-1],
                case[0].get("message", "") if len(case) else "",
            )
        counted = [int(suite.get(name, "")) for name in ("tests", "failures", "errors", "skipped")]
        assert counted == [len(marks), *map(marks.count, ("failure", "error", "skipped"))]
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


def test_a_promotion_is_all_green(folder: Path):
    found = cases(outcome_of(run(folder, BETTER)))
    assert {mark for mark, _ in found.values()} == {"passed"}
    assert list(found) == [
        f"fairtrial.digits.v2/{name}"
        for name in (
            "gate: sample ratio",
            "gate: minimum data",
            "accuracy: met",
            "accuracy: not worse",
            "p99 latency: not harmed",
            "p99 latency: safe",
            "error rate: not harmed",
            "error rate: safe",
            "verdict",
        )
    ]


def test_a_rollback_fails_by_the_claim_that_crossed_and_by_the_verdict(folder: Path):
    found = cases(outcome_of(run(folder, WORSE)))
    failed = {name.partition("/")[2]: message for name, (mark, message) in found.items() if mark == "failure"}
    assert set(failed) == {"accuracy: not worse", "verdict"}
    assert failed["accuracy: not worse"].startswith("accuracy of v2 is below that of v1 (effect -")
    assert found["fairtrial.digits.v2/accuracy: met"][0] == "skipped"


def test_what_is_not_settled_is_skipped_and_neither_failed_nor_passed(folder: Path):
    history = run(folder, SAME)
    marks = {name.partition("/")[2]: mark for name, (mark, _) in cases(outcome_of(history)).items()}
    assert marks["verdict"] == marks["accuracy: met"] == "skipped"
    assert "failure" not in marks.values()


def test_a_run_that_broke_off_is_an_error_and_shows_how_far_it_came(folder: Path):
    history = looking(run(folder, BETTER), 3)
    outcome = dataclasses.replace(
        outcome_of(history), error="v2 died\nand said \x1b[31m<why>", code=ExitCode.NOT_READY
    )
    found = cases(outcome)
    assert found["fairtrial.digits.v2/verdict"] == ("error", "v2 died")
    assert found["fairtrial.digits.v2/p99 latency: safe"][0] == "skipped"
    assert 'type="NOT_READY"' in junit(outcome)
    assert "\x1b" not in junit(outcome)


def test_a_run_without_a_look_is_one_error(folder: Path):
    assert cases(broken("there is no model at models/v2")) == {
        "fairtrial.digits/verdict": ("error", "there is no model at models/v2")
    }


def test_a_run_that_was_only_recorded_is_green():
    recorded = dataclasses.replace(broken(""), error=None, code=ExitCode.OK)
    assert cases(recorded) == {"fairtrial.digits/verdict": ("passed", "")}
    assert "### ✅ digits: recorded; nothing was to be judged" in summary(recorded)


def test_an_unfair_sample_is_an_error_and_one_that_is_too_small_is_not(folder: Path):
    history = run(folder, SAME)
    last = history.verdicts[-1]
    gates = (
        Gate("sampleRatio", False, "mismatch"),
        Gate("fullCycle", False, "too short"),
        Gate("sameMachine", False, "slower than then"),
    )
    verdicts = [*history.verdicts[:-1], dataclasses.replace(last, gates=gates)]
    found = cases(outcome_of(dataclasses.replace(history, verdicts=verdicts)))
    assert found["fairtrial.digits.v2/gate: sample ratio"] == ("error", "mismatch")
    assert found["fairtrial.digits.v2/gate: full cycle"] == ("skipped", "too short")
    assert found["fairtrial.digits.v2/gate: same machine"] == ("skipped", "slower than then")


def test_who_loses_to_another_candidate_that_was_promoted_fails_nothing(folder: Path):
    worse = dataclasses.replace(WORSE, candidate="v3")
    history = both(run(folder, BETTER), run(folder, worse))
    found = cases(outcome_of(history))
    assert found["fairtrial.digits.v2/verdict"][0] == "passed"
    assert found["fairtrial.digits.v3/accuracy: not worse"][0] == "skipped"
    assert "fairtrial.digits.v3/verdict" not in found
    same = dataclasses.replace(SAME, candidate="v2")
    undecided = cases(outcome_of(both(run(folder, same), run(folder, worse))))
    assert undecided["fairtrial.digits.v3/accuracy: not worse"][0] == "failure"


def test_names_that_xml_cannot_hold_are_written_all_the_same(folder: Path):
    story = Story(candidate='v2 <"&\x00'.replace("\x00", "\x07"))
    assert any('v2 <"&' in name for name in cases(outcome_of(run(folder, story))))
