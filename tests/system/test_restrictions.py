"""Restrictions of smtpd beyond what the conformance cases show: notices, refused settings."""

import re

import pytest
from mail import message
from policy_util import Listeners, try_rcpt

ports = Listeners(
    told={"smtpd_recipient_restrictions": "check_recipient_access static:{REJECT not here}",
          "notify_classes": "policy, protocol"},
    quiet={"smtpd_recipient_restrictions": "check_recipient_access static:{REJECT not here}"},
    mx_ok={"smtpd_sender_restrictions": "check_sender_mx_access static:OK"},
    literal={"smtpd_sender_restrictions": "check_sender_a_access inline:{{192.0.2.66 = REJECT}}"},
    lines={"smtpd_recipient_restrictions": "check_recipient_access static:{REJECT not here}",
           "smtpd_reject_footer": "first $client_address\\nsecond ${client_port?yes}"},
    logged={"smtpd_sender_restrictions": "check_sender_access static:OK",
            "smtpd_log_access_permit_actions": "static:all"},
    loop={"smtpd_sender_restrictions": "check_sender_access inline:{{client.test = again}}",
          "smtpd_restriction_classes": "again",
          "again": "check_sender_access inline:{{client.test = again}}"},
    word={"smtpd_sender_restrictions":
          "check_sender_access inline:{{client.test = permit_mynetworks nosuch}}"},
)


@pytest.fixture(scope="module")
def mta(make_mta, dns):
    dns.mx("client.test", 10, "mx.client.test")
    dns.a("mx.client.test", "192.0.2.7")
    return make_mta(services=ports.services, main={"error_notice_recipient": "alice"})


def test_transcript(mta):
    """The postmaster gets the dialogue of a session that was refused, when notify_classes says
    so; postconf(5)."""
    with mta.smtp(listen=ports["told"]) as c:
        c.ehlo()
        c.mail("a@client.test")
        c.rcpt("bob@example.test", expect=554)
        c.cmd("QUIT", 221)
    (mail,) = mta.wait_maildir("alice")
    assert re.search(r"SMTP server: errors from localhost\[127\.0\.0\.1\]", mail.header("Subject"))
    text = mail.body if isinstance(mail.body, str) else mail.body.decode()
    for line in (" In : RCPT TO:<bob@example.test>", " Out: 554 5.7.1 <bob@example.test>: "
                 "Recipient address rejected: not here", " In : QUIT"):
        assert line in text, text
    mta.wait_log(r"from=<double-bounce@mail\.example\.test>")


def test_no_transcript(mta):
    """By default a refusal is nothing to tell."""
    try_rcpt(mta, listen=ports["quiet"]).check("554 ")
    mta.wait_log(r"disconnect from")
    assert not mta.grep_log("double-bounce")


def test_ok_by_mail_server(mta):
    """Who chooses his mail servers may not choose to be let in; postconf(5)
    check_sender_mx_access."""
    try_rcpt(mta, listen=ports["mx_ok"]).check(r"451 4\.3\.5 Server configuration error")
    mta.wait_log(r"warning: restriction check_sender_mx_access returns OK for <a@client\.test>")


def test_address_literal(mta):
    """An address in place of a domain is looked up as the address."""
    try_rcpt(mta, sender="a@[192.0.2.66]", listen=ports["literal"]).check("554 ")
    assert try_rcpt(mta, sender="a@[192.0.2.67]", listen=ports["literal"]).code == 250


def test_footer_lines(mta):
    """Each line of a footer has the code and status of the reply; postconf(5)."""
    reply = try_rcpt(mta, listen=ports["lines"])
    assert reply.lines == ["554-5.7.1 <alice@example.test>: Recipient address rejected: not here",
                           "554-5.7.1 first 127.0.0.1", "554 5.7.1 second yes"]


def test_logged_permit(mta):
    """A permit by a table names action and table; postconf(5) smtpd_log_access_permit_actions."""
    assert try_rcpt(mta, listen=ports["logged"]).code == 250
    mta.wait_log(r"permit: RCPT from localhost\[127\.0\.0\.1\]: action=OK for Sender "
                 r"address=a@client\.test from static:OK; from=<a@client\.test>")


def test_endless_classes(mta):
    """A table and a class that name each other end in 451, not in a crash."""
    try_rcpt(mta, listen=ports["loop"]).check(r"451 4\.3\.5 ")


def test_unknown_word_in_table(mta):
    """What stands in front of an unknown word in a table's value counts."""
    assert try_rcpt(mta, listen=ports["word"]).code == 250
    try_rcpt(mta, listen=ports["word"], source="192.0.2.9").check(r"451 4\.3\.5 ")


@pytest.mark.parametrize("restrictions, said", [
    ("reject_maps_rbl", "retired"),
    ("check_policy_service foo:bar", "no address of a policy service"),
    ("check_policy_service { inet:127.0.0.1:1, tryst=2 }", "bad option of a policy service"),
    ("check_sender_access", "needs an argument"),
    ("check_address_map static:x", "unknown restriction"),
    ("permit_everything", "unknown restriction"),
])
def test_refused_at_start(make_mta, restrictions, said):
    """A list that cannot be carried out stops smtpd at start; nothing is let through unasked."""
    instance = make_mta(start=False, main={"smtpd_recipient_restrictions": restrictions})
    assert instance.control("start").code != 0
    log = instance.log(all=True)
    assert said in log and "smtpd_recipient_restrictions: " in log
