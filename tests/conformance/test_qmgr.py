"""The queue manager's limits and notices (qmgr(8), SCHEDULER_README)."""

import pytest
from mta import STABLE_QUEUE, poll
from sink import HANG

ALICE = "alice@example.test"
HOST = "198.51.100.1"


@pytest.fixture(scope="module")
def mta(make_mta, dns):
    dns.mx("remote.test", 10, "mx.remote.test")
    dns.a("mx.remote.test", HOST)
    return make_mta(
        main={
            **STABLE_QUEUE,
            "transport_maps": "hash:$config_directory/transport",
            "smtp_destination_concurrency_limit": "1",
            "smtp_destination_recipient_limit": "1000",
            "confirm_delay_cleared": "yes",
        },
        tables={"hash:transport": "slow.test slow:[198.51.100.2]\n"},
    )


@pytest.fixture
def sink(make_sink):
    return make_sink(HOST)


def delayed(mta, sink):
    """A message whose sender was warned of the delay, and that can be delivered now."""
    qid = mta.inject("a@remote.test", sender=ALICE)

    def told():
        mta.flush()
        return mta.maildir("alice")
    poll(told, 15, "the delay notice")
    mta.wait_queue(qid, "deferred")
    sink.reset()
    # More than once: it may have been tried just now, and not be in the queue that is flushed.
    poll(lambda: mta.flush() or sink.messages, what="the delivery")
    return qid


def test_delay_cleared(mta, sink):
    """After a delay notice the sender hears of the delivery; postconf(5) confirm_delay_cleared."""
    sink.rule("RCPT", "450 4.1.1 later")
    with mta.settings(delay_warning_time="1s", confirm_delay_cleared="yes"):
        delayed(mta, sink)
        mails = mta.wait_maildir("alice", 2)
    actions = sorted(m.dsn().recipients[0]["Action"] for m in mails)
    assert actions[0] == "delayed" and actions[1] in ("delivered", "relayed")


def test_delay_cleared_is_asked_for(mta, sink):
    """Without confirm_delay_cleared the delivery is not reported; postconf(5)."""
    sink.rule("RCPT", "450 4.1.1 later")
    with mta.settings(delay_warning_time="1s", confirm_delay_cleared="no"):
        qid = delayed(mta, sink)
        mta.wait_gone(qid)
    assert len(mta.maildir("alice")) == 1 and not mta.queue_ids()


def test_clog_warning(mta, sink):
    """One destination that fills the active queue is warned of; postconf(5)
    qmgr_clog_warn_time."""
    sink.rule("RCPT", HANG)
    with mta.settings(qmgr_message_active_limit="5"):
        for i in range(5):
            mta.inject(f"a{i}@remote.test", sender=ALICE)
        found = mta.wait_log(r"qmgr\[\d+\]: warning: mail for (\S+) is using up \d+ of \d+ active")
    assert found[1] == "remote.test"
