"""Settings of the SMTP client: where it looks, whom it tries, what it says. One transport each."""

import os
import time
from pathlib import Path

import pytest
from mta import MTA, STABLE_QUEUE

A, B, C = "198.51.100.1", "198.51.100.2", "198.51.100.3"
A6 = "2001:db8::1"
SENDER = "alice@example.test"
DIR = "$config_directory"

since_3_8 = pytest.mark.skipif(MTA == "postfix", reason="new in Postfix 3.8")

SETTINGS = {
    # Transport: its options. NAME.test goes there; its MX is mx.NAME.test, address A.
    "plain": "",
    "best": "-o best_mx_transport=local",
    "besterr": "-o { best_mx_transport = error:5.7.9 not here }",
    "filter": f"-o smtp_dns_reply_filter=regexp:{DIR}/dns",
    "nodns": "-o smtp_dns_support_level=disabled",
    "olddns": "-o disable_dns_lookups=yes",
    "dnsagain": "-o disable_dns_lookups=yes -o smtp_dns_support_level=enabled",
    "dnssec": "-o smtp_dns_support_level=dnssec",
    "native": "-o smtp_host_lookup=native",
    "both": "-o { smtp_host_lookup = dns, native }",
    "cname": "-o smtp_cname_overrides_servername=yes",
    "nocname": "-o smtp_cname_overrides_servername=no",
    "pix": "-o smtp_pix_workaround_threshold_time=0 -o smtp_pix_workaround_delay_time=1s",
    "young": "",
    "silent": "-o { smtp_discard_ehlo_keywords = dsn, silent-discard }",
    "nopix": "-o smtp_pix_workarounds=",
    "mappix": f"-o smtp_pix_workarounds= -o smtp_pix_workaround_maps=inline:{{{{{A}=disable_esmtp}}}}",
    "data": "-o smtp_address_verify_target=data",
    "replies": f"-o smtp_reply_filter=regexp:{DIR}/replies",
    "status": f"-o smtp_delivery_status_filter=regexp:{DIR}/status",
    "discard": f"-o smtp_discard_ehlo_keyword_address_maps=inline:{{{{{A}=pipelining}}}}"
               " -o smtp_discard_ehlo_keywords=dsn",
    "badbind": "-o smtp_bind_address=10.9.8.7",
    "enforce": "-o smtp_bind_address=10.9.8.7 -o smtp_bind_address_enforce=yes",
    "bind6": "-o smtp_bind_address6=2001:db8::9 -o inet_protocols=all",
    "v4first": "-o smtp_address_preference=ipv4 -o inet_protocols=all",
    "v6first": "-o smtp_address_preference=ipv6 -o inet_protocols=all",
    "v6only": "-o inet_protocols=ipv6 -o inet_interfaces=[::1]",
    "balance": "-o smtp_address_preference=ipv4 -o inet_protocols=all -o smtp_mx_address_limit=2",
    "nobalance": "-o smtp_address_preference=ipv4 -o inet_protocols=all -o smtp_mx_address_limit=2"
                 " -o smtp_balance_inet_protocols=no",
    "ordered": "-o smtp_randomize_addresses=no",
    "addresses": "-o smtp_mx_address_limit=1",
    "sessions": "-o smtp_mx_session_limit=1",
    "quote": "",
    "noquote": "-o smtp_quote_rfc821_envelope=no",
    "port": "-o smtp_tcp_port=2525",
    "folded": "-o smtp_line_length_limit=100",
    "unfolded": "-o smtp_line_length_limit=0",
    "parts": f"-o smtp_mime_header_checks=regexp:{DIR}/parts -o smtp_nested_header_checks=regexp:{DIR}/nested",
    "greet5": "-o smtp_skip_5xx_greeting=no",
    "quit": "-o smtp_skip_quit_response=no",
    "noaddr": "-o smtp_defer_if_no_mx_address_found=yes",
    "nomx": "-o ignore_mx_lookup_error=yes",
    "time": "-o smtp_helo_timeout=2s",
    "deadline": "-o smtp_helo_timeout=2s -o smtp_per_request_deadline=yes",
    "oldlink": "-o smtp_connection_cache_destinations=oldlink.test"
               " -o smtp_connection_cache_time_limit=20s -o smtp_connection_reuse_time_limit=3s",
    "srv": "-o { use_srv_lookup = submission, smtp }",
    "srvback": "-o use_srv_lookup=submission -o allow_srv_lookup_fallback=yes",
    "srverror": "-o use_srv_lookup=submission -o ignore_srv_lookup_error=yes",
}

LMTP = {
    "lplain": "",
    "lfinal": "-o lmtp_assume_final=yes",
    "lback": f"-o lmtp_fallback_relay=[{C}]:2424",
    "lport": "-o lmtp_tcp_port=2525",
    "ldata": "-o lmtp_address_verify_target=data",
}


@pytest.fixture(scope="module")
def mta(make_mta, dns):
    """MTA with a transport for each setting."""
    for name in SETTINGS:
        dns.mx(f"{name}.test", 10, f"mx.{name}.test")
        dns.a(f"mx.{name}.test", A)
    with Path("/etc/hosts").open("a") as hosts:
        for name in ("native", "mx.both", "nodns", "olddns"):
            print(f"{B} {name}.test", file=hosts)
        print(f"{B} mx.native.test", file=hosts)
    for name in ("best", "besterr", "plainbest"):
        dns.remove(f"{name}.test")
        dns.mx(f"{name}.test", 10, "mail.example.test")
    dns.a("mail.example.test", "127.0.0.1")
    dns.remove("mx.both.test")
    for name in ("cname", "nocname", "dnssec"):
        dns.remove(f"mx.{name}.test")
        dns.cname(f"mx.{name}.test", f"real.{name}.test")
        dns.a(f"real.{name}.test", A)
    dns.secure("dnssec.test")
    dns.mx("filter.test", 5, "ignored.filter.test")
    dns.a("ignored.filter.test", B)
    dns.mx("allgone.test", 5, "ignored.filter.test")
    for name in ("v4first", "v6first", "bind6", "v6only"):
        dns.aaaa(f"mx.{name}.test", A6)
    for name in ("balance", "nobalance"):
        dns.a(f"mx.{name}.test", B, C)
        dns.aaaa(f"mx.{name}.test", A6)
    for name in ("ordered", "plain", "addresses", "sessions", "greet5"):
        dns.mx(f"{name}.test", 20, f"mx2.{name}.test")
        dns.a(f"mx2.{name}.test", B)
    dns.mx("same.test", 10, "mx.same.test")
    dns.a("mx.same.test", *(f"198.51.100.{i}" for i in range(11, 31)))
    for name in ("noaddr", "noaddr2"):
        dns.remove(f"{name}.test")
        dns.mx(f"{name}.test", 10, "nowhere.test")
    for name in ("nomx", "nomx2"):
        dns.remove(f"{name}.test")
        dns.a(f"{name}.test", A)
    routes = {
        **{f"{name}.test": f"{name}:" for name in SETTINGS},
        **{f"{name}.test": f"{name}:inet:[{A}]" for name in LMTP},
        "lback.test": f"lback:inet:[{B}]:2424",
        "allgone.test": "filter:", "same.test": "ordered:",
        "srv.test": "srv:srv.test:submission", "srvback.test": "srvback:srvback.test:submission",
        "srverror.test": "srverror:srverror.test:submission",
        "srvbase.test": "srv:", "srvnone.test": "srv:srvnone.test:submission",
        "srvnull.test": "srv:srvnull.test:submission", "srvfail.test": "srv:srvfail.test:submission",
        "srvlit.test": "srv:[mx.srv.test]:submission",
        "srvfail2.test": "srverror:srvfail2.test:submission",
        "srvfail3.test": "srvback:srvfail3.test:submission",
    }
    return make_mta(
        main={
            **STABLE_QUEUE,
            "transport_maps": f"hash:{DIR}/transport",
            "smtp_connection_cache_on_demand": "no",
            "inet_interfaces": "127.0.0.1",
        },
        tables={"hash:transport": "".join(f"{k} {v}\n" for k, v in routes.items())},
        files={
            "dns": "/ MX 5 ignored\\.filter\\.test\\.$/ IGNORE\n",
            "replies": "/^garbage/ 250-filler\n/^250 2\\.0\\.0 taken/ 450 4.9.9 not so\n",
            "status": "/^4\\.2\\.1 (.*)/ 5.2.9 $1\n",
            "parts": "/^X-Part: (.*)/ REPLACE X-Seen: $1\n",
            "nested": "/^X-Nested:/ IGNORE\n",
        },
        services=[f"{name} unix - - n - - smtp {options}" for name, options in SETTINGS.items()]
                 + [f"{name} unix - - n - - lmtp {options}" for name, options in LMTP.items()],
    )


def deliver(mta, domain, text="Subject: test\n\nHello.\n", user="x", **kw):
    """First delivery record of a message to a domain."""
    return mta.wait_delivery(mta.inject(f"{user}@{domain}", text, **{"sender": SENDER, **kw}))


# Where mail goes.


def test_best_mx_is_returned(mta):
    """Mail whose best MX is this machine is returned; RFC 5321 5.1, postconf(5)
    best_mx_transport."""
    r = deliver(mta, "plainbest.test")
    assert (r["status"], r["dsn"]) == ("bounced", "5.4.6")


def test_best_mx_transport(mta):
    """best_mx_transport delivers mail whose best MX is this machine; postconf(5)."""
    r = deliver(mta, "best.test", user="bob")
    assert (r["status"], r["relay"]) == ("sent", "local")
    (mail,) = mta.wait_maildir("bob")
    assert mail.header("X-Original-To") == "bob@best.test"
    mta.wait_empty_queue()


def test_best_mx_transport_with_nexthop(mta):
    """best_mx_transport may have a next hop; transport(5)."""
    r = deliver(mta, "besterr.test", user="bob")
    assert (r["status"], r["dsn"]) == ("bounced", "5.7.9") and "not here" in r["text"]
    (bounce,) = mta.wait_maildir("alice")
    assert bounce.dsn().recipients[0]["Status"] == "5.7.9"


@pytest.mark.skipif(MTA == "postfix", reason="about the sockets of Postern's processes")
def test_best_mx_transport_is_all(mta):
    """smtp can speak to no delivery agent but those that best_mx_transport names."""
    agents = {"local", "virtual", "error", "retry", "discard", "lmtp", "relay"}
    assert agents.intersection(os.listdir(mta.queue / "jail/smtp")) == {"local", "error"}


def test_dns_reply_filter(mta, make_sink):
    """Records for which the table says IGNORE are not used; when none is left mail waits;
    postconf(5) smtp_dns_reply_filter."""
    sink = make_sink(A)
    assert deliver(mta, "filter.test")["relay"] == f"mx.filter.test[{A}]:25"
    sink.wait()
    r = deliver(mta, "allgone.test")
    assert (r["status"], r["dsn"]) == ("deferred", "4.7.0")
    assert "DNS reply filter drops all results" in r["text"]


@pytest.mark.parametrize("name, asked, host", [
    ("nodns", 0, B), ("olddns", 0, B), ("dnsagain", 1, A), ("native", 1, B), ("both", 1, B),
])
def test_dns_support_level(mta, make_sink, dns, name, asked, host):
    """Which of DNS and /etc/hosts is asked; postconf(5) smtp_dns_support_level,
    disable_dns_lookups, smtp_host_lookup."""
    make_sink(host)
    r = deliver(mta, f"{name}.test")
    where = f"{name}.test" if not asked else f"mx.{name}.test"
    assert r["relay"] == f"{where}[{host}]:25"
    assert (dns.asked(f"{name}.test", "MX") > 0) == bool(asked)


@pytest.mark.parametrize("name, host", [
    ("cname", "real.cname.test"), ("nocname", "mx.nocname.test"), ("dnssec", "mx.dnssec.test"),
])
def test_cname_overrides_servername(mta, make_sink, name, host):
    """A CNAME of the MX host gives the host its name when configured; postconf(5)
    smtp_cname_overrides_servername, smtp_dns_support_level."""
    make_sink(A)
    assert deliver(mta, f"{name}.test")["relay"] == f"{host}[{A}]:25"


@pytest.mark.parametrize("name, addresses, used", [
    ("v4first", (A, A6), A), ("v6first", (A, A6), A6), ("v6only", (A, A6), A6),
    ("balance", (A6,), A6), ("nobalance", (A6,), None),
])
def test_address_families(mta, make_sink, name, addresses, used):
    """Which family is tried first, and that the other is among those tried; postconf(5)
    smtp_address_preference, inet_protocols, smtp_balance_inet_protocols."""
    for address in addresses:
        make_sink(address)
    r = deliver(mta, f"{name}.test")
    assert r["status"] == ("sent" if used else "deferred")
    if used:
        assert f"[{used}]:25" in r["relay"]


def test_order_of_addresses(mta, make_sink):
    """Without smtp_randomize_addresses the order is that of DNS; postconf(5)."""
    sinks = [make_sink(f"198.51.100.{i}") for i in range(11, 31)]
    for _ in range(3):
        assert deliver(mta, "same.test")["relay"] == "mx.same.test[198.51.100.11]:25"
    assert sum(len(s.sessions) for s in sinks) == 3


def test_address_limit(mta, make_sink):
    """No more addresses than smtp_mx_address_limit are tried; postconf(5)."""
    sink = make_sink(B)
    assert deliver(mta, "plain.test")["relay"] == f"mx2.plain.test[{B}]:25"
    assert deliver(mta, "addresses.test")["status"] == "deferred"
    assert len(sink.sessions) == 1


def test_session_limit(mta, make_sink):
    """No more sessions than smtp_mx_session_limit are begun; postconf(5)."""
    first, second = make_sink(A), make_sink(B)
    first.rule("MAIL", "450 4.9.1 no")
    assert deliver(mta, "plain.test")["status"] == "sent"
    assert deliver(mta, "sessions.test")["dsn"] == "4.9.1"
    assert len(second.sessions) == 1


def test_no_mx_address(mta):
    """An MX without an address returns mail, or defers it with
    smtp_defer_if_no_mx_address_found; postconf(5)."""
    assert deliver(mta, "noaddr.test")["status"] == "deferred"
    assert deliver(mta, "noaddr2.test")["status"] == "bounced"


def test_mx_lookup_error(mta, make_sink, dns):
    """A failed MX lookup defers, or with ignore_mx_lookup_error the address is used;
    postconf(5)."""
    make_sink(A)
    real = dns.answer

    def answer(wire, limit):
        if b"\x04nomx\x04test\0\0\x0f" in wire or b"\x05nomx2\x04test\0\0\x0f" in wire:
            return wire[:2] + b"\x81\x82" + wire[4:6] + bytes(6) + wire[12:]
        return real(wire, limit)

    dns.answer = answer
    try:
        assert deliver(mta, "nomx.test")["relay"] == f"nomx.test[{A}]:25"
        assert deliver(mta, "nomx2.test")["dsn"] == "4.4.3"
    finally:
        del dns.answer


def test_port(mta, make_sink):
    """smtp_tcp_port and lmtp_tcp_port are used where a next hop has none; postconf(5)."""
    make_sink(A, 2525)
    assert deliver(mta, "port.test")["relay"] == f"mx.port.test[{A}]:2525"


def test_lmtp_port(mta, make_sink):
    """The same for LMTP; postconf(5) lmtp_tcp_port."""
    make_sink(A, 2525, lmtp=True)
    assert deliver(mta, "lport.test")["relay"] == f"{A}[{A}]:2525"


def test_lmtp_fallback_relay(mta, make_sink):
    """lmtp_fallback_relay takes over when the destination cannot be reached; postconf(5)."""
    make_sink(C, 2424, lmtp=True)
    assert deliver(mta, "lback.test")["relay"] == f"{C}[{C}]:2424"


# SRV.


@since_3_8
def test_srv(mta, make_sink, dns):
    """The hosts and ports of SRV records are tried by priority, instead of MX; RFC 2782, postconf(5)
    use_srv_lookup."""
    dns.srv("_submission._tcp.srv.test", 20, 0, 2526, "b.srv.test")
    dns.srv("_submission._tcp.srv.test", 10, 0, 2525, "a.srv.test")
    dns.a("a.srv.test", A)
    dns.a("b.srv.test", B)
    make_sink(B, 2526)
    assert deliver(mta, "srv.test")["relay"] == f"b.srv.test[{B}]:2526"
    make_sink(A, 2525)
    assert deliver(mta, "srv.test")["relay"] == f"a.srv.test[{A}]:2525"


@since_3_8
def test_srv_without_port(mta, make_sink, dns):
    """A next hop without port stands for the service smtp_tcp_port; postconf(5) use_srv_lookup."""
    dns.srv("_smtp._tcp.srvbase.test", 1, 1, 2527, "a.srvbase.test")
    dns.a("a.srvbase.test", A)
    make_sink(A, 2527)
    assert deliver(mta, "srvbase.test")["relay"] == f"a.srvbase.test[{A}]:2527"


@since_3_8
def test_srv_literal(mta, make_sink, dns):
    """A host in brackets is that host; postconf(5) use_srv_lookup."""
    make_sink(A, 587)
    assert deliver(mta, "srvlit.test")["relay"] == f"mx.srv.test[{A}]:587"
    assert not dns.asked("_submission._tcp.mx.srv.test", "SRV")


@since_3_8
def test_srv_failures(mta, dns):
    """Without SRV records mail is returned, as it is when the domain offers no such service; a
    failed lookup defers; RFC 2782, postconf(5) allow_srv_lookup_fallback."""
    dns.mx("srvnone.test", 10, "mx.srv.test")
    dns.srv("_submission._tcp.srvnull.test", 0, 0, 0, ".")
    dns.rcode("_submission._tcp.srvfail.test", "SERVFAIL")
    assert deliver(mta, "srvnone.test")["dsn"] == "5.4.4"
    assert deliver(mta, "srvnull.test")["dsn"] == "5.1.0"
    assert deliver(mta, "srvfail.test")["dsn"] == "4.4.3"


@since_3_8
def test_srv_fallback(mta, make_sink, dns):
    """allow_srv_lookup_fallback and, after a failed lookup, ignore_srv_lookup_error go on with MX
    records and the port of the service; postconf(5)."""
    make_sink(A, 587)
    for name in ("srvfail2", "srvfail3"):
        dns.mx(f"{name}.test", 10, f"mx.{name}.test")
        dns.a(f"mx.{name}.test", A)
        dns.rcode(f"_submission._tcp.{name}.test", "SERVFAIL")
        assert deliver(mta, f"{name}.test")["relay"] == f"mx.{name}.test[{A}]:587"
    assert deliver(mta, "srvback.test")["relay"] == f"mx.srvback.test[{A}]:587"
    assert deliver(mta, "srverror.test")["dsn"] == "5.4.4"


# Addresses of our own.


def test_bind_address(mta, make_sink):
    """A bind address that cannot be used is a warning, or with smtp_bind_address_enforce a reason to
    wait; postconf(5)."""
    sink = make_sink(A)
    assert deliver(mta, "badbind.test")["status"] == "sent"
    mta.wait_log(r"warning: .*bind 10\.9\.8\.7")
    r = deliver(mta, "enforce.test")
    assert r["status"] == "deferred" and len(sink.sessions) == 1


def test_bind_address6(mta, make_sink):
    """smtp_bind_address6 is the one for IPv6; postconf(5)."""
    sink = make_sink(A6)
    deliver(mta, "bind6.test")
    assert sink.wait()[0].session.peer == "2001:db8::9"


# The dialogue.


MASKED = "220 ***********************************2******2**0*****"


@pytest.mark.parametrize("name, verb, waits", [
    ("pix", "HELO", True), ("young", "HELO", False), ("nopix", "EHLO", False),
    ("mappix", "HELO", False),
])
def test_pix(mta, make_sink, name, verb, waits):
    """Behind a greeting of asterisks the PIX workarounds are used: HELO, and for old mail a pause
    before the final dot; postconf(5) smtp_pix_workarounds, _maps, _threshold_time, _delay_time."""
    sink = make_sink(A)
    sink.rule("CONNECT", MASKED)
    start = time.monotonic()
    r = deliver(mta, f"{name}.test")
    took = time.monotonic() - start
    session = sink.wait()[0].session
    assert r["status"] == "sent" and session.verb == verb
    # Who does not know better waits for ten seconds.
    assert took > 0.9 if waits else took < 5
    assert (b".\r\n" in session.chunks) == waits or session.chunks[-1] != b".\r\n"
    logged = {"pix": "disable_esmtp delay_dotcrlf", "young": "disable_esmtp",
              "mappix": "disable_esmtp"}.get(name)
    assert [m.group(1) for m in mta.grep_log(r"enabling PIX workarounds: (.*) for ")] == (
        [logged] if logged else [])


def test_pix_only_if_masked(mta, make_sink):
    """A greeting with anything else in it is none of a PIX; postconf(5) smtp_pix_workarounds."""
    sink = make_sink(A)
    sink.rule("CONNECT", "220 *** x")
    deliver(mta, "pix.test")
    assert sink.wait()[0].session.verb == "EHLO"


@pytest.mark.parametrize("domain, lmtp, verbs", [
    ("plain.test", False, ["MAIL", "RCPT"]), ("data.test", False, ["MAIL", "RCPT", "DATA"]),
    ("lplain.test", True, ["MAIL", "RCPT"]), ("ldata.test", True, ["MAIL", "RCPT", "DATA"]),
])
def test_address_verify_target(mta, make_sink, domain, lmtp, verbs):
    """A probe ends behind RCPT, or with smtp_address_verify_target=data behind DATA, and delivers
    nothing; postconf(5)."""
    sink = make_sink(A, 24 if lmtp else 25, lmtp=lmtp)
    mta.sendmail("-bv", "-f", SENDER, f"x@{domain}").ok()
    (report,) = mta.wait_maildir("alice")
    assert report.dsn().recipients[0]["Action"] == "deliverable"
    (session,) = sink.wait_session()
    assert [v for v in session.verbs() if v in ("MAIL", "RCPT", "DATA")] == verbs
    assert not sink.messages


def test_address_verify_target_refused(mta, make_sink):
    """A refusal of DATA decides about a probe; postconf(5) smtp_address_verify_target."""
    sink = make_sink(A)
    sink.rule("DATA", "550 5.1.1 nobody")
    mta.sendmail("-bv", "-f", SENDER, "x@data.test").ok()
    (report,) = mta.wait_maildir("alice")
    recipient = report.dsn().recipients[0]
    assert (recipient["Action"], recipient["Status"]) == ("undeliverable", "5.1.1")


def test_reply_filter(mta, make_sink):
    """smtp_reply_filter replaces single lines of replies; postconf(5)."""
    sink = make_sink(A)
    sink.rule("EHLO", f"garbage\n250-{sink.name}\n250 DSN")
    r = deliver(mta, "replies.test")
    assert (r["status"], r["dsn"]) == ("deferred", "4.9.9")
    assert sink.sessions[0].verb == "EHLO"


def test_delivery_status_filter(mta, make_sink):
    """smtp_delivery_status_filter replaces status and text; postconf(5)."""
    make_sink(A).rule("RCPT", "450 4.2.1 later")
    r = deliver(mta, "status.test")
    assert (r["status"], r["dsn"]) == ("bounced", "5.2.9")


def test_discard_by_address(mta, make_sink):
    """The table with keywords to ignore comes before the list; postconf(5)
    smtp_discard_ehlo_keyword_address_maps."""
    sink = make_sink(A)
    deliver(mta, "discard.test", rcpt_params="NOTIFY=NEVER")
    mail = sink.wait()[0]
    assert mail.rcpt_params["x@discard.test"]["NOTIFY"] == "NEVER"
    assert not any(b"MAIL" in c and b"RCPT" in c for c in mail.session.chunks)
    mta.wait_log(r"smtp\[\d+\]: discarding EHLO keywords: PIPELINING$")


def test_discard_silently(mta, make_sink):
    """With silent-discard nothing is logged; postconf(5) smtp_discard_ehlo_keywords."""
    sink = make_sink(A)
    deliver(mta, "silent.test", rcpt_params="NOTIFY=NEVER")
    assert sink.wait()[0].rcpt_params["x@silent.test"] == {}
    assert not mta.grep_log("discarding EHLO keywords")


@pytest.mark.parametrize("name, path", [
    ("quote", '<"odd..name"@quote.test>'), ("noquote", "<odd..name@noquote.test>"),
])
def test_quoting(mta, make_sink, name, path):
    """Local parts are quoted in the envelope as needed, or never; postconf(5)
    smtp_quote_rfc821_envelope."""
    sink = make_sink(A)
    mta.submit(f'"odd..name"@{name}.test')
    session = sink.wait()[0].session
    assert any(c.startswith(f"RCPT TO:{path}") for c in session.commands)


def test_line_length(mta, make_sink):
    """Lines longer than smtp_line_length_limit go on after a line end and a blank; 0 is no limit;
    postconf(5)."""
    sink = make_sink(A)
    long = "x" * 250
    deliver(mta, "folded.test", f"Subject: t\n\n{long}\n.{long}\n")
    deliver(mta, "unfolded.test", f"Subject: t\n\n{long * 8}\n")
    folded, whole = sink.wait(2)
    lines = folded.data.body.split(b"\r\n")
    assert max(map(len, lines)) <= 101 and b"".join(lines).replace(b" ", b"") == (
        f"{long}.{long}".encode())
    assert whole.data.body == f"{long * 8}\r\n".encode()


def test_checks_of_parts(mta, make_sink):
    """smtp_mime_header_checks see headers of parts, smtp_nested_header_checks those of attached
    messages; postconf(5)."""
    sink = make_sink(A)
    deliver(mta, "parts.test", """\
Subject: t
X-Part: not this one
X-Nested: nor this
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain
X-Part: 1

text
--b
Content-Type: message/rfc822

Subject: inner
X-Nested: 1
X-Part: inner

text
--b--
""")
    text = bytes(sink.wait()[0].data).decode()
    assert "\r\nX-Part: not this one\r\nX-Nested: nor this\r\n" in text
    assert "text/plain\r\nX-Seen: 1\r\n" in text
    assert "Subject: inner\r\nX-Part: inner\r\n" in text


def test_5xx_greeting(mta, make_sink):
    """A 5xx greeting is final without smtp_skip_5xx_greeting; postconf(5)."""
    first, second = make_sink(A), make_sink(B)
    first.rule("CONNECT", "554 5.7.7 go away")
    assert deliver(mta, "plain.test")["relay"] == f"mx2.plain.test[{B}]:25"
    assert deliver(mta, "greet5.test")["dsn"] == "5.7.7"
    assert len(second.sessions) == 1


def test_quit_response(mta, make_sink):
    """The client waits for the reply to QUIT when smtp_skip_quit_response is off; postconf(5)."""
    sink = make_sink(A)
    seen = []

    def slow(session, line):
        time.sleep(0.3)
        seen.append(session.peer)
        return "221 2.0.0 bye"

    sink.rule("QUIT", slow)
    assert deliver(mta, "quit.test")["status"] == "sent"
    sink.wait_session()
    assert seen


def test_per_request_deadline(mta, make_sink):
    """Time limits are for each read, or with smtp_per_request_deadline for the whole reply;
    postconf(5)."""
    sink = make_sink(A)

    def trickle(session, line):
        for _ in range(3):
            (connection,) = sink._connections
            connection.sendall(b"250-slow\r\n")
            time.sleep(1)
        return "250 DSN"

    sink.rule("EHLO", trickle)
    assert deliver(mta, "time.test")["status"] == "sent"
    sink.wait_session()
    r = deliver(mta, "deadline.test")
    assert (r["status"], r["dsn"]) == ("deferred", "4.4.2") and "timed out" in r["text"]


def test_reuse_time_limit(mta, make_sink):
    """A connection is not used for longer than smtp_connection_reuse_time_limit; postconf(5)."""
    sink = make_sink(A)
    for _ in range(2):
        mta.wait_sent(mta.inject("x@oldlink.test", sender=SENDER))
    assert len(sink.sessions) == 1
    time.sleep(4.2)  # What is tested is that time has passed.
    deliver(mta, "oldlink.test")
    assert len(sink.sessions) == 2


@pytest.mark.parametrize("domain, action", [("lplain.test", "relayed"), ("lfinal.test", "delivered")])
def test_lmtp_assume_final(mta, make_sink, domain, action):
    """What an LMTP server took was relayed, or with lmtp_assume_final delivered; postconf(5)."""
    make_sink(A, 24, lmtp=True, extensions=("PIPELINING",))
    deliver(mta, domain, rcpt_params="NOTIFY=SUCCESS")
    (report,) = mta.wait_maildir("alice")
    assert report.dsn().recipients[0]["Action"].split()[0] == action


def test_own_name(mta, make_sink):
    """A server that has our name is us; RFC 5321 5.1, smtp(8)."""
    sink = make_sink(A, name="mail.example.test")
    r = deliver(mta, "plain.test")
    assert r["dsn"] == "5.4.6" and sink.sessions


def test_own_name_of_backup(mta, make_sink):
    """As a backup MX such a server only makes mail wait; smtp(8)."""
    make_sink(B, name="mail.example.test")
    assert deliver(mta, "plain.test")["dsn"] == "4.4.6"
