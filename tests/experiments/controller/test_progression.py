from experiments.verdicts import a_verdict
from fairtrial.controller.progression import Position, Step, advance
from fairtrial.judge.verdict import Decision, SampleRatio

STEPS = (
    Step("step-1", {"v1": 90, "v2": 10}, pause=10, min_requests=100),
    Step("step-2", {"v1": 50, "v2": 50}, pause=0, min_requests=100),
)


def test_a_step_ends_once_its_pause_is_over_and_it_has_its_requests():
    assert advance(Position(), STEPS, [a_verdict(9, 500)]).step == 0
    assert advance(Position(), STEPS, [a_verdict(10, 99)]).step == 0
    assert advance(Position(), STEPS, [a_verdict(10, 100)]) == Position(1, since=10, requests_before=100)


def test_requests_of_earlier_steps_do_not_count_for_the_next():
    three = (*STEPS, Step("step-3", {"v1": 20, "v2": 80}, 0, 0))
    at_second = Position(1, since=10, requests_before=100)
    assert advance(at_second, three, [a_verdict(11, 199)]).step == 1
    assert advance(at_second, three, [a_verdict(12, 200)]).step == 2


def test_the_last_step_has_no_next():
    assert advance(Position(1), STEPS, [a_verdict(1000, 10**6)]).step == 1


def test_no_step_is_taken_on_a_finala_verdict():
    for decision in (Decision.PROMOTE, Decision.ROLLBACK, Decision.INCONCLUSIVE):
        assert advance(Position(), STEPS, [a_verdict(60, 500, decision=decision)]).step == 0


def test_a_broken_sample_ratio_holds_the_step():
    broken = SampleRatio({"v1": 0.9, "v2": 0.1}, {"v1": 50, "v2": 50}, 1e9, 1e3, mismatch=True)
    assert advance(Position(), STEPS, [a_verdict(60, 500, sample_ratio=broken)]).step == 0


def test_a_step_waits_for_the_candidate_that_has_fewest_requests_of_those_on_trial():
    few, many = a_verdict(10, 99), a_verdict(10, 500)
    assert advance(Position(), STEPS, [few, many]).step == 0
    rejected = a_verdict(10, 99, decision=Decision.ROLLBACK)
    assert advance(Position(), STEPS, [rejected, many]) == Position(1, since=10, requests_before=500)
