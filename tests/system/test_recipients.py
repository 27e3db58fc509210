"""How many recipients of a large message are in memory: what is read at once shows in how many go
in one delivery."""

import pytest
from mta import STABLE_QUEUE

HOST = "198.51.100.1"

LIMITS = {
    "qmgr_message_recipient_limit": "0",
    "qmgr_message_recipient_minimum": "5",
    "smtp_recipient_limit": "20",
    "smtp_extra_recipient_limit": "0",
    "smtp_recipient_refill_limit": "10",
    "smtp_recipient_refill_delay": "1h",
    "smtp_destination_recipient_limit": "1000",
    "smtp_destination_concurrency_limit": "1",
}


@pytest.fixture(scope="module")
def mta(make_mta, dns):
    dns.mx("remote.test", 10, "mx.remote.test")
    dns.a("mx.remote.test", HOST)
    return make_mta(main={**STABLE_QUEUE, **LIMITS})


@pytest.fixture
def sink(make_sink):
    return make_sink(HOST)


def portions(mta, sink, **settings):
    """How many of 45 recipients go in each delivery."""
    rcpts = [f"a{i}@remote.test" for i in range(45)]
    with mta.settings(**settings):
        qid = mta.inject(rcpts)
        mta.wait_gone(qid)
    messages = sink.take()
    assert sorted(r for m in messages for r in m.rcpts) == sorted(rcpts)
    return [len(m.rcpts) for m in messages]


def test_share_of_transport(mta, sink):
    """A message begins with the minimum, then its transport's share is filled when enough of it
    is free."""
    assert portions(mta, sink) == [5, 15, 20, 5]


def test_share_of_all(mta, sink):
    """qmgr_message_recipient_limit is for the first recipients of a message."""
    assert portions(mta, sink, qmgr_message_recipient_limit="44")[0] == 44


def test_no_share(mta, sink):
    """Without a share the minimum is read whenever nothing is left."""
    assert portions(mta, sink, smtp_recipient_limit="0") == [5] * 9


def test_extra_share(mta, sink):
    """A message whose rest fits into the extra share is read at once."""
    assert portions(mta, sink, smtp_recipient_limit="5", smtp_extra_recipient_limit="40") == [5, 40]


def test_extra_share_too_small(mta, sink):
    """The extra share is for messages that are in memory as a whole then, and no others."""
    assert portions(mta, sink, smtp_recipient_limit="5", smtp_extra_recipient_limit="9") == [
        5, 5, 5, 5, 5, 5, 5, 10]


def test_refill_delay(mta, sink):
    """After T_recipient_refill_delay what is free is read, however few."""
    sink.rule("DATA", "354 go on", delay=2, times=1)
    sizes = portions(mta, sink, smtp_recipient_refill_limit="20", smtp_recipient_limit="12",
                     smtp_recipient_refill_delay="1s")
    assert sizes[:2] == [5, 7]


def test_dead_destination(mta, dns):
    """Recipients that are deferred untried leave room for the next ones."""
    dns.mx("down.test", 10, "mx.down.test")
    dns.a("mx.down.test", "198.51.100.9")
    qid = mta.inject([f"a{i}@down.test" for i in range(60)])
    mta.wait_queue(qid, "deferred")
    assert {d["status"] for d in mta.deliveries(qid)} == {"deferred"}
    assert len({d["to"] for d in mta.deliveries(qid)}) == 60


def test_order_of_the_log(mta, dns):
    """What a command says comes after all that daemons said before, many lines as it may be."""
    dns.mx("down.test", 10, "mx.down.test")
    dns.a("mx.down.test", "198.51.100.9")
    for number in range(5):
        qid = mta.inject([f"a{i}@down.test" for i in range(60)])
        mta.wait_queue(qid, "deferred")
        mta.run("postlog", f"behind {number}").ok()
        mta.wait_log(rf"postlog\[\d+\]: behind {number}$")
        before, _, _ = mta.log().partition(f": behind {number}\n")
        assert before.count(f": {qid}: to=<a") == 60
