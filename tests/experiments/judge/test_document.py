"""`verdict.json` says everything, in JSON that any reader takes."""

import dataclasses
import json

import pytest
from experiments.streams import ERRORS, LATENCY, Load, chunks, spec
from fairtrial.judge.document import verdict_from_dict, verdict_to_dict
from fairtrial.judge.pipeline import RULES
from fairtrial.judge.state import State
from fairtrial.judge.verdict import Decision
from fairtrial.judging import judge_stream

LOADS = {
    "slower": Load(median=(0.01, 0.02)),
    "failing": Load(failing=(0.0, 0.3)),
    "short": Load(seconds=3),
    "mismatch": Load(split=0.5, candidate_share=0.1),
}


@pytest.fixture(scope="module")
def judgements():
    return {
        name: list(judge_stream(spec(LATENCY, ERRORS), chunks(load.table()))) for name, load in LOADS.items()
    }


@pytest.mark.parametrize("name", LOADS)
def test_a_verdict_survives_the_way_there_and_back(judgements, name):
    for judgement in judgements[name]:
        (verdict,) = judgement.verdicts
        document = json.loads(json.dumps(verdict_to_dict(verdict), allow_nan=False))
        assert verdict_to_dict(verdict_from_dict(document)) == document


def test_the_fields_of_the_public_format(judgements):
    (verdict,) = judgements["slower"][-1].verdicts
    document = verdict_to_dict(verdict, {"fairtrial": "0.1.0"})
    assert document["verdict"] == "ROLLBACK"
    assert document["versions"] == {"rules": RULES, "fairtrial": "0.1.0"}
    latency = document["metrics"][0]
    assert latency["estimate"]["candidate"] > latency["estimate"]["baseline"]
    assert latency["interval"][0] > latency["margin"] == 0.1
    assert latency["statistic"] >= latency["boundary"]
    assert 0 < latency["pValue"] <= latency["claims"][0]["alpha"]
    assert latency["looks"] > 0
    assert set(latency["n"]) == {"baseline", "candidate", "pairs", "effective"}
    assert document["sampleRatio"]["mismatch"] is False
    assert document["assumptions"]


def test_a_p_value_is_at_most_alpha_exactly_where_the_claim_crossed(judgements):
    for each in judgements.values():
        for claim in (c for m in each[-1].verdicts[0].metrics for c in m.claims if c.p_value is not None):
            assert (claim.p_value <= claim.alpha) == claim.crossed


def test_what_is_infinite_is_null(judgements):
    (verdict,) = judgements["failing"][-1].verdicts
    infinite = dataclasses.replace(
        verdict, metrics=tuple(dataclasses.replace(m, candidate=float("inf")) for m in verdict.metrics)
    )
    assert verdict_to_dict(infinite)["metrics"][0]["estimate"]["candidate"] is None


@pytest.mark.parametrize("name", LOADS)
def test_the_state_survives_the_way_there_and_back(judgements, name):
    for judgement in judgements[name]:
        assert State.from_json(judgement.state.to_json()) == judgement.state
    assert judgements[name][-1].state.decisions["v2"] is not Decision.CONTINUE


def test_the_state_stays_small(judgements):
    assert len(judgements["slower"][-1].state.to_json()) < 10_000
