"""Mail programs that nobody here wrote: each submits with a login over TLS, and Dovecot's IMAP server
reads the message from the Maildir. The big ones run in the long form, with CHECK_LONG set."""

import email
import imaplib
import os
import re
import smtplib
import ssl
import subprocess

import pytest
from dovecot import authenticating
from mta import home, poll

LONG = bool(os.environ.get("CHECK_LONG"))
USER, PASSWORD = "alice", "s=cr t"
SENDER, RECIPIENT = "alice@example.test", "alice@example.test"
SERVICE = {"starttls": 1, "tls": 2}
DOVECOT_SERVICE = {"starttls": 3, "tls": 4}
MAILBOX_PORT = 10143
LINE = ".a line that begins with a dot, and gr\xfc\xdfe"


@pytest.fixture(scope="module")
def cert(ca):
    return ca.issue("localhost")


@pytest.fixture(scope="module")
def mta(make_mta, cert):
    """LISTEN1 and 2 are submission as in the sample, 3 and 4 the same with Dovecot's logins."""
    common = ("-o smtpd_sasl_auth_enable=yes -o smtpd_recipient_restrictions="
              " -o smtpd_relay_restrictions=permit_sasl_authenticated,reject")
    starttls = f"inet n - n - - smtpd {common} -o smtpd_tls_security_level=encrypt"
    wrapped = f"inet n - n - - smtpd {common} -o smtpd_tls_wrappermode=yes"
    dovecot = "-o smtpd_sasl_type=dovecot -o smtpd_sasl_path=private/real"
    instance = make_mta(
        start=False,
        main={
            "compatibility_level": "3.11",
            "mynetworks": "192.0.2.99/32",
            "smtpd_sasl_type": "passwd",
            "smtpd_sasl_passwd_delay": "0",
            "smtpd_error_sleep_time": "0",
            "smtpd_tls_auth_only": "yes",
            "smtpd_tls_chain_files": f"{cert.key}, {cert.cert}",
        },
        services=[f"LISTEN1 {starttls}", f"LISTEN2 {wrapped}", f"LISTEN3 {starttls} {dovecot}",
                  f"LISTEN4 {wrapped} {dovecot}"],
    )
    instance.run("postern", "user", "add", USER, stdin=PASSWORD + "\n").ok()
    return instance.start()


@pytest.fixture(scope="module", autouse=True)
def dovecot(mta):
    """Dovecot checks logins at private/real, and serves the Maildir of alice by IMAP."""
    with authenticating(mta, f"{USER}:{{PLAIN}}{PASSWORD}\n", "plain login cram-md5", f"""
protocols = imap
mail_location = maildir:~/Maildir
service imap-login {{
  inet_listener imap {{
    port = {MAILBOX_PORT}
  }}
}}
""", home=home(USER)):
        yield


class Submission:
    """What a client is told: where the server is, how TLS begins, and who logs in how."""

    def __init__(self, mta, ca, tmp_path, how, mechanism, password=PASSWORD):
        services = DOVECOT_SERVICE if mechanism == "CRAM-MD5" else SERVICE
        self.port, self.how, self.mechanism = mta.port(services[how]), how, mechanism
        self.ca, self.password, self.dir = str(ca.cert), password, tmp_path
        self.subject = f"{how} {mechanism} {tmp_path.name}"
        self.file = tmp_path / "message"
        self.file.write_text(f"From: {SENDER}\nTo: {RECIPIENT}\nSubject: {self.subject}\n"
                             "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
                             f"Content-Transfer-Encoding: 8bit\n\n{LINE}\n")

    def run(self, *command, **kw):
        """Runs the client; its exit status says whether the message was taken."""
        done = subprocess.run([str(word) for word in command], capture_output=True, timeout=60, **kw)
        return done.returncode == 0, done.stdout.decode() + done.stderr.decode()


def swaks(s):
    with open(s.file, "rb") as data:
        return s.run("swaks", "--server", "127.0.0.1", "--port", s.port, "--from", SENDER, "--to",
                     RECIPIENT, {"starttls": "--tls", "tls": "--tls-on-connect"}[s.how],
                     "--tls-verify", "--tls-ca-path", s.ca, "--auth", s.mechanism, "--auth-user",
                     USER, "--auth-password", s.password, "--data", "-", stdin=data)


def msmtp(s):
    config = s.dir / "msmtprc"
    config.write_text(
        f"account default\nhost localhost\nport {s.port}\nfrom {SENDER}\nuser {USER}\n"
        f'password "{s.password}"\nauth {s.mechanism.lower()}\ntls on\ntls_trust_file {s.ca}\n'
        f"tls_starttls {'on' if s.how == 'starttls' else 'off'}\n")
    config.chmod(0o600)
    with open(s.file, "rb") as data:
        return s.run("msmtp", "-C", config, RECIPIENT, stdin=data)


def curl(s):
    scheme = "smtp" if s.how == "starttls" else "smtps"
    return s.run("curl", "-sS", "--ssl-reqd", f"{scheme}://localhost:{s.port}", "--cacert", s.ca,
                 "-u", f"{USER}:{s.password}", "--login-options", f"AUTH={s.mechanism}",
                 "--mail-from", SENDER, "--mail-rcpt", RECIPIENT, "--crlf", "-T", s.file)


def python(s):
    context = ssl.create_default_context(cafile=s.ca)
    server = (smtplib.SMTP("localhost", s.port, timeout=20) if s.how == "starttls" else
              smtplib.SMTP_SSL("localhost", s.port, timeout=20, context=context))
    with server:
        if s.how == "starttls":
            server.starttls(context=context)
        server.ehlo()
        server.user, server.password = USER, s.password
        try:
            server.auth(s.mechanism, getattr(server, "auth_" + s.mechanism.lower().replace("-", "_")))
            server.send_message(email.message_from_bytes(s.file.read_bytes()), SENDER, RECIPIENT,
                                ["BODY=8BITMIME"])
        except smtplib.SMTPResponseException as error:
            return False, str(error)
    return True, ""


NODE = """
const [port, how, mechanism, user, pass, ca, raw, from, to] = process.argv.slice(1);
require("nodemailer").createTransport({
	host: "127.0.0.1", port: Number(port), secure: how === "tls", requireTLS: true,
	authMethod: mechanism, auth: { user, pass },
	tls: { ca: require("fs").readFileSync(ca), servername: "localhost" },
}).sendMail({ envelope: { from, to }, raw: { path: raw } }, error => {
	if (error) { console.error(String(error)); process.exitCode = 1; }
});
"""


def nodemailer(s):
    return s.run("node", "-e", NODE, s.port, s.how, s.mechanism, USER, s.password, s.ca, s.file,
                 SENDER, RECIPIENT, env={**os.environ, "NODE_PATH": "/usr/share/nodejs"})


JAVA = """
import java.io.FileInputStream;
import java.util.Properties;
import javax.mail.*;
import javax.mail.internet.*;

class Submit {
	public static void main(String[] args) throws Exception {
		String protocol = args[1].equals("tls") ? "smtps" : "smtp", prefix = "mail." + protocol;
		Properties p = new Properties();
		p.put(prefix + ".auth", "true");
		p.put(prefix + ".auth.mechanisms", args[2]);
		p.put(prefix + ".starttls.required", args[1].equals("starttls") ? "true" : "false");
		p.put(prefix + ".ssl.checkserveridentity", "true");
		p.put(prefix + ".allow8bitmime", "true");
		p.put(prefix + ".from", args[6]);
		Session session = Session.getInstance(p);
		MimeMessage message = new MimeMessage(session, new FileInputStream(args[5]));
		Transport transport = session.getTransport(protocol);
		transport.connect("localhost", Integer.parseInt(args[0]), args[3], args[4]);
		transport.sendMessage(message, InternetAddress.parse(args[7]));
		transport.close();
	}
}
"""


def javamail(s):
    source, store = s.dir / "Submit.java", s.dir / "trusted"
    source.write_text(JAVA)
    if not store.exists():
        subprocess.run(["keytool", "-importcert", "-noprompt", "-file", s.ca, "-keystore", store,
                        "-storepass", "changeit"], check=True, capture_output=True, timeout=60)
    jars = "/usr/share/java/javax.mail.jar:/usr/share/java/javax.activation.jar"
    return s.run("java", "-cp", jars, f"-Djavax.net.ssl.trustStore={store}",
                 "-Djavax.net.ssl.trustStorePassword=changeit", source, s.port, s.how,
                 s.mechanism, USER, s.password, s.file, SENDER, RECIPIENT)


# What a client has of mechanisms: JavaMail has no CRAM-MD5.
MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5")
CLIENTS = [(swaks, MECHANISMS), (msmtp, MECHANISMS), (curl, MECHANISMS), (python, MECHANISMS)]
LONG_CLIENTS = [(nodemailer, MECHANISMS), (javamail, ("PLAIN", "LOGIN"))]
CASES = [pytest.param(client, how, mechanism, id=f"{client.__name__}-{how}-{mechanism}")
         for client, has in CLIENTS + (LONG_CLIENTS if LONG else [])
         for how in SERVICE for mechanism in has]


def fetch(subject):
    """The message with that subject, as the IMAP server has it; None when it is not there."""
    with imaplib.IMAP4("127.0.0.1", MAILBOX_PORT) as box:
        box._encoding = "utf-8"
        box.authenticate("PLAIN", lambda _: f"\0{USER}\0{PASSWORD}".encode())
        box.select()
        found = box.search(None, "HEADER", "Subject", f'"{subject}"')[1][0].split()
        assert len(found) <= 1
        return box.fetch(found[0], "(RFC822)")[1][0][1] if found else None


@pytest.mark.parametrize("client, how, mechanism", CASES)
def test_client(mta, ca, tmp_path, client, how, mechanism):
    """The message arrives whole; a wrong password sends none."""
    s = Submission(mta, ca, tmp_path, how, mechanism)
    is_sent, said = client(s)
    assert is_sent, said
    qid = mta.wait_log(rf"(\w+): client=.*, sasl_method={mechanism}, sasl_username={USER}$").group(1)
    mail = poll(lambda: fetch(s.subject), 15, lambda: f"message {s.subject}: {mta.deliveries(qid)}")
    head, _, body = mail.decode().partition("\r\n\r\n")
    assert body.rstrip("\r\n") == LINE  # swaks adds an empty line
    assert re.search(rf"with ESMTPSA id {qid}\s", head), head
    mta.set_mark()
    is_sent, said = client(Submission(mta, ca, tmp_path, how, mechanism, password="wrong"))
    assert not is_sent and ("535" in said or client in (curl, javamail)), said
    assert mta.wait_log(rf"warning: .*SASL {mechanism} authentication failed")
    assert not mta.grep_log(r"sasl_method=")
