"""LMTP to a real Dovecot and to sockets, by a client in its jail."""

import os
import shutil
from pathlib import Path

import pytest
from dovecot import running
from mail import message
from mta import MTA, TMP

SENDER = "alice@example.test"
FAR = TMP / "far"
"""A directory outside the queue: a jailed client cannot see it."""

only_postern = pytest.mark.skipif(
    MTA == "postfix", reason="a chrooted lmtp of Postfix reaches nothing outside the queue"
)


@pytest.fixture(scope="module")
def mta(make_mta):
    """MTA whose lmtp is chrooted, with ways to each kind of socket."""
    FAR.mkdir()
    FAR.chmod(0o755)
    agent = "unix - - y - - lmtp"
    return make_mta(
        main={
            "transport_maps": f"hash:$config_directory/transport, "
                              f"inline:{{inline.test=lmtp:unix:{FAR}/inline}}",
            "mailbox_transport_maps": "hash:$config_directory/boxes",
            "mailbox_transport": "lmtp:unix:private/box",
            "virtual_transport": f"lmtp:unix:{FAR}/dovecot",
            "virtual_mailbox_domains": "virtual.test",
            "virtual_mailbox_maps": "inline:{carol@virtual.test=1,dave@virtual.test=1}",
        },
        tables={"hash:transport": "private.test lmtp:unix:private/table\n"
                                  "inet.test lmtp:inet:127.0.0.1:2424\n"
                                  f"far.test lmtp:unix:{FAR}/table\n",
                "hash:boxes": f"carol lmtp:unix:{FAR}/secret\n"
                              "dave lmtp:unix:private/down/x\n"
                              "alice lmtp:unix:private/../up\n"},
        services=[f"lmtp {agent}"],
    )


@pytest.fixture
def sock(make_sink):
    """Function that makes an LMTP server at a path, for everybody."""
    made = []

    def make(path):
        sink = make_sink(str(path), lmtp=True)
        os.chmod(path, 0o666)
        made.append(path)
        return sink

    yield make
    for path in made:
        os.unlink(path)


def let_in(path):
    """Lets the mail owner, and only him, connect."""
    shutil.chown(path, "postern" if MTA == "postern" else "postfix")
    os.chmod(path, 0o600)


def deliver(mta, rcpt, **kw):
    return mta.wait_delivery(mta.inject(rcpt, "Subject: t\n\nHello.\n", sender=SENDER), **kw)


def test_mailbox_transport(mta, sock):
    """mailbox_transport hands mail to a socket below the queue directory; local(8)."""
    sink = sock(mta.queue / "private/box")
    r = deliver(mta, "bob@example.test")
    assert (r["status"], r["relay"]) == ("sent", "mail.example.test[private/box]")
    assert sink.wait()[0].rcpts == ["bob@example.test"]


def test_private_from_table(mta, sock):
    """A table may name sockets of the queue directory's private/; transport(5), lmtp(8)."""
    sink = sock(mta.queue / "private/table")
    let_in(mta.queue / "private/table")
    assert deliver(mta, "x@private.test")["status"] == "sent"
    assert sink.wait()[0].session.verb == "LHLO"


def test_socket_is_not_there(mta):
    """Mail for a socket that is not there waits; lmtp(8)."""
    r = deliver(mta, "x@private.test")
    assert (r["status"], r["dsn"]) == ("deferred", "4.4.1")
    assert r["text"].startswith("connect to mail.example.test[private/table]: No such file")


@only_postern
def test_inline_table(mta, sock):
    """A socket that main.cf names within a table is reached from the jail; connect(8)."""
    sink = sock(FAR / "inline")
    assert deliver(mta, "x@inline.test")["status"] == "sent"
    assert sink.wait()[0].rcpts == ["x@inline.test"]


@only_postern
def test_far_from_table(mta, sock):
    """The queue manager vouches for a socket that it found in a table; connect(8)."""
    sink = sock(FAR / "table")
    let_in(FAR / "table")
    assert deliver(mta, "x@far.test")["status"] == "sent"
    assert sink.wait()[0].rcpts == ["x@far.test"]


def test_address_is_no_path(mta, sock):
    """A recipient cannot name a socket; transport(5)."""
    sink = sock(mta.queue / "private/table")
    with mta.settings(default_transport="lmtp:"), mta.smtp() as c:
        c.ehlo()
        c.cmd("MAIL FROM:<>", 250)
        for domain in ("unix:private/table", '"unix:private/table"', "[unix:private/table]"):
            c.cmd(f"RCPT TO:<x@{domain}>", 501)
            qid = mta.submit(f"x@{domain}", "Subject: t\n\n", "-f", "bob@nowhere.test")
            assert mta.wait_delivery(qid)["dsn"] == "5.1.3"
    assert not sink.sessions


@only_postern
@pytest.mark.parametrize("user, path", [
    ("carol", FAR / "secret"), ("alice", "up"), ("dave", "private/down/x"),
])
def test_not_named(mta, sock, user, path):
    """What only a table of local names, outside of private/, is not opened; connect(8)."""
    path = mta.queue / path
    path.parent.mkdir(exist_ok=True)
    sink = sock(path)
    r = deliver(mta, f"{user}@example.test")
    assert r["status"] == "deferred" and "not a server that main.cf or master.cf names" in r["text"]
    assert not sink.sessions


# Dovecot.


@pytest.fixture(scope="module")
def dovecot(mta):
    """Dovecot with LMTP on a socket of the mail owner, far from the queue, and on TCP."""
    if not Path("/usr/lib/dovecot/lmtp").exists():
        pytest.skip("no dovecot-lmtpd")
    owner = "postern" if MTA == "postern" else "postfix"
    path = FAR / "dovecot" if MTA == "postern" else mta.queue / "private/dovecot"
    users = "carol@virtual.test:{PLAIN}x\ndave@virtual.test:{PLAIN}x\nx@inet.test:{PLAIN}x\n"
    with running(mta, users, f"uid=5100 gid=5100 home={TMP}/vmail/%d/%n", f"""
protocols = lmtp
default_internal_user = root
default_internal_group = root
default_login_user = nobody
mail_location = maildir:{TMP}/vmail/%d/%n
service lmtp {{
  chroot =
  unix_listener {path} {{
    mode = 0600
    user = {owner}
  }}
  inet_listener lmtp {{
    address = 127.0.0.1
    port = 2424
  }}
}}
service stats {{
  chroot =
}}
service anvil {{
  chroot =
}}
""", path):
        yield path


def test_dovecot_unix(mta, dovecot):
    """Mail for virtual mailboxes goes to Dovecot's socket, an outcome for each recipient;
    RFC 2033, the Dovecot manual."""
    where = {} if MTA == "postern" else {"virtual_transport": "lmtp:unix:private/dovecot"}
    with mta.settings(**where):
        qid = mta.inject(["carol@virtual.test", "dave@virtual.test"], message(), sender=SENDER)
        for rcpt in ("carol", "dave"):
            r = mta.wait_delivery(qid, f"{rcpt}@virtual.test")
            assert r["status"] == "sent" and "Saved" in r["text"]
    (mail,) = mta.wait_maildir(TMP / "vmail/virtual.test/carol")
    assert mail.header("Return-Path") == f"<{SENDER}>"


def test_dovecot_inet(mta, dovecot):
    """The same over TCP; an unknown user is refused in time; lmtp(8)."""
    r = deliver(mta, "x@inet.test")
    assert (r["status"], r["relay"]) == ("sent", "127.0.0.1[127.0.0.1]:2424")
    r = deliver(mta, "nobody@inet.test")
    assert (r["status"], r["dsn"]) == ("bounced", "5.1.1")
