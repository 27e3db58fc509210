"""TLS reports (RFC 8460) from the session to whoever wants to read them: what is counted, what is in a
report, how it travels, and that nobody waits for it."""

import email
import gzip
import http.server
import json
import os
import re
import signal
import socket
import ssl
import threading
import time

import pytest
from mta import TMP, poll
from test_tls_server import processes
from tls_util import RETRY, secure_root, tlsa_host
from web import STS, Web

A, B, WEB, NGINX = "198.51.100.1", "198.51.100.2", "203.0.113.81", "203.0.113.82"
DAY = 86400
NAMES = ("may", "plain", "refused", "broken", "dane", "wrong", "unusable", "must", "sts", "testing",
         "nofetch", "resume", "restart", "kill", "old", "post", "late", "hostile", "none", "stop",
         "socket", "many", "again")


@pytest.fixture(scope="module")
def certs(ca):
    return {
        "mx": ca.issue("any", *(f"mx.{n}.test" for n in NAMES)),
        "other": ca.issue("nobody.test"),
        "web": ca.issue("web.rua.test"),
        "sts": ca.issue("web", *(f"mta-sts.{n}.test" for n in NAMES)),
    }


def wants(dns, domain, rua="mailto:reports@rua.test"):
    text = f"v=TLSRPTv1; rua={rua}"
    dns.txt(f"_smtp._tls.{domain}", *(text[i:i + 250] for i in range(0, len(text), 250)))


@pytest.fixture(scope="module")
def zones(dns, certs):
    secure_root(dns)
    for name in NAMES:
        dns.mx(f"{name}.test", 10, f"mx.{name}.test")
        dns.a(f"mx.{name}.test", A)
        wants(dns, f"{name}.test")
    dns.remove("_smtp._tls.none.test")
    dns.mx("rua.test", 10, "mx.rua.test")
    dns.a("mx.rua.test", B)
    dns.a("web.rua.test", WEB)
    wants(dns, "rua.test")
    tlsa_host(dns, "dane.test", "mx.dane.test", A, (3, 1, 1, certs["mx"].tlsa()))
    tlsa_host(dns, "wrong.test", "mx.wrong.test", A, (3, 1, 1, certs["mx"].tlsa()))
    tlsa_host(dns, "unusable.test", "mx.unusable.test", A, (1, 0, 1, bytes(32)))
    for name in ("sts", "testing", "nofetch"):
        dns.txt(f"_mta-sts.{name}.test", "v=STSv1; id=1;")
    web = Web(TMP / "tlsrpt-web", dns, NGINX)
    for name in ("sts", "testing"):
        web.site(f"mta-sts.{name}.test", certs["sts"])
        web.policy(f"{name}.test", STS.replace("enforce", {"sts": "enforce"}.get(name, "testing")))
    web.site("mta-sts.nofetch.test", certs["sts"])
    web.start()
    yield web
    web.stop()


@pytest.fixture(scope="module")
def mta(make_mta, zones, ca):
    return make_mta(main={
        **RETRY,
        "smtp_tls_security_level": "dane",
        "smtp_dns_support_level": "dnssec",
        "smtp_tls_policy_maps": "inline:{ {must.test=dane-only} }",
        "smtp_tls_mta_sts": "yes",
        "smtp_tls_CAfile": str(ca.cert),
        "smtp_tlsrpt_enable": "yes",
        "tlsrpt_organization_name": "Example \"&\" Sons",
        "tlsrpt_report_delay": "0",
    })


class Posts:
    """An HTTPS server that keeps what is posted to it."""

    def __init__(self, cert):
        self.code, self.got = 201, []
        posts = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                posts.got.append((self.path, self.headers["Content-Type"], body))
                self.send_response(posts.code)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer((WEB, 443), Handler)
        self.server.socket = cert.context().wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def posts(certs):
    server = Posts(certs["web"])
    yield server
    server.close()


# What the tests say of it.


def tlsrpt(mta, *args):
    return mta.run("postern", "-c", str(mta.config), "tlsrpt", *args).ok().out


def collected(mta, domain):
    """Successes and failures until now."""
    found = re.search(rf"^{re.escape(domain)} since \d+: (\d+) successful, (\d+) failed$",
                      tlsrpt(mta, "list", domain), re.M)
    return found and (int(found[1]), int(found[2]))


def wait_collected(mta, domain, good, bad):
    poll(lambda: collected(mta, domain) == (good, bad), what=f"{domain}: {good}, {bad}")


def deliver(mta, domain):
    return mta.wait_delivery(mta.inject(f"x@{domain}", sender="bob@example.test"))["status"]


def check_schema(report):
    """RFC 8460 4.4, and that the sums are right."""
    assert set(report) == {"organization-name", "date-range", "contact-info", "report-id", "policies"}
    times = [time.strptime(report["date-range"][k], "%Y-%m-%dT%H:%M:%SZ")
             for k in ("start-datetime", "end-datetime")]
    assert times[0] <= times[1]
    for entry in report["policies"]:
        policy, summary = entry["policy"], entry["summary"]
        assert policy["policy-type"] in ("tlsa", "sts", "no-policy-found")
        assert set(policy) <= {"policy-type", "policy-string", "policy-domain", "mx-host"}
        assert all(isinstance(policy.get(k, []), list) for k in ("policy-string", "mx-host"))
        assert set(summary) == {"total-successful-session-count", "total-failure-session-count"}
        details = entry.get("failure-details", [])
        for detail in details:
            assert {"result-type", "failed-session-count"} <= set(detail) <= {
                "result-type", "sending-mta-ip", "receiving-mx-hostname", "receiving-mx-helo",
                "receiving-ip", "failed-session-count", "failure-reason-code"}
        assert sum(d["failed-session-count"] for d in details) == summary["total-failure-session-count"]
    return report


@pytest.fixture
def rua(make_sink):
    """Where reports come by mail: a host whose TLS is broken."""
    sink = make_sink(B)
    return sink


def report_of(mta, rua, domain):
    """Sends the report and reads it out of the mail: message and JSON."""
    before = len(rua.messages)
    assert f"{domain}: sent to reports@rua.test" in tlsrpt(mta, "send", domain)
    mail = email.message_from_bytes(rua.wait(before + 1)[-1].raw)
    part = mail.get_payload()[1]
    return mail, check_schema(json.loads(gzip.decompress(part.get_payload(decode=True))))


def only_policy(report):
    assert len(report["policies"]) == 1, report
    return report["policies"][0]


def counts(entry):
    return tuple(entry["summary"].values())


# What is counted.


def test_mail(mta, rua, make_sink, certs):
    """Two that go well and one that does not: the report has them, and the mail has what RFC 8460 5.3 wants."""
    sink = make_sink(A, tls=certs["other"].context())
    for _ in range(2):
        assert deliver(mta, "may.test") == "sent"
    sink.close()
    make_sink(A)
    assert deliver(mta, "may.test") == "sent"
    wait_collected(mta, "may.test", 2, 1)
    mail, report = report_of(mta, rua, "may.test")
    assert mail["TLS-Report-Domain"] == "may.test" and mail["TLS-Report-Submitter"] == "example.test"
    assert mail["TLS-Required"] == "no" and mail["Message-ID"] and mail["Date"]
    assert mail["From"] == "tlsrpt-noreply@example.test" and mail["To"] == "reports@rua.test"
    subject = " ".join(mail["Subject"].split())
    assert subject == ("Report Domain: may.test Submitter: example.test "
                       f"Report-ID: <{report['report-id']}>")
    assert mail.get_content_type() == "multipart/report" and mail.get_param("report-type") == "tlsrpt"
    part = mail.get_payload()[1]
    assert part.get_content_type() == "application/tlsrpt+gzip"
    assert re.fullmatch(r"example\.test!may\.test!\d+!\d+\.json\.gz", part.get_filename())
    assert report["organization-name"] == 'Example "&" Sons'
    assert report["contact-info"] == "postmaster@example.test"
    entry = only_policy(report)
    assert entry["policy"] == {"policy-type": "no-policy-found", "policy-domain": "may.test"}
    assert counts(entry) == (2, 1)
    detail = entry["failure-details"][0]
    assert detail["result-type"] == "starttls-not-supported" and detail["receiving-ip"] == A
    assert detail["receiving-mx-hostname"] == "mx.may.test"
    assert detail["receiving-mx-helo"] == "sink.example" and detail["sending-mta-ip"]
    assert collected(mta, "may.test") is None
    # The report itself went to a domain that wants reports, and is not in one.
    assert collected(mta, "rua.test") is None


@pytest.mark.parametrize("domain,reply,failure", [
    ("refused.test", "454 4.7.0 no", "starttls-not-supported"),
    ("broken.test", "220 2.0.0 go", "validation-failure")])
def test_handshake(mta, rua, make_sink, domain, reply, failure):
    """STARTTLS that is refused, or that no TLS follows."""
    sink = make_sink(A)
    sink.extensions.append("STARTTLS")
    sink.rule("STARTTLS", reply)
    mta.inject(f"x@{domain}", sender="bob@example.test")
    poll(lambda: (collected(mta, domain) or (0, 0))[1] > 0, what="a failure")
    mta.purge()
    entry = only_policy(report_of(mta, rua, domain)[1])
    assert entry["failure-details"][0]["result-type"] == failure


@pytest.mark.parametrize("domain,cert,status,result,failure", [
    ("dane.test", "mx", "sent", (1, 0), None),
    ("wrong.test", "other", "deferred", (0, 1), "certificate-not-trusted"),
    ("unusable.test", "mx", "sent", (0, 1), "tlsa-invalid"),
    ("must.test", "mx", "deferred", (0, 1), "dane-required")])
def test_dane(mta, rua, make_sink, certs, domain, cert, status, result, failure):
    """TLSA records are the policy, and their trouble is in the report."""
    make_sink(A, tls=certs[cert].context())
    assert deliver(mta, domain) == status
    mta.purge()
    poll(lambda: collected(mta, domain), what="a result")
    entry = only_policy(report_of(mta, rua, domain)[1])
    assert entry["policy"]["policy-type"] == "tlsa"
    assert entry["policy"]["policy-domain"] == f"mx.{domain}"
    good, bad = counts(entry)
    assert (good > 0, bad > 0) == (result[0] > 0, result[1] > 0)
    if domain in ("dane.test", "wrong.test"):
        assert entry["policy"]["policy-string"] == [f"3 1 1 {certs['mx'].tlsa().hex()}"]
    if failure:
        assert [d["result-type"] for d in entry["failure-details"]] == [failure]


@pytest.mark.parametrize("domain,cert,status,failure", [
    ("sts.test", "mx", "sent", None), ("testing.test", "other", "sent", "certificate-host-mismatch"),
    ("nofetch.test", "mx", "sent", "sts-policy-fetch-error")])
def test_sts(mta, rua, make_sink, certs, domain, cert, status, failure):
    """MTA-STS: the policy's lines and hosts; in mode testing what would have been refused."""
    make_sink(A, tls=certs[cert].context())
    assert deliver(mta, domain) == status
    wait_collected(mta, domain, int(failure is None), int(failure is not None))
    entry = only_policy(report_of(mta, rua, domain)[1])
    assert entry["policy"]["policy-type"] == "sts" and entry["policy"]["policy-domain"] == domain
    if domain != "nofetch.test":
        assert entry["policy"]["policy-string"][0] == "version: STSv1"
        assert entry["policy"]["mx-host"] == [f"mx.{domain}"]
    if failure:
        assert entry["failure-details"][0]["result-type"] == failure


def test_resumed(mta, make_sink, certs):
    """smtp_tlsrpt_skip_reused_handshakes."""
    make_sink(A, tls=certs["mx"].context())
    cache = {"smtp_tls_session_cache_database": "btree:$data_directory/smtp_scache"}
    with mta.settings(**cache):
        for _ in range(2):
            assert deliver(mta, "resume.test") == "sent"
        with mta.settings(smtp_tlsrpt_skip_reused_handshakes="no"):
            for _ in range(2):
                assert deliver(mta, "resume.test") == "sent"
    wait_collected(mta, "resume.test", 3, 0)


def test_unwanted(mta, make_sink, certs):
    """A domain without record, and smtp_tlsrpt_enable=no: nothing is collected."""
    make_sink(A, tls=certs["mx"].context())
    assert deliver(mta, "none.test") == "sent"
    with mta.settings(smtp_tlsrpt_enable="no"):
        assert deliver(mta, "plain.test") == "sent"
    assert deliver(mta, "plain.test") == "sent"
    wait_collected(mta, "plain.test", 1, 0)
    assert collected(mta, "none.test") is None


# What survives, and whom it does not delay.


def results(mta):
    return mta.queue / "jail/tlsrpt/reports"


def test_restart(mta, make_sink, certs):
    """Sums survive a stop; damaged files are said and left out."""
    make_sink(A, tls=certs["mx"].context())
    assert deliver(mta, "restart.test") == "sent"
    wait_collected(mta, "restart.test", 1, 0)
    mta.stop()
    path, = results(mta).glob("restart.test!*")
    (results(mta) / "damaged.test!5").write_bytes(path.read_bytes()[:-3])
    mta.start()
    mta.wait_log(r"TLS results in damaged\.test!5 cannot be read, or are damaged")
    assert deliver(mta, "restart.test") == "sent"
    wait_collected(mta, "restart.test", 2, 0)


def test_killed(mta, make_sink, certs):
    """A process that is killed has lost no more than the last seconds."""
    make_sink(A, tls=certs["mx"].context())
    assert deliver(mta, "kill.test") == "sent"
    poll(lambda: list(results(mta).glob("kill.test!*")), what="the file")
    pid, = processes(mta, "tlsrpt")
    os.kill(pid, signal.SIGKILL)
    poll(lambda: processes(mta, "tlsrpt") not in ([], [pid]), what="another process")
    wait_collected(mta, "kill.test", 1, 0)


def test_stopped(mta, make_sink, certs):
    """A collector that does nothing delays no mail."""
    sink = make_sink(A, tls=certs["mx"].context())
    pid, = processes(mta, "tlsrpt")
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        for _ in range(3):
            assert deliver(mta, "stop.test") == "sent"
        assert time.monotonic() - began < 5
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_collected(mta, "stop.test", len(sink.sessions), 0)


def test_day(mta, rua, make_sink, certs):
    """A day that has ended while nothing ran is reported by itself, as a whole day."""
    make_sink(A, tls=certs["mx"].context())
    assert deliver(mta, "old.test") == "sent"
    wait_collected(mta, "old.test", 1, 0)
    mta.stop()
    path, = results(mta).glob("old.test!*")
    today = int(time.time()) // DAY * DAY
    begin = int(path.name.split("!")[1])
    data = path.read_bytes().replace(begin.to_bytes(8, "little"), (today - DAY).to_bytes(8, "little"))
    path.unlink()
    path.with_name(f"old.test!{today - DAY}").write_bytes(data)
    os.chown(path.with_name(f"old.test!{today - DAY}"), *(lambda s: (s.st_uid, s.st_gid))(
        results(mta).stat()))
    mta.start()
    mail = email.message_from_bytes(rua.wait()[0].raw)
    report = check_schema(json.loads(gzip.decompress(mail.get_payload()[1].get_payload(decode=True))))
    assert report["date-range"] == {
        "start-datetime": time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(today - DAY)),
        "end-datetime": time.strftime("%Y-%m-%dT23:59:59Z", time.gmtime(today - DAY))}
    poll(lambda: not list(results(mta).glob("old.test!*")), what="the file to go")


# How it travels.


def test_https(mta, dns, posts, make_sink, certs):
    """By HTTPS; a server in trouble is asked again later, one that says no is not."""
    make_sink(A, tls=certs["mx"].context())
    wants(dns, "post.test", "https://web.rua.test/v1/tls?x=1")
    for domain in ("post.test", "late.test"):
        dns.remove(f"_smtp._tls.{domain}")
        wants(dns, domain, "https://web.rua.test/v1/tls?x=1")
        assert deliver(mta, domain) == "sent"
        wait_collected(mta, domain, 1, 0)
    assert "post.test: sent to https://web.rua.test/v1/tls?x=1 (HTTP status 201)" in tlsrpt(
        mta, "send", "post.test")
    (path, kind, body), = posts.got
    assert path == "/v1/tls?x=1" and kind == "application/tlsrpt+gzip"
    report = check_schema(json.loads(gzip.decompress(body)))
    assert counts(only_policy(report)) == (1, 0)
    posts.code = 503
    assert "late.test: not sent to" in tlsrpt(mta, "send", "late.test")
    assert re.search(r"late\.test from \d+ to \d+: is sent at", tlsrpt(mta, "list"))
    posts.code = 404
    assert "HTTP status 404" in tlsrpt(mta, "send", "late.test")
    assert "late.test" not in tlsrpt(mta, "list")


def test_hostile(mta, dns, rua, make_sink, certs):
    """Many URIs, foreign schemes, bad addresses and long ones: a few reports, and no more."""
    make_sink(A, tls=certs["mx"].context())
    uris = ["ftp://x.test/", "mailto:", "mailto:%00@rua.test", "mailto:a%0d%0aBcc:b@rua.test",
            "http://web.rua.test/", "https://", "mailto:" + "x" * 200 + "@rua.test", "file:///etc/passwd"]
    uris += [f"mailto:r{i}@rua.test" for i in range(20)]
    dns.remove("_smtp._tls.hostile.test")
    wants(dns, "hostile.test", ",".join(uris))
    assert deliver(mta, "hostile.test") == "sent"
    wait_collected(mta, "hostile.test", 1, 0)
    out = tlsrpt(mta, "send", "hostile.test")
    assert re.findall(r": sent to (\S+)", out) == [f"r{i}@rua.test" for i in range(4)]
    assert {m.rcpts[0] for m in rua.wait(4)} == {f"r{i}@rua.test" for i in range(4)}


def test_bounded(mta, rua, make_sink, certs):
    """Failures of more kinds than are kept are counted all the same."""
    sink = make_sink(A)
    sink.name = "first.example"
    with mta.settings(smtp_tls_security_level="may", smtp_connection_cache_on_demand="no"):
        for i in range(70):
            sink.rule("EHLO", f"250-host{i}.example\n250 HELP", times=1)
        for i in range(70):
            mta.inject("x@many.test", sender="bob@example.test")
        poll(lambda: (collected(mta, "many.test") or (0, 0))[1] == 70, timeout=30, what="70 failures")
    entry = only_policy(report_of(mta, rua, "many.test")[1])
    details = entry["failure-details"]
    assert 60 < len(details) <= 65 and counts(entry) == (0, 70)
    assert [d["failed-session-count"] for d in details if "receiving-mx-helo" not in d] == [70 - 64]


def test_socket(mta, make_sink, certs):
    """smtp_tlsrpt_socket_name: datagrams for a collector of the site's own, and no reports from here."""
    path = TMP / "tlsrpt.sock"
    collector = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    collector.bind(str(path))
    path.chmod(0o777)
    collector.settimeout(15)
    sink = make_sink(A, tls=certs["mx"].context())
    with mta.settings(smtp_tlsrpt_socket_name=str(path), smtp_tls_security_level="may"):
        assert deliver(mta, "socket.test") == "sent"
        assert json.loads(collector.recv(65536)) == {
            "d": "socket.test", "pr": "v=TLSRPTv1; rua=mailto:reports@rua.test",
            "policies": [{"policy-type": 9, "policy-domain": "socket.test", "t": 0, "f": 0}]}
        sink.close()
        make_sink(A)
        # A collector that has begun anew.
        collector.close()
        path.unlink()
        collector = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        collector.bind(str(path))
        path.chmod(0o777)
        collector.settimeout(15)
        assert deliver(mta, "socket.test") == "sent"
        policy, = json.loads(collector.recv(65536))["policies"]
        assert (policy["t"], policy["f"]) == (1, 1)
        assert policy["failure-details"][0]["c"] == 201
        assert policy["failure-details"][0]["n"] == "mx.socket.test"
        assert collected(mta, "socket.test") is None
    collector.close()
