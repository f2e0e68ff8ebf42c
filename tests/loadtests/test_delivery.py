"""Batches arrive once each and in order over a channel that loses, doubles and reorders."""

import random

from fairtrial_loadtests.delivery import Inbox, Outbox


def test_over_a_channel_that_loses_half_of_all_messages_nothing_is_lost_or_doubled():
    chance = random.Random(1)
    outbox, inbox = Outbox(), Inbox()
    arrived, now = [], 0.0
    for number in range(200):
        outbox.put({"batch": number})
    while not outbox.empty:
        now += 0.5
        assert now < 2000
        messages = outbox.to_send(now)
        chance.shuffle(messages)
        for number, batch in messages + messages[:3]:
            if chance.random() < 0.5:
                continue
            if inbox.accept(number):
                arrived.append(batch["batch"])
            if chance.random() < 0.5:
                outbox.acknowledge(inbox.received, now)
    assert arrived == list(range(200))


def test_what_was_sent_is_not_sent_again_while_acknowledgements_come():
    outbox = Outbox()
    sent = []
    for step in range(100):
        outbox.put({})
        sent += [number for number, _ in outbox.to_send(step * 0.1)]
        outbox.acknowledge(step - 5, step * 0.1)  # half a second late
    assert sent == list(range(100))


def test_an_old_acknowledgement_changes_nothing():
    outbox = Outbox()
    for _ in range(3):
        outbox.put({})
    outbox.to_send(0.0)
    outbox.acknowledge(1, 0.1)
    outbox.acknowledge(0, 0.2)
    assert not outbox.empty
    outbox.acknowledge(2, 0.3)
    assert outbox.empty
    assert outbox.to_send(9.0) == []
