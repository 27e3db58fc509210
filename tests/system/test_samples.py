"""The configuration files that are installed."""

import re
import shutil
from pathlib import Path

import mta as mta_module
import pytest


@pytest.fixture
def sample(make_mta):
    """An instance with the installed main.cf and master.cf, on ports of its own."""
    instance = make_mta(start=False)
    installed = Path(mta_module.ROOT) / "etc/postern"
    places = {
        name: instance.main[name]
        for name in ("queue_directory", "data_directory", "command_directory", "daemon_directory")
        if instance.main.get(name)
    }
    places["alternate_config_directories"] = ""
    text = (installed / "main.cf").read_text()
    text = text.replace("hash:/etc/aliases", "hash:$config_directory/aliases")
    text += "".join(f"{name} = {value}\n" for name, value in places.items())
    text += f"maillog_file = {instance.log_file}\nmaillog_file_prefixes = {mta_module.TMP}\n"
    instance.write("main.cf", text)
    master = (installed / "master.cf").read_text()
    instance.write("master.cf", re.sub(r"(?m)^smtp +inet", f"{instance.host}:{instance.port()} inet",
                                       master))
    shutil.copy(installed.parent / "aliases", instance.config / "aliases")
    return instance


def test_sample_is_good(sample):
    """`postern check` has nothing to say about the samples but what needs no process."""
    result = sample.check()
    assert result.code == 0, result
    rest = [line for line in result.err.splitlines() if "needs no process here" not in line]
    assert rest == []


def test_sample_runs(sample):
    """The samples start, and mail for a user arrives through an alias."""
    sample.write("aliases", (sample.config / "aliases").read_text() + "root: alice\n")
    sample.run("postalias", f"hash:{sample.config}/aliases").ok()
    sample.main["home_mailbox"] = "Maildir/"
    sample.run("postconf", "-e", "home_mailbox=Maildir/").ok()
    sample.start()
    try:
        with sample.smtp() as c:
            c.ehlo()
            c.transaction("a@client.test", "postmaster@mail.example.test", "Subject: x\n\ny\n")
        sample.wait_maildir("alice")
    finally:
        sample.stop()


@pytest.fixture
def by_provider(sample, dns):
    """The samples, and all that sending by a provider takes: relayhost and a password."""
    dns.a("smtp.provider.test", "198.51.100.7")
    passwords = sample.write("sasl_passwd", "[smtp.provider.test]:587 me:secret\n", 0o600)
    sample.run("postmap", f"hash:{passwords}").ok()
    sample.run("postconf", "-e", "relayhost = [smtp.provider.test]:587",
               f"smtp_sasl_password_maps = hash:{passwords}").ok()
    sample.start()
    yield sample
    sample.stop()


def cron(instance):
    """Mail as cron sends it."""
    instance.sendmail("-i", "admin@elsewhere.test", stdin="Subject: cron\n\nran\n", user="alice").ok()


def test_provider(by_provider, make_sink, ca):
    """Local mail goes out by the provider, with TLS and the login."""
    certs = ca.issue("smtp.provider.test", "smtp.provider.test")
    sink = make_sink("198.51.100.7", 587, tls=certs.context(), auth="PLAIN LOGIN",
                     users={"me": "secret"})
    cron(by_provider)
    message, = sink.wait()
    assert message.session.auth == ("PLAIN", "me", "secret")
    assert message.session.tls
    by_provider.wait_log(r"authenticated to smtp\.provider\.test\S+, sasl_method=PLAIN, sasl_username=me")


def test_provider_without_tls(by_provider, make_sink):
    """Whoever takes TLS out of the way gets no password: mail waits."""
    sink = make_sink("198.51.100.7", 587, auth="PLAIN LOGIN", users={"me": "secret"})
    cron(by_provider)
    by_provider.wait_log(r"status=deferred \(SASL authentication failed; server \S+ offered no compatible")
    assert not [s for s in sink.sessions if s.auth]


@pytest.mark.parametrize("name", ["main.cf", "master.cf"])
def test_sample_values_are_known(sample, name):
    """Every setting that a sample shows, also behind a "#", is a parameter or a service."""
    text = (Path(mta_module.ROOT) / "etc/postern" / name).read_text()
    names = set(re.findall(r"(?m)^#?(?:\s+-o \{? ?)?([a-z][a-z0-9_]+) ?= ?", text))
    known = {line.split(" ")[0] for line in sample.postconf("-d").lines}
    assert names and names <= known, names - known
