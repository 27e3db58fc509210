"""Group C, hostile servers and DNS."""

import re
import socket
import threading
import time

import pytest
from attack import MAIN, clean_log, queued, settled, stranger
from dnsd import _TCP
from dnslib import RD
from mta import STABLE_QUEUE, poll

HOST = "198.51.100.1"


class Hostile:
    """A server whose replies are bytes: answers maps a verb to what is sent in place of a
    polite reply, or to a function that gets the socket."""

    def __init__(self, **answers):
        self.answers, self.taken, self.sent = answers, b"", 0
        self.sessions = 0
        self.ended = threading.Event()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((HOST, 25))
        self.listener.listen(10)
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.sessions += 1
            with sock:
                try:
                    self.serve(sock)
                except OSError:
                    pass
            self.ended.set()

    def say(self, sock, verb, polite):
        answer = self.answers.get(verb, polite)
        if callable(answer):
            answer(sock)
        else:
            sock.sendall(answer)
        return answer

    def serve(self, sock):
        sock.settimeout(30)
        self.say(sock, "CONNECT", b"220 hostile.test ESMTP\r\n")
        lines, content = sock.makefile("rb"), False
        for line in lines:
            self.taken += line
            if content:
                if line != b".\r\n":
                    continue
                content, verb = False, "DOT"
            else:
                verb = line[:4].decode("latin-1").strip().upper()
            polite = b"354 go\r\n" if verb == "DATA" else b"250 ok\r\n"
            answer = self.say(sock, verb, polite)
            content = verb == "DATA" and not callable(answer) and answer[:1] == b"3"
            if verb == "QUIT":
                return

    def endless(self, unit):
        """A function that sends unit again and again, at most 64 MB."""
        block = unit * (65536 // len(unit))

        def send(sock):
            while self.sent < 64 << 20:
                self.sent += sock.send(block)
        return send


@pytest.fixture(scope="module")
def mta(make_mta):
    return make_mta({
        **MAIN, **STABLE_QUEUE, "smtp_helo_timeout": "6s", "smtp_mail_timeout": "3s",
        "smtp_rcpt_timeout": "3s", "relay_domains": "$mydomain",
        "transport_maps": f"inline:{{{{hostile.test=smtp:[{HOST}]}}, {{other.test=smtp:[198.51.100.2]}}}}",
        "smtp_quit_timeout": "1s",
    })


@pytest.fixture(autouse=True)
def _log(mta):
    yield
    clean_log(mta)


def outcome(mta, timeout=15):
    """The record of the delivery of a message to the hostile server."""
    qid = mta.inject("x@hostile.test", sender="alice@example.test")
    return mta.wait_delivery(qid, timeout=timeout)


def test_C1(mta, make_sink):
    """A greeting that comes a byte at a time; others get their mail meanwhile."""
    def drip(sock):
        for _ in range(200):
            sock.send(b"2")
            time.sleep(0.2)
    sink = make_sink("198.51.100.2")
    with Hostile(CONNECT=drip) as server:
        start = time.monotonic()
        qid = mta.inject("x@hostile.test", sender="alice@example.test")
        poll(lambda: server.sessions)
        for number in range(10):
            mta.inject(f"x{number}@other.test", sender="alice@example.test")
        sink.wait(10)
        assert not mta.deliveries(qid)
        assert mta.wait_delivery(qid)["status"] == "deferred"
        assert time.monotonic() - start < 20  # all of it would take twice as long


@pytest.mark.parametrize("verb", ["CONNECT", "EHLO", "MAIL", "DOT"])
@pytest.mark.parametrize("unit", [b"x", b"250-x\r\n", b"250-\r\n", b"\0"])
def test_C2(mta, verb, unit):
    """Replies without an end are given up."""
    with Hostile() as server:
        server.answers[verb] = server.endless(unit)
        got = outcome(mta)
        assert got["status"] == "deferred" and got["dsn"] == "4.5.0", got
        assert server.ended.wait(5)
        assert server.sent < 16 << 20


@pytest.mark.parametrize("raw", [
    b"25\r\n", b"999 x\r\n", b"\r\n", b"\0\0\0\r\n", b"\xff\xfe ok\r\n", b"hello\r\n", b"2500 x\r\n",
    b"150 x\r\n", b"-50 x\r\n"])
def test_C3(mta, raw):
    """What is no reply is a protocol error, and the message waits."""
    with Hostile(RCPT=raw, RSET=b""):
        got = outcome(mta)
    assert got["status"] == "deferred" and got["dsn"].startswith("4."), got


@pytest.mark.parametrize("raw", [b"250\r\n", b"250 \r\n", b"250-a\r\n250\r\n", b"250-\r\n250 \r\n"])
def test_C3_bare(mta, raw):
    """A reply may be a code and no more: so says RFC 5321 4.2."""
    with Hostile(RCPT=raw):
        assert outcome(mta)["status"] == "sent"


@pytest.mark.parametrize("raw", [b"250 ok\n", b"250-a\n250 b\r\n", b"550-x\r\n250 y\r\n",
                                 b"250-x\r\n550 y\r\n", b"250-x\r\n251 y\r\n", b"550 no\n"])
def test_C3_sloppy(mta, raw):
    """Lone newlines and codes that differ are protocol errors, unless smtp_strict_replies = no."""
    with Hostile(RCPT=raw, RSET=b""):
        got = outcome(mta)
    assert got["status"] == "deferred" and got["dsn"].startswith("4."), got


def test_C3_lenient(mta):
    """Without smtp_strict_replies the last line counts, however it ends."""
    with mta.settings(smtp_strict_replies="no"), Hostile(RCPT=b"550-x\n250 y\n"):
        assert outcome(mta)["status"] == "sent"


@pytest.mark.parametrize("injected", [b"550 injected\r\n", b"250-x\r\n250 AUTH PLAIN\r\n", b"250 "])
def test_C4(mta, ca, injected):
    """What a reply to STARTTLS brings along in the clear is no reply to what is said in TLS."""
    context = ca.issue("hostile.test").context()
    said = []

    def start_tls(sock):
        sock.sendall(b"220 go\r\n" + injected)
        server.answers["CONNECT"] = b""
        said.append(server.taken)
        server.serve(context.wrap_socket(sock, server_side=True))
    with mta.settings(smtp_tls_security_level="encrypt"), \
            Hostile(EHLO=b"250-hostile.test\r\n250 STARTTLS\r\n", STAR=start_tls) as server:
        assert outcome(mta)["status"] == "sent"
        assert b"MAIL" not in said[0] and b"MAIL" in server.taken and b"AUTH" not in server.taken


@pytest.mark.parametrize("answer", [
    b"", b"220 go\r\n", b"220 go\r\n250 ok\r\n", b"454 later\r\n", b"554 no\r\n", b"250 ok\r\n"])
@pytest.mark.parametrize("is_offered", [True, False])
def test_C12(mta, answer, is_offered):
    """Where TLS is a must, a server that has none, or breaks it, gets no mail."""
    offer = b"250-hostile.test\r\n250 STARTTLS\r\n" if is_offered else b"250 hostile.test\r\n"

    def break_off(sock):
        sock.sendall(answer)
        sock.recv(4096)
        sock.sendall(b"\x15\x03\x03\x00\x02\x02\x28" if b"220" in answer else b"")
    with mta.settings(smtp_tls_security_level="encrypt", smtp_starttls_timeout="2s"), \
            Hostile(EHLO=offer, STAR=break_off) as server:
        got = outcome(mta)
        assert got["status"] == "deferred" and got["dsn"].startswith("4."), got
        assert b"MAIL" not in server.taken and b"RCPT" not in server.taken


@pytest.mark.parametrize("raw", [
    b"553-a\r\n553-\ntype: mda\r\n553 b\r\n", b"553-a\r\n553-b\r\n553-c\r\n553 z\r\n",
    b"553 5.1.1 \x1b[2J\x07%n%s\xff\r\n", b"553 a\rX-Evil: b\r\n"])
def test_C5(mta, raw):
    """The text of an error is one masked record."""
    with Hostile(RCPT=raw, RSET=b"250 ok\r\n"):
        got = outcome(mta)
    assert got["status"] in ("bounced", "deferred"), got
    if got["status"] == "bounced":
        mail, = mta.wait_maildir("alice")
        report = mail.split(b"message/delivery-status", 2)[-1]
        assert b"\ntype: mda" not in report and b"\nX-Evil" not in report and b"\x1b" not in mail


@pytest.mark.parametrize("raw,dsn", [
    (b"550 5.7.2\r\n", "5.7.2"), (b"550\r\n", "5.0.0"), (b"550 \r\n", "5.0.0"),
    (b"550 5.\r\n", "5.0.0"), (b"550-5.7.2\r\n550 5.7.2\r\n", "5.7.2"), (b"550 2.0.0 x\r\n", "5.0.0")])
def test_C6(mta, raw, dsn):
    """Error replies without text."""
    with Hostile(RCPT=raw):
        got = outcome(mta)
    assert got["status"] == "bounced" and got["dsn"] == dsn
    mta.wait_maildir("alice")


def test_C7(mta):
    """A connection that ends after the final dot is tried again."""
    def drop(sock):
        sock.shutdown(socket.SHUT_RDWR)
    with Hostile(DOT=drop) as server:
        qid = mta.inject("x@hostile.test", sender="alice@example.test")
        assert mta.wait_delivery(qid)["status"] == "deferred"
        mta.wait_queue(qid, "deferred")
        del server.answers["DOT"]
        mta.flush()
        assert mta.wait_delivery(qid, status="sent")


@pytest.mark.parametrize("trouble,status,dsn", [
    ("SERVFAIL", "deferred", "4.4.3"), ("REFUSED", "deferred", "4.4.3"),
    ("silent", "deferred", "4.4.3"), ("NXDOMAIN", "bounced", "5.4.4|5.1.2"),
    ("nodata", "bounced", "5.4.4|5.1.2")])
def test_C8(mta, dns, trouble, status, dsn):
    """DNS errors: only what is final bounces."""
    domain = f"{trouble.lower()}.test"
    if trouble == "silent":
        dns.silent(domain)
    elif trouble == "nodata":
        dns.txt(domain, "x")
    else:
        dns.rcode(domain, trouble)
    qid = mta.inject(f"x@{domain}", sender="alice@example.test")
    got = mta.wait_delivery(qid, timeout=30)
    assert got["status"] == status and re.fullmatch(dsn, got["dsn"]), got


def test_C8_truncated(mta, dns, _dns):
    """An answer that is cut off, and nobody there who would give the rest, is no answer."""
    dns.mx("cut.test", 0, "mx.cut.test")
    for number in range(300):
        dns.mx("cut.test", 1, f"a-name-that-takes-some-room-{number}.cut.test")
    tcp = _dns._servers[1]
    tcp.shutdown()
    tcp.server_close()
    try:
        qid = mta.inject("x@cut.test", sender="alice@example.test")
        got = mta.wait_delivery(qid, timeout=30)
    finally:
        _dns._servers[1] = _TCP(("127.0.0.1", 53), _dns)
        threading.Thread(target=_dns._servers[1].serve_forever, args=(0.05,), daemon=True).start()
    assert got["status"] == "deferred" and got["dsn"] == "4.4.3", got


def test_C9_null(mta, dns):
    """A null MX."""
    dns.mx("null.test", 0, ".")
    got = mta.wait_delivery(mta.inject("x@null.test", sender="alice@example.test"))
    assert got["status"] == "bounced" and got["dsn"] == "5.1.0"


def test_C9_own(mta, dns):
    """An MX that is this host is a loop."""
    dns.mx("own.test", 0, "mx.own.test")
    dns.a("mx.own.test", "127.0.0.1")
    got = mta.wait_delivery(mta.inject("x@own.test", sender="alice@example.test"))
    assert got["dsn"] in ("5.4.6", "4.4.6", "4.4.1"), got


def test_C9_cname(mta, dns):
    """An MX that is an alias is followed."""
    dns.mx("alias.test", 0, "cname.alias.test")
    dns.cname("cname.alias.test", "real.alias.test")
    dns.a("real.alias.test", HOST)
    with Hostile():
        got = mta.wait_delivery(mta.inject("x@alias.test", sender="alice@example.test"))
    assert got["status"] == "sent"


def test_C9_many(mta, dns):
    """A thousand MX records."""
    for number in range(1000):
        dns.mx("many.test", number, f"mx{number}.many.test")
        dns.a(f"mx{number}.many.test", HOST)
    with Hostile():
        got = mta.wait_delivery(mta.inject("x@many.test", sender="alice@example.test"), timeout=20)
    assert got["status"] == "sent"
    asked = {name for name, kind in dns.queries if name.endswith(".many.test") and kind == "A"}
    assert len(asked) <= 100
    mta.wait_log("warning: many.test: only the first 100 records are used")


def test_C9_txt(mta, dns):
    """As many TXT records as fit an answer, from a block list."""
    dns.a("66.2.0.192.bl.test", "127.0.0.2")
    for number in range(4000):
        dns.txt("66.2.0.192.bl.test", f"{number:x}")
    with mta.settings(smtpd_recipient_restrictions="reject_rbl_client bl.test"):
        c = stranger(mta)
        c.mail("a@client.test")
        reply = c.rcpt("alice@example.test", expect="554 5.7.1 ")
        assert len(str(reply)) < 1024
        c.close()


def test_C9_refused(mta, dns):
    """Domains whose mail host is in 127.0.0.0/8 are refused by those who want it."""
    dns.mx("inside.test", 0, "mx.inside.test")
    dns.a("mx.inside.test", "127.0.0.9")
    table = "cidr:{{127.0.0.0/8 550 5.7.27 loopback}}"
    with mta.settings(smtpd_sender_restrictions=f"check_sender_mx_access {table}",
                      smtpd_recipient_restrictions=f"check_recipient_mx_access {table}"):
        c = stranger(mta)
        c.mail("a@inside.test")
        c.rcpt("alice@example.test", expect="550 5.7.27")
        c.close()
        with mta.smtp() as local:
            local.ehlo()
            local.mail("alice@example.test")
            local.rcpt("x@inside.test", expect="550 5.7.27")


@pytest.mark.parametrize("name", ["a;b.evil.test", "%s%n.evil.test", "a b.evil.test", "-o.evil.test",
                                  "a/b.evil.test", "a\nb.evil.test", "x" * 63 + ".evil.test"])
def test_C10(mta, dns, name):
    """Names in answers that are no host names are not used."""
    dns.remove("evil.test")
    dns.mx("evil.test", 0, name)
    dns.a(name, HOST)
    with Hostile() as server:
        got = mta.wait_delivery(mta.inject("x@evil.test", sender="alice@example.test"))
    assert got["status"] == "sent" if name[:1] == "x" else server.sessions == 0, got


@pytest.mark.parametrize("labels", [
    [b"a\0b", b"evil", b"test"], [b"a\x80b", b"evil", b"test"], [b"a\xc3\xa9", b"evil", b"test"],
    [b"a.b", b"evil", b"test"], [b"x" * 63] * 4 + [b"test"], [b"y" * 63] * 5, [b"\x1b[2J"], [b"\r\n"]],
    ids=["nul", "80", "utf8", "dot", "261", "320", "escape", "crlf"])
def test_C10_wire(mta, dns, labels):
    """Names that no zone file can have."""
    dns.remove("wire.test")
    name = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    dns.add("wire.test", "MX", RD(b"\0\0" + name))
    with Hostile() as server:
        got = mta.wait_delivery(mta.inject("x@wire.test", sender="alice@example.test"), timeout=30)
    assert server.sessions == 0 and got["status"] in ("deferred", "bounced"), got


def test_C13_8bit(mta):
    """Eight-bit text is encoded for a server that takes seven bits."""
    with Hostile() as server:
        mta.inject("x@hostile.test", "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
                   "Content-Transfer-Encoding: 8bit\n\nüx\n", sender="alice@example.test")
        mta.wait_log("status=sent")
    assert b"=C3=BCx" in server.taken and max(server.taken) < 128


def test_C13_utf8(mta):
    """An internationalized address bounces when the server cannot take it."""
    with Hostile() as server:
        qid = mta.inject("ü@hostile.test", sender="alice@example.test", mail_params="SMTPUTF8")
        got = mta.wait_delivery(qid)
    assert got["status"] == "bounced" and got["dsn"] == "5.6.7"
    assert b"MAIL" not in server.taken
