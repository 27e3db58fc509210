"""Parameters that Postfix 3.7 does not have, and time-dependent senders of probes."""

import pytest
from mta import STABLE_QUEUE
from policy_util import Listeners, try_rcpt

HOST = "198.51.100.50"

ports = Listeners(
    filtered={"smtpd_recipient_restrictions": "check_recipient_access static:{REJECT not here}",
              "smtpd_reject_filter_maps": "regexp:$config_directory/filter"},
    verified={"smtpd_relay_restrictions": "permit_mynetworks, reject",
              "smtpd_recipient_restrictions": "reject_unverified_recipient"},
)


@pytest.fixture(scope="module")
def mta(make_mta, dns):
    dns.mx("remote.test", 10, "mx.remote.test")
    dns.a("mx.remote.test", HOST)
    return make_mta(
        services=ports.services,
        files={"filter": "/^554 .*<a@/ 550 5.1.1 gone\n/^554 .*<b@/ 250 fine\n"},
        main={**STABLE_QUEUE, "address_verify_sender_ttl": "3333s", "address_verify_poll_delay": "1s",
              "relocated_maps": "inline:{{moved@example.test = 5.1.8 gone for good}}"})


def test_reject_filter(mta):
    """smtpd_reject_filter_maps replaces a refusal by another one, and by nothing else."""
    for rcpt, reply in (("a", "550 5.1.1 gone"), ("b", "554 5.7.1 "), ("c", "554 5.7.1 ")):
        try_rcpt(mta, f"{rcpt}@example.test", listen=ports["filtered"]).check(reply)
    mta.wait_log("smtpd_reject_filter_maps: not a 4xx or 5xx reply: 250 fine")


def test_relocated_prefix(mta):
    """Without relocated_prefix_enable the table has the status and the text."""
    with mta.settings(relocated_prefix_enable="no"):
        try_rcpt(mta, "moved@example.test").check("550 5.1.8 .*gone for good")
    try_rcpt(mta, "moved@example.test").check("550 5.1.6 .*User has moved to 5.1.8 gone")


def test_sender_of_probes(mta, make_sink):
    """With address_verify_sender_ttl the sender changes in time; mail to it is accepted, and
    discarded."""
    sink = make_sink(HOST)
    assert try_rcpt(mta, "good@remote.test", listen=ports["verified"]).code == 250
    (session,) = sink.wait_session(1)
    (command,) = [c for c in session.commands if c.startswith("MAIL FROM")]
    sender = command.split("<")[1].split(">")[0]
    local, domain = sender.split("@")
    assert local.startswith("double-bounce") and local.removeprefix("double-bounce").isdigit()
    qid = mta.inject(sender)
    mta.wait_gone(qid)
    assert mta.wait_delivery(qid)["status"] == "sent"
    try_rcpt(mta, f"double-bounce1@{domain}").check(550)
