"""Group H, bounces and backscatter."""

import pytest
from attack import MAIN, alive, clean_log, queued, settled, stranger
from mta import write_home

FAIL = "x@bad.test"


@pytest.fixture(scope="module")
def mta(make_mta):
    return make_mta({
        **MAIN, "relay_domains": "bad.test", "message_size_limit": "30000000",
        "transport_maps": "inline:{bad.test=smtp:[198.51.100.1]}",
        "recipient_delimiter": "+",
    })


@pytest.fixture(autouse=True)
def _log(mta, make_sink):
    make_sink().rule("RCPT", "550 5.1.1 no such user")
    yield
    clean_log(mta)


def notices(mta):
    return mta.grep_log(r"/bounce\[\d+\]: \w+: sender .*notification: ")


def test_H1(mta):
    """What has no sender and fails is gone."""
    qid = mta.inject(FAIL, sender="")
    mta.wait_delivery(qid, status="bounced")
    settled(mta)
    assert not notices(mta) and queued(mta) == 1


def test_H2(mta):
    """A message that was here before."""
    qid = mta.inject("alice@example.test", "Delivered-To: alice@example.test\nSubject: x\n\nx\n",
                     sender="bob@example.test")
    assert mta.wait_delivery(qid)["dsn"] == "5.4.6"
    mta.wait_maildir("bob")
    settled(mta)
    assert len(notices(mta)) == 1 and not mta.maildir("alice")


def test_H3(mta):
    """Two who forward to each other."""
    write_home("alice", ".forward", "bob@example.test\n")
    write_home("bob", ".forward", "alice@example.test\n")
    mta.inject("alice@example.test", sender="carol@example.test")
    mta.wait_maildir("carol")
    settled(mta)
    assert len(notices(mta)) == 1 and queued(mta) <= 5


def test_H3_hosts(make_mta):
    """Two hosts that forward to each other."""
    other = {"a": "b", "b": "a"}
    hosts = {}
    for name in other:
        hosts[name] = make_mta({
            **MAIN, "mydestination": f"{name}.test", "myhostname": f"mail.{name}.test",
            "alias_maps": f"inline:{{ {{alice=alice@{other[name]}.test}} }}"}, start=False)
    for name, own in hosts.items():
        host = hosts[other[name]]
        own.main["transport_maps"] = (
            f"inline:{{ {{{other[name]}.test=smtp:[{host.host}]:{host.port()}}} }}")
        own.write_main()
        own.start()
    hosts["a"].inject("alice@a.test", sender="carol@a.test")
    notice, = hosts["a"].wait_maildir("carol")
    assert notice.dsn().recipients[0]["Status"] == "5.4.6"
    for own in hosts.values():
        own.wait_empty_queue()
        clean_log(own)
    assert queued(hosts["a"]) + queued(hosts["b"]) <= 6
    assert sum(len(notices(own)) for own in hosts.values()) == 1


@pytest.mark.parametrize("sender,rcpt,head", [
    ("", "alice@example.test", "Auto-Submitted: auto-replied\nContent-Type: multipart/report\n"),
    ("carol@example.test", "alice@example.test", "Precedence: bulk\nReply-To: carol@example.test\n"),
    ("carol@example.test", "alice@example.test",
     "Return-Receipt-To: carol@example.test\nDisposition-Notification-To: carol@example.test\n"),
    ("list-request@example.test", "alice@example.test", "List-Id: <list.example.test>\n"),
    ("carol@example.test", "alice+request@example.test", "Errors-To: carol@example.test\n")])
def test_H9(mta, sender, rcpt, head):
    """Nothing here answers by itself: a message is delivered, and that is all, also to a null sender
    that asks for a notification."""
    mta.inject(rcpt, head + "Subject: x\n\nx\n", sender=sender,
               rcpt_params="" if sender else "NOTIFY=SUCCESS,FAILURE,DELAY")
    mta.wait_maildir("alice")
    settled(mta)
    assert queued(mta) == 1 and not notices(mta) and not mta.maildir("carol")


def test_H4(mta):
    """Unknown users are refused in the session."""
    c = stranger(mta)
    c.mail("bob@example.test")
    c.rcpt("nobody-here@example.test", expect="550 5.1.1")
    alive(c)
    c.close()
    settled(mta)
    assert not notices(mta) and queued(mta) == 0


def test_H5(mta):
    """A thousand failures are one notice."""
    c = stranger(mta)
    c.mail("bob@example.test")
    for first in range(0, 1000, 100):
        for reply in c.pipeline(*(
                f"RCPT TO:<x{n}@bad.test> NOTIFY=SUCCESS,FAILURE,DELAY"
                for n in range(first, first + 100))):
            reply.check(250)
    c.data("Subject: x\n\n" + "y" * 70 + "\n")
    mail, = mta.wait_maildir("bob", timeout=30)
    settled(mta)
    assert len(notices(mta)) == 1
    assert len(mail.dsn().recipients) == 1000 and len(mail) < 1 << 20


def test_H6(mta):
    """A bounce does not return a large message."""
    mta.inject(FAIL, "Subject: x\n\n" + ("y" * 70 + "\n") * 280000, sender="bob@example.test",
               mail_params="RET=FULL")
    mail, = mta.wait_maildir("bob", timeout=30)
    assert len(mail) < 60000


@pytest.mark.parametrize("orcpt", ["b+0AX-Inj:+20yes", "b+0D+0AX-Inj:+20yes", "a+1Bb"])
def test_H7(mta, orcpt):
    """Control characters in an original recipient are refused."""
    c = stranger(mta)
    c.mail("bob@example.test")
    c.rcpt(FAIL, f"ORCPT=rfc822;{orcpt}", "501")
    alive(c)


@pytest.mark.parametrize("envid", ["a+00b", "a+0Db", "a+0Ab", "a+", "a+0", "a+zz"])
def test_H8(mta, envid):
    """Control characters and bad encoding in an envelope id."""
    c = stranger(mta)
    c.mail("bob@example.test", f"ENVID={envid}", "501")
    c.mail("bob@example.test")
    c.rcpt(FAIL, "ORCPT=rfc822;a+00b", "501")
    alive(c)


def test_H10(mta):
    """VRFY and EXPN tell nothing."""
    c = stranger(mta)
    for verb in ("VRFY", "EXPN"):
        known, unknown = (c.cmd(f"{verb} {name}", "252|50[02]") for name in ("alice", "nobody-here"))
        assert known.code == unknown.code
    alive(c)
