"""MTA-STS (RFC 8461) from the TXT record to the last byte: nginx has the policies, and smtp, dns and
policyfetch do what they do everywhere."""

import contextlib
import os
import re
import signal
import ssl
import time

import pytest
from mta import TMP, poll
from sink import CLOSE
from test_tls_server import processes
from tls_util import RETRY, secure_root
from web import STS, Web

A, B = "198.51.100.1", "198.51.100.2"

GOOD = ("enforce", "testing", "nothing", "second", "mxnot", "wild", "one", "explicit", "expire",
        "change", "change2", "vanish", "restart", "keep", "dane", "half", "lame", "damaged", "record1",
        "record2", "type", "xn--bcher-kva", "none", "refresh", "site", "unusable",
        "table", "herd", "again")
"""Domains whose web server is in order."""

SYNTAX = {
    "html": "<html><body>It works!</body></html>\n",
    "nomx": "version: STSv1\nmode: enforce\nmax_age: 86400\n",
    "version": STS.replace("STSv1", "STSv2"),
    "mode": STS.replace("enforce", "strict"),
    "control": STS + "x: \1\n",
}
"""Policies that are none."""

BAD = ("name", "foreign", "expired", "redirect", "missing", "large", "large2", "slow", "gone", "error")
"""Domains whose web server is not."""


def record(dns, domain, id="1", more=""):
    dns.txt(f"_mta-sts.{domain}", f"v=STSv1; id={id};{more}")


@pytest.fixture(scope="module")
def certs(ca):
    foreign = type(ca)(ca.dir.parent / "foreign-web", "Foreign CA")
    names = [f"mx.{d}.test" for d in (*GOOD, *SYNTAX, *BAD)]
    return {
        "mx": ca.issue("any", *names, "*.wild.test"),
        "other": ca.issue("mx.enforce.test", "nobody.test"),
        "cn": ca.issue("mx.enforce.test", email="x@enforce.test"),
        "expired": ca.issue("mx.enforce.test", "mx.enforce.test", days=-1),
        "foreign": foreign.issue("mx.enforce.test"),
        "web": ca.issue("web", *(f"mta-sts.{d}.test" for d in (*GOOD, *SYNTAX, *BAD))),
        "web-name": ca.issue("mta-sts.name.test", "name.test"),
        "web-foreign": foreign.issue("mta-sts.foreign.test"),
        "web-expired": ca.issue("mta-sts.expired.test", days=-1),
    }


@pytest.fixture(scope="module")
def web(dns, certs):
    """Every domain has a record, an MX host and a site; those of BAD have something wrong with it."""
    secure_root(dns)
    web = Web(TMP / "web", dns)
    path = "location = /.well-known/mta-sts.txt"
    more = {
        "redirect": f"{path} {{ return 301 https://mta-sts.enforce.test/.well-known/mta-sts.txt; }}",
        "slow": f"{path} {{ limit_rate 1; sendfile off; }}",
        "error": f"{path} {{ return 503; }}",
        "type": f"{path} {{ types {{ }} default_type text/html; }}",
        "large2": f"{path} {{ gzip off; chunked_transfer_encoding on; ssi on; ssi_types text/plain; }}",
    }
    for name in (*GOOD, *SYNTAX, *BAD):
        domain = f"{name}.test"
        dns.mx(domain, 10, f"mx.{domain}")
        dns.a(f"mx.{domain}", A)
        record(dns, domain)
        web.site(f"mta-sts.{domain}", certs.get(f"web-{name}", certs["web"]), more.get(name, ""))
        web.policy(domain, SYNTAX.get(name, STS))
    web.policy("missing.test", None)
    web.policy("large.test", STS + "x: y\n" * 13200)
    web.policy("large2.test", "<!--# echo var=\"host\" -->" + STS + "x: y\n" * 13200)
    web.policy("slow.test", STS + "x: y\n" * 1000)
    web.start()
    yield web
    web.stop()


@pytest.fixture(scope="module")
def mta(make_mta, web, ca):
    return make_mta(
        main={
            **RETRY,
            "smtp_tls_security_level": "may",
            "smtp_tls_mta_sts": "yes",
            "smtp_tls_CAfile": str(ca.cert),
            "smtp_tls_loglevel": "1",
            "smtp_tls_policy_maps": "inline:{ {explicit.test=may} {table.test = secure match=nobody.test "
                                    "policy_type=sts mx_host_pattern=mx.table.test "
                                    "{ policy_string = version: STSv1 } } }",
            "smtp_connection_cache_destinations": "keep.test",
        },
    )


def deliver(mta, domain, **kw):
    return mta.wait_delivery(mta.inject(f"x@{domain}", sender="bob@example.test"), **kw)


def deferred(record, dsn, reason=""):
    assert record["status"] == "deferred" and record["dsn"] == dsn, record
    assert re.search(reason, str(record)), record


def sent_plain(mta, make_sink, domain):
    """It goes in clear text to a server without TLS: there is no policy that forbids it."""
    sink = make_sink(A)
    assert deliver(mta, domain)["status"] == "sent"
    assert not sink.wait()[0].session.tls
    sink.close()


def refused_plain(mta, make_sink, domain, dsn="4.7.4"):
    """It does not."""
    sink = make_sink(A)
    deferred(deliver(mta, domain), dsn)
    assert not [s for s in sink.sessions if "MAIL" in s.verbs()]
    sink.close()


# Mode enforce.


def test_enforce(mta, web, make_sink, certs):
    """Verified TLS with SNI; the next message needs no request."""
    sink = make_sink(A, tls=certs["mx"].context())
    for _ in range(2):
        assert deliver(mta, "enforce.test")["status"] == "sent"
    mta.wait_log(r"policyfetch\[\d+\]: MTA-STS policy of enforce\.test: id=1, mode=enforce, max_age=86400")
    mta.wait_log(r"Verified TLS connection established to mx\.enforce\.test")
    assert sink.wait(2)[0].session.sni == "mx.enforce.test"
    assert web.hits("mta-sts.enforce.test") == 1


@pytest.mark.parametrize("cert,problem", [
    ("other", "another name"), ("cn", "another name"), ("expired", "certificate has expired"),
    ("foreign", "unable to")])
def test_bad_certificate(mta, make_sink, certs, cert, problem):
    """Certificate of the MX host: wrong name, no more than a common name, expired, unknown authority."""
    sink = make_sink(A, tls=certs[cert].context())
    deferred(deliver(mta, "enforce.test"), "4.7.5",
             r"certificate not verified \(MTA-STS policy of enforce\.test\)")
    mta.wait_log(r"MTA-STS policy of enforce\.test, mode enforce: mx\.enforce\.test.*is refused: .*"
                 + problem)
    assert not [s for s in sink.sessions if "MAIL" in s.verbs()]


def old_tls(cert):
    context = cert.context()
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_downgraded(mta, make_sink, certs):
    """No STARTTLS, STARTTLS refused in several ways, TLS 1.1 alone: no mail in the clear."""
    refused_plain(mta, make_sink, "enforce.test")
    for reply, dsn in (("454 4.7.0 later", "4.7.0"), ("500 5.5.1 what?", "4.5.1"), (CLOSE, "4.4.2")):
        sink = make_sink(A, tls=certs["mx"].context())
        sink.rule("STARTTLS", reply)
        deferred(deliver(mta, "enforce.test"), dsn)
        assert not [s for s in sink.sessions if "MAIL" in s.verbs()]
        sink.close()
    make_sink(A, tls=old_tls(certs["mx"]))
    deferred(deliver(mta, "enforce.test"), "4.7.5", r"handshake failure \(MTA-STS policy")
    with mta.settings(smtp_tls_mandatory_protocols=">=TLSv1.3"):
        make_sink(B)
        deferred(deliver(mta, "enforce.test"), "4.7.5")


def test_refusal_in_clear_text(mta, make_sink):
    """What somebody says before TLS returns no mail."""
    for event, reply in (("CONNECT", "554 5.3.2 no"), ("EHLO", "550 5.7.1 no"),
                         ("EHLO", "250 mail.example.test")):
        sink = make_sink(A)
        sink.rule(event, reply)
        sink.rule("HELO", "550 5.7.1 no")
        with mta.settings(smtp_skip_5xx_greeting="no"):
            assert deliver(mta, "enforce.test")["status"] == "deferred"
        sink.close()


def test_next_host(mta, dns, make_sink, certs):
    """A host that is not in the policy, or not what it should be, makes room for the next one."""
    dns.mx("second.test", 1, "mx.evil.test")
    dns.a("mx.evil.test", B)
    evil, sink = make_sink(B, tls=certs["mx"].context()), make_sink(A, tls=certs["mx"].context())
    assert deliver(mta, "second.test")["status"] == "sent"
    assert not evil.sessions and sink.wait()
    mta.wait_log(r"MTA-STS policy of second\.test, mode enforce: mx\.evil\.test is refused: no such MX")


def test_no_host(mta, dns, make_sink, certs):
    """None of the hosts is in the policy."""
    sink = make_sink(A, tls=certs["mx"].context())
    dns.remove("mxnot.test")
    dns.mx("mxnot.test", 1, "mx.evil.test")
    dns.a("mx.evil.test", A)
    deferred(deliver(mta, "mxnot.test"), "4.7.5",
             r"MX host mx\.evil\.test is not allowed by the MTA-STS policy of mxnot\.test")
    assert not sink.sessions


def test_wildcard(mta, dns, web, make_sink, certs):
    """A pattern stands for one label, and so does a wildcard in a certificate."""
    web.policy("wild.test", STS.replace("mx: mx.", "mx: *."))
    sink = make_sink(A, tls=certs["mx"].context())
    dns.remove("wild.test")
    dns.mx("wild.test", 1, "a.b.wild.test")
    dns.mx("wild.test", 2, "a.wild.test")
    for name in ("a.b.wild.test", "a.wild.test"):
        dns.a(name, A)
    assert deliver(mta, "wild.test")["status"] == "sent"
    assert [s.sni for s in sink.wait_session()] == ["a.wild.test"]


def test_idna(mta, make_sink):
    """The policy of a domain in UTF-8 is that of its A-labels."""
    sink = make_sink(A)
    qid = mta.inject("x@bücher.test", sender="bob@example.test", mail_params="SMTPUTF8")
    deferred(mta.wait_delivery(qid), "4.7.4", r"MTA-STS policy of xn--bcher-kva\.test")
    assert sink.sessions


# Other modes, and where there is no policy.


def test_testing(mta, web, make_sink, certs):
    """As without a policy, and what would have failed is in the log."""
    web.policy("testing.test", STS.replace("enforce", "testing"))
    sent_plain(mta, make_sink, "testing.test")
    mta.wait_log(r"policy of testing\.test, mode testing: .* would be refused: STARTTLS is not offered")
    sink = make_sink(A, tls=certs["other"].context())
    assert deliver(mta, "testing.test")["status"] == "sent"
    mta.wait_log(r"policy of testing\.test, mode testing: .* would be refused: .*another name")
    sink.close()
    mta.set_mark()
    make_sink(A, tls=certs["mx"].context())
    assert deliver(mta, "testing.test")["status"] == "sent"
    assert not mta.grep_log("would be refused")


def test_none(mta, web, make_sink):
    """Mode none: there is a policy, which says nothing."""
    web.policy("none.test", "version: STSv1\nmode: none\nmax_age: 86400\n")
    sent_plain(mta, make_sink, "none.test")
    mta.wait_log(r"MTA-STS policy of none\.test: id=1, mode=none")


def test_absent(mta, dns, web, make_sink):
    """Without a TXT record nobody asks."""
    dns.remove("_mta-sts.nothing.test")
    sent_plain(mta, make_sink, "nothing.test")
    assert web.hits("mta-sts.nothing.test") == 0


@pytest.mark.parametrize("records", [
    ["v=STSv1; id=1;", "v=STSv1; id=2;"], ["v=STSv1; id=a-b;"], ["v=STSv1;"], ["v=STSv2; id=1;"]])
def test_bad_record(mta, dns, web, make_sink, records):
    """A record that is not exactly one, or is not well-formed, is none."""
    dns.remove("_mta-sts.record1.test")
    for text in records:
        dns.txt("_mta-sts.record1.test", text)
    with mta.settings(mail_name=f"Test {len(str(records))}"):  # a new generation: nothing is cached
        sent_plain(mta, make_sink, "record1.test")
    assert web.hits("mta-sts.record1.test") == 0


def test_other_records(mta, dns, make_sink):
    """Records of others beside it, and one in several strings, do not matter."""
    dns.remove("_mta-sts.record2.test")
    dns.txt("_mta-sts.record2.test", "google-site-verification=x")
    dns.txt("_mta-sts.record2.test", "v=ST", "Sv1; id=", "7; x=y")
    refused_plain(mta, make_sink, "record2.test")
    mta.wait_log(r"MTA-STS policy of record2\.test: id=7")


@pytest.mark.parametrize("name,reason", [
    ("name", r"no alternative certificate subject name|does not match"),
    ("foreign", "unable to get local issuer certificate"), ("expired", "certificate has expired"),
    ("redirect", "answers 301"), ("missing", "answers 404"), ("error", "answers 503"),
    ("large", "larger than 65536"), ("large2", "larger than 65536"), ("gone", ""),
    ("html", 'a line is not "name: value"'), ("nomx", "no mx"), ("version", "unknown version"),
    ("mode", "unknown mode"), ("control", "control characters")])
def test_bad_web_server(mta, dns, web, make_sink, name, reason):
    """A policy that cannot be had is none, and it is not asked for again at once."""
    domain = f"{name}.test"
    if name == "gone":
        dns.remove(f"mta-sts.{domain}")
        dns.a(f"mta-sts.{domain}", "203.0.113.81")
    sent_plain(mta, make_sink, domain)
    mta.wait_log(rf"warning: cannot fetch the MTA-STS policy of {domain}: .*{reason}")
    hits = web.hits(f"mta-sts.{domain}")
    mta.set_mark()
    sent_plain(mta, make_sink, domain)
    assert web.hits(f"mta-sts.{domain}") == hits
    assert not mta.grep_log("cannot fetch")


def failed_ago(mta, domain, seconds):
    """Makes the last failure that long ago, in the file that policyfetch keeps: eight bytes, behind all
    other times."""
    path, now = cached(mta, domain), int(time.time())
    data = path.read_bytes()
    at = next(i for i in range(len(data) - 8, -1, -1)
              if now - 7200 < int.from_bytes(data[i:i + 8], "little") <= now)
    path.write_bytes(data[:at] + (now - seconds).to_bytes(8, "little") + data[at + 8:])


def test_back_off(mta, dns, web, make_sink):
    """Who fails again is asked again later, twice as late each time, until it succeeds."""
    def is_asked(seconds=None):
        if seconds:
            failed_ago(mta, "again.test", seconds)
        mta.set_mark()
        sent_plain(mta, make_sink, "again.test")
        # In the log before the delivery is.
        return bool(mta.grep_log(r"cannot fetch the MTA-STS policy of again\.test"))

    web.policy("again.test", None)
    assert is_asked()
    assert web.hits("mta-sts.again.test") >= 1
    for minutes in (5, 10, 20, 40, 60, 60):
        assert not is_asked(minutes * 60 - 30)
        assert is_asked(minutes * 60 + 1)
    # A new id has nothing to do with it; nor has what fails after a success.
    web.policy("again.test", STS.replace("86400", "1"))
    dns.remove("_mta-sts.again.test")
    record(dns, "again.test", "2")
    with mta.settings(mail_name="Test back-off"):
        refused_plain(mta, make_sink, "again.test")
    web.policy("again.test", None)
    mta.set_mark()
    sink = make_sink(A)
    poll(lambda: mta.flush() or mta.grep_log(r"cannot fetch the MTA-STS policy of again\.test"), 30)
    mta.wait_empty_queue(30)
    sink.close()
    assert not is_asked(270)
    assert is_asked(301)


def test_wrong_type(mta, make_sink):
    """Another type than text/plain is worth a warning."""
    refused_plain(mta, make_sink, "type.test")
    mta.wait_log(r"warning: the MTA-STS policy of type\.test is not text/plain, but text/html")


# The cache.


def test_expired(mta, web, make_sink):
    """What has expired counts no more, when it cannot be had again."""
    web.policy("expire.test", STS.replace("86400", "3"))
    refused_plain(mta, make_sink, "expire.test")
    web.policy("expire.test", None)
    make_sink(A)
    assert mta.wait_delivery(mta.inject("x@expire.test", sender="bob@example.test"),
                             status="sent")["status"] == "sent"
    assert mta.grep_log(r"cannot fetch the MTA-STS policy of expire\.test: the server answers 404")


def test_changed_id(mta, dns, web, make_sink):
    """A new id has the policy fetched again; an old one that is in force stays when that fails."""
    for domain, text, is_plain in (("change", "version: STSv1\nmode: none\nmax_age: 86400\n", True),
                                   ("change2", None, False)):
        domain += ".test"
        refused_plain(mta, make_sink, domain)
        web.policy(domain, text)
        dns.remove(f"_mta-sts.{domain}")
        record(dns, domain, "2")
        with mta.settings(mail_name=f"Test {domain}"):
            (sent_plain if is_plain else refused_plain)(mta, make_sink, domain)
        assert web.hits(f"mta-sts.{domain}") == 2


def test_same_id(mta, web, make_sink):
    """While the id is the same nobody asks, whatever the server has now."""
    refused_plain(mta, make_sink, "one.test")
    web.policy("one.test", "version: STSv1\nmode: none\nmax_age: 9\n")
    refused_plain(mta, make_sink, "one.test")
    assert web.hits("mta-sts.one.test") == 1


@pytest.mark.parametrize("rcode", [None, "SERVFAIL"])
def test_record_vanishes(mta, dns, make_sink, rcode):
    """A policy stays in force without its record: who can forge the DNS gains nothing."""
    refused_plain(mta, make_sink, "vanish.test")
    dns.remove("_mta-sts.vanish.test")
    if rcode:
        dns.rcode("_mta-sts.vanish.test", rcode)
    with mta.settings(mail_name=f"Test vanish {rcode}"):
        refused_plain(mta, make_sink, "vanish.test")


def test_restart(mta, dns, web, make_sink):
    """The cache is there when the mail system starts again, and the web is not needed."""
    refused_plain(mta, make_sink, "restart.test")
    mta.stop()
    dns.remove("_mta-sts.restart.test")
    mta.start()
    refused_plain(mta, make_sink, "restart.test")
    assert web.hits("mta-sts.restart.test") == 1


def cached(mta, domain):
    return mta.queue / "jail/policyfetch/mta-sts" / domain


@pytest.mark.parametrize("how", ["cut", "garbage", "foreign", "directory"])
def test_damaged_cache(mta, web, make_sink, how):
    """A file that is not what it should be is as if it was not there."""
    refused_plain(mta, make_sink, "damaged.test")
    mta.purge()  # else it would be the one that finds the damage
    path = cached(mta, "damaged.test")
    good = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    if how == "directory":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes({"cut": good[:-7], "garbage": b"\xff" * 200,
                          "foreign": good.replace(b"damaged", b"another")}[how])
    hits = web.hits("mta-sts.damaged.test")
    refused_plain(mta, make_sink, "damaged.test")
    mta.wait_log(r"warning: the MTA-STS policy that was kept for damaged\.test is damaged")
    assert web.hits("mta-sts.damaged.test") == hits + 1
    if how == "directory":
        path.rmdir()
        refused_plain(mta, make_sink, "damaged.test")
    assert b"mode: enforce" in path.read_bytes()


def test_many_at_once(mta, web, make_sink):
    """Many ask for the policy of one domain, and it is fetched once."""
    make_sink(A)
    qids = [mta.inject("x@herd.test", sender="bob@example.test") for _ in range(12)]
    for qid in qids:
        deferred(mta.wait_delivery(qid), "4.7.4")
    assert web.hits("mta-sts.herd.test") == 1


def test_refresh(mta, web, make_sink):
    """What is used gets fetched again in half of its time, and mail does not wait for it."""
    web.policy("refresh.test", STS.replace("86400", "4"))
    refused_plain(mta, make_sink, "refresh.test")
    make_sink(A)
    mta.inject("x@refresh.test", sender="bob@example.test")
    poll(lambda: mta.flush() or web.hits("mta-sts.refresh.test") >= 2, what="refreshing")
    assert not mta.grep_log(r"to=<x@refresh\.test>.*status=sent")


# Beside other policies.


def test_table_wins(mta, make_sink):
    """What a table says of a destination counts alone."""
    sent_plain(mta, make_sink, "explicit.test")


def test_policy_of_a_table(mta, dns, web, make_sink, certs):
    """A program that answers for the table: hosts by its patterns, certificates by the host's name."""
    dns.mx("table.test", 1, "mx.evil.test")
    dns.a("mx.evil.test", B)
    evil, sink = make_sink(B, tls=certs["mx"].context()), make_sink(A, tls=certs["mx"].context())
    assert deliver(mta, "table.test")["status"] == "sent"
    mta.wait_log(r"Verified TLS connection established to mx\.table\.test")
    assert not evil.sessions and web.hits("mta-sts.table.test") == 0
    with mta.settings(smtp_tls_enforce_sts_mx_patterns="no"):
        deferred(deliver(mta, "table.test"), "4.7.5")


def test_per_site_wins(mta, make_sink):
    """The old table as well."""
    with mta.settings(smtp_tls_policy_maps="", smtp_tls_per_site="inline:{{site.test=NONE}}"):
        sent_plain(mta, make_sink, "site.test")


def test_no_mx_lookup(mta, web, make_sink):
    """A host that is named, and not looked for, has no policy: it is no domain."""
    with mta.settings(transport_maps="inline:{{enforce.test=smtp:[mx.enforce.test]}}"):
        sent_plain(mta, make_sink, "enforce.test")


def test_switched_off(mta, make_sink):
    with mta.settings(smtp_tls_mta_sts="no"):
        sent_plain(mta, make_sink, "enforce.test")


def test_policyfetch_is_away(mta, make_sink):
    """Nobody to ask is no reason to do without."""
    sink = make_sink(A)
    with mta.settings(master_service_disable="policyfetch.unix"):
        deferred(deliver(mta, "enforce.test"), "4.3.0", "cannot find out the MTA-STS policy")
        assert not sink.sessions


def test_policyfetch_is_killed(mta, make_sink):
    """The next ones find the one that master has started anew."""
    sink = make_sink(A)
    before = processes(mta, "policyfetch")
    for pid in before:
        with contextlib.suppress(ProcessLookupError):  # some end with others
            os.kill(pid, signal.SIGKILL)
    poll(lambda: mta.flush() or not set(processes(mta, "policyfetch")) & set(before))
    qid = mta.inject("x@enforce.test", sender="bob@example.test")
    poll(lambda: mta.flush() or "4.7.4" in [r["dsn"] for r in mta.deliveries(qid)], 30)
    assert not [s for s in sink.sessions if "MAIL" in s.verbs()]


@pytest.mark.skipif(not os.environ.get("CHECK_LONG"), reason="takes half a minute")
def test_policyfetch_is_silent(mta, make_sink):
    """smtp waits half a minute for its first word, and then mail waits."""
    make_sink(A)
    stopped = processes(mta, "policyfetch")
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        deferred(deliver(mta, "enforce.test", timeout=45), "4.3.0", "cannot find out")
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


def test_kept_connection(mta, dns, web, make_sink, certs):
    """A connection that was made under another policy is not used again."""
    web.policy("keep.test", "version: STSv1\nmode: none\nmax_age: 86400\n")
    sink = make_sink(A, tls=certs["other"].context())
    for _ in range(2):
        mta.wait_sent(mta.inject("x@keep.test", sender="bob@example.test"))
    assert len(sink.sessions) == 1
    web.policy("keep.test")
    record_of = "_mta-sts.keep.test"
    path = cached(mta, "keep.test")
    path.unlink()
    deferred(deliver(mta, "keep.test"), "4.7.5")
    assert dns.asked(record_of, "TXT")


# DANE.


DNSSEC = {"smtp_tls_security_level": "dane", "smtp_dns_support_level": "dnssec",
          "smtp_tls_dane_insecure_mx_policy": "dane"}


def test_dane_wins(mta, dns, web, make_sink, certs):
    """Usable TLSA records count alone: a failure stays one, and success needs no authority or policy."""
    dns.tlsa("_25._tcp.mx.dane.test", 3, 1, 1, certs["foreign"].tlsa())
    dns.secure("dane.test")
    web.policy("dane.test", STS.replace("mx: mx.", "mx: nobody."))
    with mta.settings(**DNSSEC):
        sink = make_sink(A, tls=certs["foreign"].context())
        assert deliver(mta, "dane.test")["status"] == "sent"
        mta.wait_log("Verified TLS connection established to mx.dane.test")
        sink.close()
        make_sink(A, tls=certs["mx"].context())
        deferred(deliver(mta, "dane.test"), "4.7.5")


def test_without_dane(mta, dns, make_sink, certs):
    """Level dane, and no TLSA records or none that can be used: MTA-STS counts."""
    for domain in ("lame.test", "unusable.test"):
        dns.secure(domain)
    dns.tlsa("_25._tcp.mx.unusable.test", 0, 1, 1, certs["mx"].tlsa())
    with mta.settings(**DNSSEC):
        for domain in ("lame.test", "unusable.test"):
            refused_plain(mta, make_sink, domain)
            sink = make_sink(A, tls=certs["other"].context())
            deferred(deliver(mta, domain), "4.7.5")
            sink.close()
            sink = make_sink(A, tls=certs["mx"].context())
            assert deliver(mta, domain)["status"] == "sent"
            sink.close()


def test_half_dane(mta, dns, make_sink, certs):
    """Forged MX records: the host must be in the policy, and then TLSA records say who it is."""
    dns.remove("half.test")
    dns.mx("half.test", 1, "mx.evil2.test")
    dns.mx("half.test", 2, "mx.half.test")
    for host, address in (("mx.evil2.test", B), ("mx.half.test", A)):
        dns.a(host, address)
        dns.tlsa(f"_25._tcp.{host}", 3, 1, 1, certs["foreign"].tlsa())
        dns.secure(host)
    evil = make_sink(B, tls=certs["foreign"].context())
    sink = make_sink(A, tls=certs["foreign"].context())
    with mta.settings(**DNSSEC):
        assert deliver(mta, "half.test")["status"] == "sent"
    assert not evil.sessions and sink.wait()


@pytest.mark.skipif(not os.environ.get("CHECK_LONG"), reason="takes half a minute")
def test_slow(mta, make_sink):
    """A policy that takes too long is none."""
    sink = make_sink(A)
    assert deliver(mta, "slow.test", timeout=45)["status"] == "sent"
    assert not sink.wait()[0].session.tls
    mta.wait_log(r"cannot fetch the MTA-STS policy of slow\.test: .*timed out")
