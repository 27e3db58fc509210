"""OAuth for relays: access tokens by refresh tokens, from a file of accounts through the service "oauth" to
XOAUTH2 and OAUTHBEARER; the token endpoint is a server with HTTPS."""

import base64
import http.server
import json
import os
import re
import threading
import urllib.parse

import pytest
from mta import poll
from sink import EXTENSIONS
from test_tls_server import memory, processes

RELAY, ENDPOINT, NOBODY = "198.51.100.1", "198.51.100.7", "198.51.100.8"
SECRETS = ("cl13nt-s3cret", "r3fresh", "acc3ss")
"""What every secret here has in it, and no log."""

CASES = ("plain", "bearer", "rotate", "refuses", "shared", "changed", "command", "denied", "busy", "nojson",
         "text", "wrongtype", "gone", "untrusted", "file", "missing", "bad", "twice", "plainhttp")


class Endpoint(http.server.ThreadingHTTPServer):
    """Answers by the client id, which is the name of the case; remembers what it was asked."""

    def __init__(self, cert):
        super().__init__((ENDPOINT, 443), Handler)
        self.socket = cert.context().wrap_socket(self.socket, server_side=True)
        self.asked, self.answers, self.gate = [], {}, threading.Event()
        self.gate.set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def of(self, case):
        return [form for form in self.asked if form["client_id"] == case]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        assert self.headers["Content-Type"] == "application/x-www-form-urlencoded"
        form = dict(urllib.parse.parse_qsl(body, strict_parsing=True))
        self.server.asked.append(form)
        self.server.gate.wait(10)
        code, answer = self.server.answers[form["client_id"]](form)
        text = answer if isinstance(answer, str) else json.dumps(answer)
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args):
        pass


def account(case, **more):
    settings = {"endpoint": "https://auth.provider.test/token?x=y", "client_id": case,
                "client_secret": "cl13nt-s3cret +&=%", "refresh_token": f"r3fresh-{case}",
                "scope": "https://mail.test/ offline_access", **more}
    lines = "".join(f"    {name} = {value}\n" for name, value in settings.items() if value)
    return f"# for {case}\naccount {case}\n{lines}\n"


def accounts(**changed):
    text = "".join(account(case) for case in CASES if case not in ("missing", "file", "bad", "plainhttp",
                                                                   "untrusted", "gone", *changed))
    return (text + account("untrusted", endpoint="https://untrusted.test/token")
            + account("gone", endpoint="https://gone.test/token")
            + account("plainhttp", endpoint="http://auth.provider.test/token")
            + account("bad", client_id="") + account("twice")
            + "account file\ntoken_file = TOKEN_FILE\n" + "".join(changed.values()))


@pytest.fixture(scope="module")
def endpoint(ca, dns):
    dns.a("auth.provider.test", ENDPOINT)
    dns.a("untrusted.test", ENDPOINT)
    dns.a("gone.test", NOBODY)
    server = Endpoint(ca.issue("auth.provider.test", "auth.provider.test"))
    yield server
    server.shutdown()


@pytest.fixture(scope="module")
def mta(make_mta, dns, ca, endpoint):
    for case in CASES:
        dns.a(f"{case}.relay.test", RELAY)
    instance = make_mta(
        start=False,
        main={
            "smtp_tls_CAfile": str(ca.cert),
            "smtp_sasl_auth_enable": "yes",
            "smtp_sasl_security_options": "noanonymous",
            "smtp_sasl_password_maps": "hash:$config_directory/passwords",
            "transport_maps": "hash:$config_directory/transport",
        },
        tables={
            "hash:passwords": "".join(
                f"[{case}.relay.test]:587 me@x.test:oauth2:account:{case}\n" for case in CASES),
            "hash:transport": "".join(f"{case}.test smtp:[{case}.relay.test]:587\n" for case in CASES),
        })
    instance.write("token", "acc3ss-file\n", 0o600)
    write(instance, accounts())
    return instance.start()


def write(mta, text, mode=0o600):
    mta.write("oauth", text.replace("TOKEN_FILE", str(mta.config / "token")), mode)


@pytest.fixture
def relay(make_sink):
    """A relay that takes the tokens in relay.good."""
    def make(mechanism="XOAUTH2"):
        sink = make_sink(RELAY, 587, extensions=(*EXTENSIONS, f"AUTH {mechanism}"))
        sink.good, sink.tried = set(), []

        def auth(session, line):
            message = base64.b64decode(line.split()[2]).decode()
            sink.tried.append(message)
            token = re.search("auth=Bearer (.*?)\1", message).group(1)
            return "235 2.7.0 ok" if token in sink.good else "535 5.7.8 token is not wanted"
        sink.rule("AUTH", auth)
        return sink
    return make


def deliver(mta, case):
    return mta.wait_delivery(mta.inject(f"x@{case}.test"))


def tokens(endpoint, case, relay=None, **more):
    """The endpoint gives acc3ss-CASE-1, -2 and so on, and the relay takes them."""
    count = iter(range(1, 1000))

    def answer(form):
        token = f"acc3ss-{case}-{next(count)}"
        if relay:
            relay.good.add(token)
        return 200, {"access_token": token, "token_type": "bearer", "expires_in": 3600, "x": [{}], **more}
    endpoint.answers[case] = answer


@pytest.fixture(autouse=True)
def _no_secrets(mta):
    yield
    log = mta.log(all=True)
    for secret in SECRETS:
        assert secret not in log


@pytest.mark.parametrize("case, mechanism, message", [
    ("plain", "XOAUTH2", "user=me@x.test\1auth=Bearer acc3ss-plain-1\1\1"),
    ("bearer", "OAUTHBEARER",
     "n,a=me@x.test,\1host=bearer.relay.test\1port=587\1auth=Bearer acc3ss-bearer-1\1\1"),
])
def test_refresh(mta, endpoint, relay, case, mechanism, message):
    """One request makes a token that serves several messages, and a new start of the mail system."""
    sink = relay(mechanism)
    tokens(endpoint, case, sink)
    for _ in range(2):
        assert deliver(mta, case)["status"] == "sent"
    mta.stop()
    mta.start()
    assert deliver(mta, case)["status"] == "sent"
    assert sink.tried == [message] * 3
    assert endpoint.of(case) == [{
        "grant_type": "refresh_token", "refresh_token": f"r3fresh-{case}", "client_id": case,
        "client_secret": "cl13nt-s3cret +&=%", "scope": "https://mail.test/ offline_access"}]
    assert mta.grep_log(rf"policyfetch\[\d+\]: OAuth account {case}: new access token, for 3600 seconds$")
    kept = (mta.queue / "jail/policyfetch/oauth" / case).read_bytes()
    assert not any(secret.encode() in kept for secret in SECRETS)


def test_rotated(mta, endpoint, relay):
    """Each refresh token is good once; the last one survives, and what the administrator writes wins."""
    sink = relay()
    state = {"refresh": "r3fresh-rotate", "count": 0}

    def answer(form):
        if form["refresh_token"] != state["refresh"]:
            return 400, {"error": "invalid_grant", "error_description": "Token was used"}
        state["count"] += 1
        state["refresh"] = f"r3fresh-{state['count']}"
        sink.good.add(f"acc3ss-{state['count']}")
        return 200, {"access_token": f"acc3ss-{state['count']}", "expires_in": "1",
                     "refresh_token": state["refresh"]}
    endpoint.answers["rotate"] = answer
    for _ in range(2):
        assert deliver(mta, "rotate")["status"] == "sent"
    mta.stop()
    mta.start()
    assert deliver(mta, "rotate")["status"] == "sent"
    assert state["count"] == 3
    state["refresh"] = "r3fresh-by-hand"
    write(mta, accounts(rotate=account("rotate", refresh_token="r3fresh-by-hand")))
    mta.wait_log("oauth has changed: starting anew")
    poll(lambda: deliver(mta, "rotate")["status"] == "sent", 20, "a token by the new refresh token")
    assert state["count"] == 4
    write(mta, accounts())
    mta.wait_log("oauth has changed: starting anew", count=2)


def test_refused(mta, endpoint, relay):
    """A token that the relay does not want any more is renewed in the same session, once in a minute."""
    sink = relay()
    tokens(endpoint, "refuses", sink)
    assert deliver(mta, "refuses")["status"] == "sent"
    sink.good.clear()
    assert deliver(mta, "refuses")["status"] == "sent"
    assert [t.count("acc3ss-refuses-1") for t in sink.tried] == [1, 1, 0]
    assert len(sink.sessions) == 2 and len(endpoint.of("refuses")) == 2
    sink.good.clear()
    record = deliver(mta, "refuses")
    assert record["status"] == "deferred" and "token is not wanted" in record["text"]
    assert len(endpoint.of("refuses")) == 2


def test_shared(mta, endpoint, relay):
    """Many workers at the same time make one request."""
    sink = relay()
    tokens(endpoint, "shared", sink)
    endpoint.gate.clear()
    ids = [mta.inject("x@shared.test") for _ in range(12)]
    poll(lambda: len(sink.sessions) >= 5, 10, "workers at the relay")
    endpoint.gate.set()
    assert {mta.wait_delivery(i)["status"] for i in ids} == {"sent"}
    assert len(endpoint.of("shared")) == 1


@pytest.mark.parametrize("case, answer, said", [
    ("denied", (400, {"error": "invalid_grant", "error_description": "Token has been expired\r\n or \0revoked."}),
     r"the token endpoint https://auth\.provider\.test/token said: 400 invalid_grant: "
     r"Token has been expired\?\? or "),
    ("busy", (503, "<html>no</html>"), "said: 503 the answer is not a JSON object"),
    ("nojson", (200, '{"access_token": "x"'), "said: 200 the answer is not a JSON object"),
    ("text", (200, {"access_token": "two words"}), "said: 200 the answer has no access_token of use"),
    ("wrongtype", (200, {"access_token": "x", "token_type": "mac"}), "said: 200 the token is not of type Bearer"),
    ("gone", None, "cannot ask the token endpoint https://gone.test/token: .*[Cc]onnect"),
    ("untrusted", None, "cannot ask the token endpoint https://untrusted.test/token: .*(certificate|name)"),
    ("missing", None, "there is no such account in /.*/oauth"),
    ("bad", None, r"/oauth, line \d+: the account has no client_id"),
    ("plainhttp", None, r"/oauth, line \d+: the account has no endpoint that begins with https://"),
])
def test_failures(mta, endpoint, relay, case, answer, said):
    """Mail waits with the endpoint's words, the log says which line of the map it was, and for a minute
    the endpoint is left alone."""
    sink = relay()
    if answer:
        endpoint.answers[case] = lambda form: answer
    for _ in range(2):
        record = deliver(mta, case)
        assert record["status"] == "deferred" and record["dsn"] == "4.7.0", record
        assert re.search(f"no OAuth access token for account {case}: .*{said}", record["text"]), record
    mta.wait_log(rf'warning: \w+: no OAuth access token for me@x\.test at server {case}\.relay\.test\S+, account '
                 rf'"{case}", which is from hash:/\S+/passwords, key "\[{case}\.relay\.test\]:587": .*{said}')
    assert len(endpoint.of(case)) == (1 if answer else 0)
    assert not sink.messages and not sink.tried


def test_command(mta, endpoint):
    """postern oauth makes a token as smtp does, and shows no secret."""
    tokens(endpoint, "command")
    for _ in range(2):
        result = mta.run("postern", "oauth", "command")
        assert re.fullmatch(r"command has an access token until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\n", result.out)
    assert len(endpoint.of("command")) == 1
    assert mta.run("postern", "oauth", "file").out == "file has an access token\n"
    for name, said in (("denied", "said: 400 invalid_grant"), ("nobody", "no such account"),
                       ("x" * 65, "cannot talk to")):
        result = mta.run("postern", "oauth", name)
        assert result.code == 1 and said in result.err, result
    assert mta.run("postern", "oauth").code == 1


def test_token_file(mta, relay):
    """A program of the administrator's writes tokens: the file is read anew when it changes."""
    sink = relay()
    sink.good.add("acc3ss-file")
    assert deliver(mta, "file")["status"] == "sent"
    sink.good = {"acc3ss-other"}
    assert deliver(mta, "file")["status"] == "deferred"
    mta.write("token", "acc3ss-other\n", 0o600)
    mta.wait_log("token has changed: starting anew")
    poll(lambda: deliver(mta, "file")["status"] == "sent", 20, "the new token")


def test_rights(mta, relay):
    """A file that others may read is told of, and used."""
    write(mta, accounts(), 0o644)
    mta.wait_log(r"warning: \S+/oauth: holds secrets, and others than its owner may read or write it")
    mta.wait_log(r"warning: \S+/oauth, line \d+: the account is there twice")
    write(mta, accounts())
    mta.wait_log("oauth has changed: starting anew", count=2)


@pytest.mark.skipif("SAN_REPORTS" in os.environ, reason="the sanitizers map terabytes")
def test_apart(mta, relay):
    """The workers that fetch policies from anybody's servers have none of this in their memory."""
    with mta.settings(smtp_tls_mta_sts="yes", smtp_tls_security_level="may"):
        assert deliver(mta, "plain")["status"] == "deferred"
        seen = [b"cl13nt-s3cret" in memory(pid) for pid in processes(mta, "policyfetch")]
        assert True in seen and False in seen
