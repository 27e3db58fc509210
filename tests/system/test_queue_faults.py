"""What the queue makes of faults under it: marks that cannot be written, a clock that was wrong."""

import os
import time

import pytest
from mta import poll


@pytest.fixture
def retrying(make_mta, make_sink):
    """An instance whose mail for relay.test is put off by its host, and that host."""
    host = make_sink("198.51.100.1")
    later = host.rule("RCPT", "450 4.2.1 later", match="later")
    instance = make_mta(main={
        "relay_domains": "relay.test", "transport_maps": "inline:{relay.test=smtp:[198.51.100.1]}"})
    return instance, host, later


def test_delivered_without_a_mark_is_not_returned(retrying):
    """A message is too old, one recipient has it, and that cannot be written down (the file is
    read-only): nobody is told that it failed, and in the end he is told of the other one alone."""
    instance, host, later = retrying
    both = host.rule("RCPT", "450 4.2.1 later")
    qid = instance.inject(["good@relay.test", "later@relay.test"], sender="bob@example.test")
    instance.wait_queue(qid, "deferred")
    path = instance.queue / "deferred" / qid

    def set_mode(mode):
        """While the file is there: in the middle of another try it is elsewhere."""
        try:
            path.chmod(mode)
        except FileNotFoundError:
            return False
        return True
    poll(lambda: set_mode(0o400))
    both.times = 0
    with instance.settings(maximal_queue_lifetime="0"):
        instance.flush()
        instance.wait_log(f"{qid}: cannot mark recipients as done")
        instance.wait_queue(qid, "deferred")
        assert len(host.messages) >= 1 and not instance.maildir("bob")
        poll(lambda: set_mode(0o700))
        instance.flush()
        notice, = instance.wait_maildir("bob")
    assert [r["Final-Recipient"] for r in notice.dsn().recipients] == ["rfc822; later@relay.test"]


def test_time_of_next_try_in_the_future(retrying):
    """A next try further away than any would be is one that a wrong clock has set."""
    instance, host, later = retrying
    qid = instance.inject("later@relay.test")
    instance.wait_queue(qid, "deferred")
    path = instance.queue / "deferred" / qid
    later.action = "250 2.1.5 ok"
    os.utime(path, (time.time() + 12 * 365 * 86400,) * 2)
    poll(lambda: host.messages, 10)
