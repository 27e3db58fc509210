"""Group G, logging in."""

import base64
import os
import socket
import threading
import time

import pytest
from attack import MAIN, STRANGER, alive, clean_log
from auth_server import AuthServer, cram
from client import Client, b64

USERS = {"alice": "secret", "bob": "pw"}


@pytest.fixture(scope="module")
def mta(make_mta):
    """LISTEN0 without AUTH, 1 with Dovecot's protocol, 2 with TLS only, 3 with a file of users,
    4 with a server that talks nonsense."""
    smtpd = "inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes"
    return make_mta(
        {**MAIN, "smtpd_sasl_type": "dovecot", "smtpd_sasl_path": "private/auth",
         "smtpd_hard_error_limit": "100000", "smtpd_sasl_passwd_delay": "0",
         # G5 is about bans; the rate limit would hide them.
         "smtpd_client_auth_rate_limit": "0",
         "smtpd_sender_login_maps": "inline:{alice@example.test=alice}",
         "smtpd_sender_restrictions": "reject_sender_login_mismatch"},
        services=[
            f"LISTEN1 {smtpd}",
            f"LISTEN2 {smtpd} -o smtpd_tls_auth_only=yes",
            f"LISTEN3 {smtpd} -o smtpd_sasl_type=passwd",
            f"LISTEN4 {smtpd} -o smtpd_sasl_path=private/nonsense",
        ],
    )


@pytest.fixture(scope="module")
def _auth(mta):
    server = AuthServer(mta.queue / "private/auth", USERS,
                        ("PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5"))
    yield server
    server.close()


@pytest.fixture(autouse=True)
def auth(mta, _auth):
    yield _auth
    clean_log(mta)


def stranger(mta, listen=1, source=STRANGER):
    c = Client(mta.port(listen), mta.host, source=source)
    c.ehlo()
    return c


def test_G1(mta):
    """AUTH without TLS where it is needed, and where there is none at all."""
    for listen, code in ((0, "50[23]"), (2, "538 5.7.11")):
        c = stranger(mta, listen)
        c.cmd("AUTH PLAIN " + b64("\0alice\0secret"), code)
        c.cmd("AUTH", code)
        alive(c)


@pytest.mark.parametrize("response", [
    "Y", "YQ", "=", "====", "YQ=", "Y=Q=", "YWI=Yg==", "YR==", "a b", "\x00", "YWJj\x00", "\xff" * 8, "%0d",
    "A" * 12287, "A" * 12289, "A" * 70000, "*", " *", "**",
])
@pytest.mark.parametrize("listen", [1, 3])
def test_G2(mta, listen, response):
    """Responses that are no base64, or too long, or a cancellation."""
    c = stranger(mta, listen)
    for command in ("AUTH PLAIN", "AUTH LOGIN"):
        c.cmd(command, 334)
        reply = c.cmd(response.encode("latin-1"))
        assert reply.code in (500, 501, 535), reply
        assert len(response) <= 12288 or reply.code == 500, reply
        alive(c)
    c.cmd("MAIL FROM:<x@client.test>", 250)


def test_G3(mta):
    """While one sends garbage a hundred log in."""
    failed, done = [], threading.Event()

    def spoil():
        while not done.is_set():
            c = stranger(mta, source="192.0.2.67")
            c.cmd("AUTH PLAIN !!!!", 501)
            c.cmd("AUTH CRAM-MD5", 334)
            c.cmd("=", 501)
            c.cmd("AUTH LOGIN", 334)
            c.close()

    def log_in():
        try:
            c = stranger(mta)
            c.auth_plain("alice", "secret")
            c.close()
        except Exception as error:  # whatever it was, the main thread says it
            failed.append(error)

    spoiler = threading.Thread(target=spoil)
    spoiler.start()
    try:
        for _ in range(10):
            threads = [threading.Thread(target=log_in) for _ in range(10)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        done.set()
        spoiler.join()
    assert not failed, failed


def test_G4(mta, auth):
    """A failed mechanism leaves nothing behind for the next."""
    c = stranger(mta)
    for _ in range(3):
        c.cmd("AUTH CRAM-MD5", 334)
        c.cmd(b64("alice " + "0" * 32), 535)
        c.auth_plain("alice", "wrong", expect=535)
        c.cmd("AUTH DIGEST-MD5", 334)
        c.cmd("*", 501)
        c.cmd("AUTH LOGIN", 334)
        c.cmd("*", 501)
    challenge = base64.b64decode(c.cmd("AUTH CRAM-MD5", 334).text).decode()
    c.cmd(b64("bob " + cram(challenge, "pw")), 235)
    assert c.cmd("AUTH PLAIN " + b64("\0alice\0secret")).code == 503


@pytest.mark.parametrize("net, limit, sources", [
    ("192.0.2.70", 20, ["192.0.2.70"]),
    ("203.0.113.0/24", 100, [f"203.0.113.{n}" for n in range(1, 60)]),
])
def test_G5(mta, net, limit, sources):
    """Guessing from an address, or all over its network, ends soon and for all of it. (That
    a /64 counts as one address: tests/system/test_sasl.py.)"""
    seen, start = 0, time.monotonic()
    for number in range(1000):
        try:
            c = Client(mta.port(1), mta.host, source=sources[number % len(sources)], banner=None)
        except OSError:
            break
        if c.reply().code == 421:
            break
        c.ehlo()
        seen += c.auth_plain("alice", f"x{number}", expect=None).code == 535
        c.close()
    assert limit / 2 < seen < limit + 5 and time.monotonic() - start < 60, seen
    assert mta.run("postern", "ban", "del", net).code == 0


def test_G6(mta):
    """AUTH twice, in a transaction, before EHLO, and after HELO."""
    c = stranger(mta)
    c.mail("x@client.test")
    c.cmd("AUTH PLAIN " + b64("\0alice\0secret"), 503)
    c.cmd("RSET", 250)
    c.auth_plain("alice", "secret")
    c.cmd("AUTH PLAIN " + b64("\0bob\0pw"), 503)
    c = Client(mta.port(1), mta.host, source=STRANGER)
    c.cmd("AUTH PLAIN " + b64("\0alice\0secret"), 503)


GARBAGE = {
    "nothing": b"", "no protocol": b"hello\n", "nul": b"VERSION\t1\t2\nMECH\tPLAIN\0\nDONE\n",
    "version": b"VERSION\t9\t1\nMECH\tPLAIN\nDONE\n", "no version": b"MECH\tPLAIN\nDONE\n",
    "no end": b"VERSION\t1\t2\nMECH\tPLAIN\n" + b"MECH\tX\n" * 2000,
    "long": b"VERSION\t1\t2\n" + b"x" * 1_000_000 + b"\n",
    "names": b"VERSION\t1\t2\nMECH\t" + b"A" * 500 + b"\nMECH\t\nMECH\nMECH\tA B\nDONE\n",
}
ANSWERS = {
    "OK": b"OK\n", "OK id": b"OK\t@\n", "no user": b"OK\t@\tuser=\n", "other id": b"OK\t4294967295\tuser=alice\n",
    "bad id": b"OK\t-@\tuser=alice\n", "huge id": b"OK\t99999999999999999999\tuser=alice\n",
    "nul": b"OK\t@\tuser=al\0ice\n", "escape": b"OK\t@\tuser=al\x01nice\n",
    "newline": b"OK\t@\tuser=al\rice\n", "long": b"OK\t@\tuser=" + b"a" * 1_000_000 + b"\n",
    "long name": b"OK\t@\tuser=" + b"a" * 600 + b"\n",
    "challenge": b"CONT\t@\t!!!\n", "no challenge": b"CONT\n", "empty": b"\n", "fail": b"FAIL\n",
    "close": b"",
}


def dovecot_of(mta, greeting, answer):
    """A server that says that, whatever it hears."""
    path = mta.queue / "private/nonsense"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    os.chmod(path, 0o666)
    listener.listen(10)

    def serve():
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            try:
                sock.sendall(greeting)
                for line in sock.makefile("rb"):
                    if line.startswith(b"AUTH\t"):
                        sock.sendall(answer.replace(b"@", line.split(b"\t")[1]))
                        break
            except OSError:
                pass
            sock.close()

    threading.Thread(target=serve, daemon=True).start()

    def end():
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        path.unlink()
    return end


@pytest.mark.parametrize("what", [*GARBAGE, *(f"answer {a}" for a in ANSWERS)])
def test_G7(mta, what):
    """An authentication server that talks nonsense: 454 or 535, never 235, and mail still comes in."""
    good = b"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nDONE\n"
    answer = ANSWERS.get(what.removeprefix("answer "), b"")
    end = dovecot_of(mta, GARBAGE.get(what, good), answer)
    try:
        c = stranger(mta, 4)
        reply = c.cmd("AUTH PLAIN " + b64("\0alice\0secret"))
        assert reply.code in (454, 535), reply
        c.mail("x@client.test")
        c.rcpt("alice@example.test")
        alive(c)
        c.close()
    finally:
        end()
    stranger(mta).auth_plain("alice", "secret")


def test_G8(mta):
    """Who has logged in sends under no other's address, nor does who has not."""
    c = stranger(mta)
    c.auth_plain("bob", "pw")
    c.mail("alice@example.test")
    c.rcpt("x@client.test", expect=r"553 5\.7\.1 .*not owned by user bob")
    c = stranger(mta)
    c.mail("alice@example.test")
    c.rcpt("alice@example.test", expect=r"553 5\.7\.1 .*not logged in")
