"""The alarm wakes a greenlet in time, and early when rung."""

import time

import gevent
import pytest
from fairtrial_loadtests.alarm import Alarm, _Sleep, new_alarm


@pytest.fixture(params=[new_alarm, _Sleep], ids=["best", "portable"])
def alarm(request):
    made: Alarm = request.param()
    yield made
    made.close()


def lateness(alarm, wait):
    moment = time.monotonic() + wait
    alarm.wait_until(moment)
    return time.monotonic() - moment


def test_it_wakes_at_the_moment_and_not_before(alarm):
    late = [lateness(alarm, 0.0031) for _ in range(30)]
    assert min(late) >= 0
    assert sorted(late)[10] < 0.02


def test_the_best_alarm_is_finer_than_a_millisecond():
    alarm = new_alarm()
    assert min(lateness(alarm, 0.0031) for _ in range(30)) < 0.0005
    alarm.close()


def test_a_moment_that_has_passed_is_not_waited_for(alarm):
    begun = time.monotonic()
    alarm.wait_until(begun - 5)
    alarm.wait_until(-1.0)
    assert time.monotonic() - begun < 1


def test_others_run_while_it_waits(alarm):
    ran = []
    gevent.spawn(ran.append, 1)
    alarm.wait_until(time.monotonic() + 0.01)
    assert ran == [1]


def test_ringing_ends_the_wait_or_else_the_next(alarm):
    begun = time.monotonic()
    gevent.spawn(alarm.ring)
    alarm.wait_until(begun + 30)
    alarm.ring()
    alarm.wait_until(begun + 30)
    assert time.monotonic() - begun < 10
    assert lateness(alarm, 0.01) >= 0, "one ring ended two waits"
