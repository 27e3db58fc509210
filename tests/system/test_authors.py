"""smtpd_header_from_login_check: who has logged in writes as whom."""

import pytest

ALICE, BOB = "alice@example.test", "bob@example.test"
WARN, REJECT, ADD, LOCAL, BROKEN = 1, 2, 3, 4, 5
REFUSED = r"550 5\.7\.1 <{}>: Sender address rejected: not owned by user alice"


@pytest.fixture(scope="module")
def mta(make_mta):
    """A listener for each setting; LOCAL completes headers, BROKEN has a table that fails."""
    check = ("inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes"
             " -o smtpd_header_from_login_check")
    instance = make_mta(
        start=False,
        main={
            "smtpd_sasl_type": "passwd",
            "smtpd_sasl_passwd_delay": "0",
            "myorigin": "example.test",
            "recipient_delimiter": "+",
            "local_header_rewrite_clients": "",
            "alias_maps": "inline:{{office=alice, |cat, /dev/null}, {sales=office, bob}}",
            "virtual_alias_domains": "virtual.test",
            "virtual_alias_maps": "inline:{{info@virtual.test=alice, bob}, {a@virtual.test=b@virtual.test},"
                                  " {b@virtual.test=a@virtual.test}, {boss@virtual.test=alice}}",
            "smtpd_sender_login_maps": "inline:{{alice@example.test=alice}, {bob@example.test=bob},"
                                       " {boss@virtual.test=boss}, {@own.test=alice}}",
        },
        services=[
            f"LISTEN{WARN} {check}=warn", f"LISTEN{REJECT} {check}=reject",
            f"LISTEN{ADD} {check}=add_sender",
            f"LISTEN{LOCAL} {check}=reject -o smtpd_client_restrictions=permit"
            " -o local_header_rewrite_clients=permit_sasl_authenticated",
            f"LISTEN{BROKEN} {check}=reject -o smtpd_sender_login_maps=fail:broken",
        ],
    )
    assert instance.run("postern", "user", "add", "alice", stdin="secret\n").code == 0
    return instance.start()


def send(mta, listen, head, expect=250, sender=ALICE, user="alice"):
    """Sends a message with that head; what is in bob's mailbox when it was taken."""
    with mta.smtp(listen) as c:
        c.ehlo()
        if user:
            c.auth_plain(user, "secret")
        c.mail(sender)
        c.rcpt(BOB)
        c.data(f"{head}Subject: x\r\n\r\ntext\r\n", expect=expect)
    return mta.wait_maildir("bob")[0] if expect == 250 else None


@pytest.mark.parametrize("author", [
    ALICE, f"Alice <{ALICE}>", f'"B, A" <{ALICE}> (at home (not away))', f"{ALICE} (Alice)",
    "ALICE@Example.Test", "alice+list@example.test", f"{ALICE}, office@example.test",
    "=?utf-8?q?M=C3=BCller?= <sales+x@example.test>", "info@virtual.test", "anything@own.test",
    f"Team: {ALICE}, office@example.test;", f"A\r\n\t<{ALICE}>", '"alice"@example.test',
])
def test_own(mta, author):
    """Her addresses: by the table, with an extension, by aliases of both kinds, by the domain."""
    mail = send(mta, REJECT, f"From: {author}\r\n")
    assert mail.headers("from") == [" ".join(author.split())] and mail.headers("sender") == []


@pytest.mark.parametrize("author, named", [
    (BOB, BOB), (f"Alice <{ALICE}>, Bob <{BOB}>", BOB), ("x@elsewhere.test", "x@elsewhere.test"),
    ("boss@virtual.test", "boss@virtual.test"), ("a@virtual.test", "a@virtual.test"),
    (f"Team: {BOB};", BOB), ("nobody@example.test", "nobody@example.test"),
])
def test_not_own(mta, author, named):
    """Others' addresses: the reply and the log name the first of them."""
    send(mta, REJECT, f"From: {author}\r\n", expect=REFUSED.format(named))
    mta.wait_log(rf"smtpd\[\d+\]: [0-9A-Z]+: reject: END-OF-MESSAGE from \S+: {REFUSED.format(named)};"
                 rf" from=<{ALICE}> to=<{BOB}> proto=ESMTP helo=<\S+> sasl_method=PLAIN"
                 " sasl_username=alice")


def test_warn(mta):
    """The message goes through as it is, and the log has what would have been the answer."""
    mail = send(mta, WARN, f"From: {BOB}\r\nSender: {BOB}\r\n")
    assert mail.headers("from") == mail.headers("sender") == [BOB]
    mta.wait_log(f"reject_warning: END-OF-MESSAGE from .*{REFUSED.format(BOB)}")


@pytest.mark.parametrize("head, sender, expected", [
    (f"From: {BOB}\r\n", ALICE, [ALICE]),
    (f"From: {BOB}\r\nSender: {BOB}\r\nSENDER : x@elsewhere.test\r\n", ALICE, [ALICE]),
    (f"From: {BOB}\r\nFrom: {ALICE}\r\n", "office@example.test", ["office@example.test"]),
    (f"From: {BOB}\r\n", "x@elsewhere.test", ["alice@example.test"]),
    ("", "", [ALICE]),
    (f"From: {ALICE}\r\n", ALICE, []),
    (f"From: {ALICE}\r\nSender: {BOB}\r\n", ALICE, []),
    (f"From: {ALICE}\r\nSender: office@example.test\r\n", ALICE, ["office@example.test"]),
])
def test_add_sender(mta, head, sender, expected):
    """Sender: names an address of the login when From: does not, and never a stranger's."""
    mail = send(mta, ADD, head, sender=sender)
    assert mail.headers("sender") == expected
    assert bool(mta.grep_log("add_sender: END-OF-MESSAGE from .*: Sender: ")) == (
        bool(expected) and "office@example.test\r\n" not in head)


def test_session_goes_on(mta):
    """A refusal ends the message, not the session."""
    with mta.smtp(REJECT) as c:
        c.ehlo()
        c.auth_plain("alice", "secret")
        for author, expect in ((BOB, 550), (ALICE, 250), (BOB, 550), (ALICE, 250)):
            c.mail(ALICE)
            c.rcpt(BOB)
            c.data(f"From: {author}\r\n\r\ntext\r\n", expect=expect)
    mta.wait_maildir("bob", count=2)


def test_without_login(mta):
    """Nobody has logged in, or nothing is asked for: any From: goes."""
    send(mta, REJECT, "From: x@elsewhere.test\r\n", user=None)


def test_added_from(mta):
    """Where cleanup adds From:, its address is the sender of the envelope, and that is checked."""
    assert send(mta, LOCAL, "").headers("from") == [ALICE]
    send(mta, LOCAL, "", sender=BOB, expect=REFUSED.format(BOB))
    send(mta, LOCAL, "", sender="", expect="550 5.7.1 .*no single clear From: header")
    send(mta, REJECT, "", expect="550 5.7.1 .*no single clear From: header")


def test_table_fails(mta):
    """A table that does not answer puts mail off."""
    send(mta, BROKEN, f"From: {ALICE}\r\n", expect=r"451 4\.3\.0 .*Temporary lookup failure")
    mta.wait_log("warning: smtpd_sender_login_maps: ")
