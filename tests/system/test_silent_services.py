"""What clients hear while a service of the suite does not answer: it cannot start, or hangs."""

import contextlib
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from mta import poll
from test_killed import processes

PATIENCE = 45
"""Seconds: more than the suite waits for the first answer of a service."""


def go_on(pids):
    """Ends the stop of processes, of which some may have ended."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@pytest.fixture
def frozen():
    """Function that stops all processes of a program; they go on after the case."""
    stopped = []

    def freeze(program):
        found = poll(lambda: processes(program), what=program)
        for pid in found:
            os.kill(pid, signal.SIGSTOP)
            stopped.append(pid)

    yield freeze
    go_on(stopped)


def test_no_first_answer(make_mta, frozen):
    """A client gets a temporary error within half a minute, and the log says which service
    did not answer: cleanup, proxymap, flush; then all goes on."""
    mta = make_mta(
        main={"smtpd_sender_restrictions": "check_sender_access proxy:hash:$config_directory/senders",
              "proxy_read_maps": "proxy:hash:$config_directory/senders $local_recipient_maps",
              "fast_flush_domains": "flush.test", "smtpd_delay_reject": "no"},
        tables={"hash:senders": "a@map.test OK\n"},
        services=["LISTEN1 inet n - n - - smtpd -o smtpd_sender_restrictions="
                  " -o local_recipient_maps="])

    def submit():
        with mta.smtp(listen=1, timeout=PATIENCE) as c:
            c.ehlo()
            c.mail("a@client.test")
            return c.rcpt("bob@example.test", expect=None)

    def look_up():
        with mta.smtp(timeout=PATIENCE) as c:
            c.ehlo()
            return c.mail("a@map.test", expect=None)

    def flush():
        with mta.smtp(timeout=PATIENCE) as c:
            c.ehlo()
            return c.cmd("ETRN flush.test", None)

    for program in ("cleanup", "proxymap", "flush"):
        frozen(program)
    with ThreadPoolExecutor() as pool:
        said = [str(f.result()) for f in [pool.submit(f) for f in (submit, look_up, flush)]]
    assert said[0].startswith("451 4.3.0 "), said
    assert said[1].startswith("451 4.3.0 "), said
    assert said[2].startswith("458 "), said
    for service in ("cleanup service: Connection timed out", "proxymap service does not answer",
                    "flush service does not answer"):
        mta.wait_log(rf"smtpd\[\d+\]: warning: .*the {service}")
    go_on([*processes("cleanup"), *processes("proxymap"), *processes("flush")])
    mta.inject("bob@example.test")
    mta.wait_maildir("bob")
