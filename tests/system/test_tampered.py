"""Never clear text where a policy forbids it, and no mail returned, whatever somebody between smtp and
the server does to the handshake: 100 connections, with CHECK_LONG=1 a thousand."""

from __future__ import annotations

import os
import random
import re
import select
import socket
import ssl
import threading
from collections import Counter

import pytest
from mta import STABLE_QUEUE, TMP, poll
from sink import Sink
from tls_util import secure_root
from web import Web

TRIES = 1000 if os.environ.get("CHECK_LONG") else 100
SEED = int(os.environ.get("TAMPER_SEED", "1"))
EACH = 25
"""Domains of each kind. One message is under way to each: qmgr leaves a domain that failed alone."""

FRONT, BACK = "198.51.100.1", "198.51.100.2"
SECRET = "The-Secret-Of-This-Mail"
LEVELS = ("encrypt", "dane", "secure", "sts")

GREETINGS = (b"554 5.3.2 no\r\n", b"421 4.3.2 later\r\n", b"\0\1\2\xff\r\n", b"220", b"\r\n", b"220-x\r\n")
REFUSALS = (b"454 4.7.0 later\r\n", b"500 what?\r\n", b"501 5.5.4 no\r\n", b"502 5.5.1 no\r\n",
            b"554 5.7.0 no\r\n", b"250 ok\r\n", b"354 go on\r\n", b"nonsense\r\n", b"220-x\r\n220",
            b"2200 ok\r\n", b"\x16\x03\x01\0\0", b"\x15\x03\x01\0\2\2\x28", b"421 4.3.2 bye\r\n")
KEYWORDS = (b"XSTARTTLS", b"STARTTLSX", b"STARTTL", b"START-TLS", b"STARTTLS\0", b"AUTH STARTTLS", b"")

BACKENDS = ("good", "other", "expired", "foreign", "old")


class Gone(Exception):
    """One side has closed."""


class Wire:
    """A socket with lines."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock, self.buffer, self.seen = sock, b"", b""
        sock.settimeout(4)

    def line(self) -> bytes:
        while b"\n" not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                raise Gone
            self.seen += data
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line + b"\n"

    def reply(self) -> bytes:
        reply = self.line()
        while reply.splitlines()[-1][3:4] == b"-":
            reply += self.line()
        return reply


class Tamperer:
    """A proxy for SMTP that does one thing to each connection; `honest`: nothing."""

    KINDS = ("pass", "strip", "keyword", "no_ehlo", "no_hello", "own_name", "greeting", "refuse", "fake",
             "inject", "close", "backend", "flip", "truncate", "drop", "insert", "alert", "version")

    def __init__(self, seed: int) -> None:
        self.seed, self.honest = seed, False
        self.kinds: Counter[str] = Counter()
        self.clear: list[tuple[int, str, bytes]] = []
        """Number and kind of the connection, and what was said in it that should not have been."""
        self.listener = socket.create_server((FRONT, 25), backlog=200)
        self.lock = threading.Lock()
        self.count = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.count += 1
            threading.Thread(target=self.serve, args=(sock, self.count), daemon=True).start()

    def serve(self, sock: socket.socket, number: int) -> None:
        rng = random.Random(f"{self.seed} {number}")
        kind = "pass" if self.honest else rng.choice(self.KINDS)
        backend = rng.choice(BACKENDS[1:]) if kind == "backend" else "good"
        client = Wire(sock)
        try:
            with socket.create_connection((BACK, 2500 + BACKENDS.index(backend)), 4) as other:
                self.talk(client, Wire(other), rng, kind)
        except (Gone, OSError):
            pass
        sock.close()
        with self.lock:
            self.kinds[kind] += not self.honest
            if re.search(rb"MAIL FROM:|RCPT TO:|%s" % SECRET.encode(), client.seen):
                self.clear.append((number, kind, client.seen[:2000]))

    def talk(self, client: Wire, server: Wire, rng: random.Random, kind: str) -> None:
        last = rng.choice(("CONNECT", "EHLO", "STARTTLS")) if kind == "close" else ""
        verb, reply = b"CONNECT", server.reply()
        while True:
            if verb.decode("latin-1") == last:
                return
            edited = self.edit(kind, verb, reply, rng)
            client.sock.sendall(edited)
            if verb == b"STARTTLS" and kind == "fake":
                self.pretend(client)
            if verb == b"STARTTLS" and edited[:4] == b"220 " == reply[:4]:
                return self.relay(client, server, rng, kind)
            line = client.line()
            verb = line.split()[0].upper() if line.strip() else b""
            server.sock.sendall(line)
            reply = server.reply()

    def edit(self, kind: str, verb: bytes, reply: bytes, rng: random.Random) -> bytes:
        """What the client gets to see."""
        if verb == b"EHLO" and kind in ("strip", "keyword"):
            word = b"" if kind == "strip" else rng.choice(KEYWORDS)
            lines = [line[4:] for line in reply.splitlines()]
            lines = [line.replace(b"STARTTLS", word) for line in lines]
            lines = [line for line in lines if line]
            return b"".join(b"250-%s\r\n" % line for line in lines[:-1]) + b"250 %s\r\n" % lines[-1]
        if verb == b"EHLO" and kind == "own_name":
            return b"250-mail.example.test\r\n250 STARTTLS\r\n"
        if verb == b"EHLO" and kind in ("no_ehlo", "no_hello"):
            return rng.choice((b"502 5.5.1 no\r\n", b"550 5.7.1 go away\r\n"))
        if verb == b"HELO" and kind == "no_hello":
            return b"550 5.7.1 go away\r\n"
        if verb == b"CONNECT" and kind == "greeting":
            return rng.choice(GREETINGS)
        if verb == b"STARTTLS" and kind == "refuse":
            return rng.choice(REFUSALS)
        if verb == b"STARTTLS" and kind == "inject":
            return reply + rng.choice((b"250 ok\r\n", b"220 mx\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n"))
        return reply

    def pretend(self, client: Wire) -> None:
        """There is no TLS behind "220"; everything is welcome."""
        while True:
            client.line()
            client.sock.sendall(b"250 ok\r\n")

    def relay(self, client: Wire, server: Wire, rng: random.Random, kind: str) -> None:
        """What is in TLS, or looks like it. The change is made `at` a byte of one direction."""
        is_down = rng.random() < 0.6 or kind == "alert"
        at = 0 if kind == "version" else rng.choice((rng.randrange(8), rng.randrange(200), rng.randrange(3000)))
        if kind == "version":
            is_down = False
        position = {client: 0, server: 0}
        other = {client: server, server: client}
        if client.buffer:
            server.sock.sendall(client.buffer)
        while True:
            ready, _, _ = select.select([client.sock, server.sock], [], [], 4)
            if not ready:
                return
            for wire in (client, server):
                if wire.sock not in ready:
                    continue
                data = wire.sock.recv(65536)
                if not data:
                    return
                if wire is client:
                    client.seen += data
                start = position[wire]
                position[wire] += len(data)
                is_here = (wire is server) == is_down and start <= at < start + len(data)
                if is_here:
                    data = self.spoil(kind, data, at - start, rng)
                other[wire].sock.sendall(data)
                if is_here and kind == "truncate":
                    return

    @staticmethod
    def spoil(kind: str, data: bytes, at: int, rng: random.Random) -> bytes:
        if kind == "flip":
            return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1:]
        if kind == "truncate":
            return data[:at]
        if kind == "drop":
            return data[:at] + data[at + rng.randrange(1, 40):]
        if kind == "insert":
            return data[:at] + rng.randbytes(rng.randrange(1, 40)) + data[at:]
        if kind == "alert":
            return rng.choice((b"\x15\x03\x03\0\2\2\x46", b"\x15\x03\x01\0\2\1\0")) + data
        if kind == "version":
            return data.replace(b"\3\4", b"\3\2").replace(b"\3\3", b"\3\1")
        return data


# The cases.


def domains(level: str) -> list[str]:
    return [f"d{i}.{level}.test" for i in range(EACH)]


ALL = [domain for level in LEVELS for domain in domains(level)]


@pytest.fixture(scope="module")
def backends(ca):
    """Servers behind the proxy; all but the first have a bad certificate, or an old TLS."""
    names = [f"mx.{level}.test" for level in LEVELS]
    foreign = type(ca)(ca.dir.parent / "foreign-tampered", "Foreign CA")
    good = ca.issue("mx", *names)
    certs = {"good": good, "other": ca.issue("nobody.test"), "expired": ca.issue("mx", *names, days=-1),
             "foreign": foreign.issue("mx", *names), "old": good}
    sinks = {}
    for i, name in enumerate(BACKENDS):
        context = certs[name].context()
        if name == "old":
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
            context.set_ciphers("ALL:@SECLEVEL=0")
        sinks[name] = Sink(BACK, 2500 + i, tls=context)
    sinks["good"].tlsa = good.tlsa()
    yield sinks
    for sink in sinks.values():
        sink.close()


@pytest.fixture(scope="module")
def web(ca, dns):
    web = Web(TMP / "web-tampered", dns)
    cert = ca.issue("web", *(f"mta-sts.{domain}" for domain in domains("sts")))
    for domain in domains("sts"):
        dns.txt(f"_mta-sts.{domain}", "v=STSv1; id=1;")
        web.site(f"mta-sts.{domain}", cert)
        web.policy(domain, "version: STSv1\nmode: enforce\nmx: mx.sts.test\nmax_age: 86400\n")
    web.start()
    yield web
    web.stop()


@pytest.fixture(scope="module")
def mta(make_mta, dns, ca, web, backends):
    secure_root(dns)
    for level in LEVELS:
        dns.a(f"mx.{level}.test", FRONT)
        for domain in domains(level):
            dns.mx(domain, 10, f"mx.{level}.test")
    dns.tlsa("_25._tcp.mx.dane.test", 3, 1, 1, backends["good"].tlsa)
    dns.secure("dane.test")
    return make_mta(main={
        **STABLE_QUEUE,
        "compatibility_level": "3.11",
        "smtp_dns_support_level": "dnssec",
        "smtp_tls_CAfile": str(ca.cert),
        "smtp_tls_policy_maps": "inline:{ {.encrypt.test=encrypt} {.dane.test=dane} "
                                "{.secure.test = secure match=hostname} }",
        "smtp_tls_loglevel": "1",
        "smtp_tls_session_cache_database": "btree:$data_directory/smtp_scache",
        "smtp_helo_timeout": "8s",
        "smtp_starttls_timeout": "8s",
        "smtp_mail_timeout": "8s",
        "smtp_rcpt_timeout": "8s",
        "smtp_data_init_timeout": "8s",
        "smtp_data_done_timeout": "8s",
        "bounce_queue_lifetime": "1d",
    })


def rcpt(domain: str) -> str:
    return f"x@{domain}"


def one_round(mta, waiting: dict[str, str]) -> None:
    """Tries each domain once: with the mail that waits for it, or a new one."""
    mta.set_mark()
    if waiting:
        # A message is in the log as deferred before it is in that queue, and can be flushed.
        poll(lambda: set(mta.queue_ids("deferred")) >= set(waiting.values()), 30, "deferred mail")
        mta.flush()
    for domain in ALL:
        if domain not in waiting:
            waiting[domain] = mta.inject(rcpt(domain), f"Subject: x\n\n{SECRET}\n",
                                         sender="bob@example.test")

    def outcomes() -> dict[str, str]:
        lines = mta.grep_log(r"to=<x@([^>]+)>.*status=(\w+)")
        return {m[1]: m[2] for m in lines}

    poll(lambda: len(outcomes()) == len(ALL), 60, lambda: f"{set(ALL) - set(outcomes())} tried")
    for domain, status in outcomes().items():
        assert status in ("sent", "deferred"), (domain, status)
        if status == "sent":
            del waiting[domain]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tampered(mta, backends):
    """Nothing in clear text, nothing to a server that is not the right one, nothing returned, and
    nothing lost."""
    tamperer, waiting = Tamperer(SEED), {}
    try:
        while sum(tamperer.kinds.values()) < TRIES:
            one_round(mta, waiting)
        assert not tamperer.clear, tamperer.clear[0]
        tried = dict(tamperer.kinds)
        for name in BACKENDS[1:]:
            reached = {m.rcpts[0].split(".")[1] for m in backends[name].messages}
            # Who only wants encryption takes anybody; the old server is too old for all.
            assert reached <= ({"encrypt"} if name != "old" else set()), (name, reached)
        tamperer.honest = True
        poll(lambda: set(mta.queue_ids("deferred")) >= set(waiting.values()), 30, "deferred mail")
        mta.flush()
        mta.wait_empty_queue(60)
        assert not tamperer.clear, tamperer.clear[0]
    finally:
        tamperer.close()
    assert set(tried) == set(Tamperer.KINDS) or TRIES < 1000, tried
    assert all(m.session.tls for sink in backends.values() for m in sink.messages)
    assert "status=bounced" not in mta.log(all=True)
    print(f"seed {SEED}: {sum(tried.values())} connections: {tried}")

