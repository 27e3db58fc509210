"""Configurations as sites and guides for Postfix have them: they serve as they are, or what is missing
is said before anything is lost."""

import re

import dovecot
import pytest
from mta import TMP

ALICE, BOB = "alice@example.test", "bob@example.test"


def said(instance):
    """What `postern check` says, and its exit status."""
    result = instance.check()
    return result.code, result.err


# What protects a site and is not here: nothing starts before the administrator has decided.

MISSING = {
    "milter": ({"smtpd_milters": "inet:127.0.0.1:8891"}, [],
               r"main\.cf, line \d+: smtpd_milters = \S+ milters are not in .*milter_default_action = accept"),
    "milter-own-action": (
        {"smtpd_milters": "{ inet:127.0.0.1:1, default_action=accept }, { unix:x, default_action = tempfail }"},
        [], r"smtpd_milters = .* milters are not in"),
    "milter-of-service": ({}, ["LISTEN1 inet n - n - - smtpd -o smtpd_milters=unix:rspamd/milter.sock"],
                          r"master\.cf, line \d+: smtpd_milters = unix:rspamd/milter\.sock: milters"),
    "milter-of-sendmail": ({"non_smtpd_milters": "unix:opendkim/opendkim.sock"}, [],
                           r"non_smtpd_milters = \S+ milters are not in"),
    "postscreen": ({}, ["LISTEN1 inet n - n - 1 postscreen", "smtpd pass - - n - - smtpd"],
                   r'unknown program "postscreen": its tests .*let smtpd have the port'),
    "qmqpd": ({}, ["LISTEN1 inet n - n - - qmqpd"], r'unknown program "qmqpd": .*remove this line'),
    "mysql": ({"virtual_mailbox_maps": "proxy:mysql:/etc/postfix/mysql.cf"}, [],
              r'virtual_mailbox_maps: "proxy:mysql:/etc/postfix/mysql\.cf": unsupported table type'),
    "ldap": ({"virtual_alias_maps": "hash:/etc/a, ldap:/etc/b.cf"}, [],
             r'virtual_alias_maps: "ldap:/etc/b\.cf": unsupported table type'),
}


@pytest.mark.parametrize("main,services,text", MISSING.values(), ids=MISSING)
def test_missing(make_mta, main, services, text):
    """A filter, a test or a table that this version lacks ends the start, once and with the place."""
    instance = make_mta(main=main, services=services, start=False)
    code, words = said(instance)
    errors = re.findall(r"(?m)^postern: error: .*", words)
    assert code == 1 and len(errors) == 1, words
    assert re.search(text, errors[0]), words
    assert instance.control("start").code == 1
    assert not instance.status()


def test_milters_that_may_be_missing(make_mta):
    """With milter_default_action = accept mail passes, and the log says without what."""
    instance = make_mta(main={"smtpd_milters": "inet:127.0.0.1:8891", "non_smtpd_milters": "$smtpd_milters",
                              "milter_default_action": "accept"})
    for name in ("smtpd_milters", "non_smtpd_milters"):
        instance.wait_log(rf"warning: .*main\.cf, line \d+: {name} = \S+ .*mail passes without them")
    instance.inject(ALICE)
    instance.submit(ALICE)
    instance.wait_maildir("alice", 2)


def test_filter_before_the_queue(make_mta):
    """A service with smtpd_proxy_filter takes no mail, as if the filter could not be reached; others do."""
    instance = make_mta(services=["LISTEN1 inet n - n - - smtpd -o smtpd_proxy_filter=127.0.0.1:10024"])
    code, words = said(instance)
    assert code == 0, words
    assert re.search(r"master\.cf, line \d+: smtpd_proxy_filter = 127\.0\.0\.1:10024: .*content_filter", words)
    with instance.smtp(listen=1) as c:
        c.ehlo()
        c.mail("a@client.test", expect=451)
    instance.wait_log(r"warning: connect to proxy filter 127\.0\.0\.1:10024")
    instance.inject(ALICE)
    instance.wait_maildir("alice", 1)


def test_empty_settings_ask_for_nothing(make_mta):
    """Services that turn a filter off, as those do that take mail back from it, are no matter."""
    instance = make_mta(main={"smtpd_milters": "", "non_smtpd_milters": ""}, start=False, services=[
        "LISTEN1 inet n - n - - smtpd -o smtpd_proxy_filter= -o smtpd_milters= -o smtpd_milter_maps="])
    assert said(instance) == (0, "")


@pytest.mark.parametrize("setting", ["virtual_mailbox_domains", "relay_domains", "transport_maps"])
def test_table_that_is_not_there(make_mta, setting):
    """A table that was not copied defers mail, and the log names it."""
    instance = make_mta(main={setting: "hash:/etc/postfix/forgotten"})
    with instance.smtp() as c:
        c.ehlo()
        c.mail("a@client.test")
        c.rcpt("x@elsewhere.test", expect=451)
    instance.wait_log(rf"smtpd\[\d+\]: warning: .*{setting}.*/etc/postfix/forgotten\.db: No such file")


# Debian's package.

ALIASES = """\
postmaster: root
root: alice
list: :include:$DIR/members
owner-list: bob
"""


def debian(make_mta, mailname, **main):
    """What Debian's postfix package makes of an "Internet site": names come from /etc/mailname."""
    instance = make_mta(start=False, main={
        "myorigin": "$config_directory/mailname", "append_dot_mydomain": "no", "readme_directory": "no",
        "smtpd_relay_restrictions": "permit_mynetworks permit_sasl_authenticated defer_unauth_destination",
        "alias_maps": "hash:$config_directory/aliases", "alias_database": "hash:$config_directory/aliases",
        "mydestination": "$myhostname, example.test, localhost.localdomain, , localhost",
        "mynetworks": "127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128", "mailbox_size_limit": "0",
        "recipient_delimiter": "+", **main})
    instance.write("mailname", mailname)
    instance.write("members", "alice\nbob+list, carol\n# nobody else\n")
    instance.table("hash:aliases", ALIASES.replace("$DIR", str(instance.config)))
    return instance


def test_origin_in_file(make_mta):
    """myorigin = /etc/mailname: the file's first line goes behind local names, everywhere."""
    instance = debian(make_mta, "example.test \nmore.test\n", masquerade_domains="$myorigin")
    assert said(instance) == (0, "")
    assert instance.postconf("-xh", "masquerade_domains").out == "example.test\n"
    assert instance.postconf("-h", "myorigin").out == "$config_directory/mailname\n"
    assert instance.postconf("-xh", "myorigin").out == "example.test\n"
    instance.start()
    qid = instance.submit("list", "Subject: x\n\ny\n", user="alice")
    assert instance.wait_delivery(qid)["to"] == "list@example.test"
    mail, = instance.wait_maildir("bob")
    assert b"<alice@example.test>" in mail
    instance.wait_maildir("alice")
    instance.wait_maildir("carol")


@pytest.mark.parametrize("text", [None, "", "\nexample.test\n"], ids=["no-file", "empty", "empty-line"])
def test_origin_file_without_a_name(make_mta, text):
    """Without a name in the file nothing starts: mail for "alice" would bounce."""
    instance = debian(make_mta, "example.test\n")
    if text is None:
        (instance.config / "mailname").unlink()
    else:
        instance.write("mailname", text)
    code, words = said(instance)
    assert code == 1 and re.search(r"main\.cf, line \d+: myorigin: no name in the first line of \"/", words), words


# Dovecot as its manual sets it up beside Postfix, with Postern's account in place of Postfix's.

DOVECOT = """\
protocols = lmtp
mail_location = maildir:{vmail}/%u/Maildir
disable_plaintext_auth = no
auth_mechanisms = plain login
service lmtp {{
  unix_listener {private}/dovecot-lmtp {{
    mode = 0600
    user = postern
    group = postern
  }}
}}
service auth {{
  unix_listener {private}/auth {{
    mode = 0660
    user = postern
    group = postern
  }}
}}
"""


@pytest.mark.parametrize("chroot", "yn")
def test_dovecot(make_mta, chroot):
    """Logins and mail by Dovecot's sockets, which nobody else may use, with and without chroot;
    submission with the -o of guides."""
    instance = make_mta(main={
        "virtual_transport": "lmtp:unix:private/dovecot-lmtp", "virtual_mailbox_domains": "v.test",
        "virtual_mailbox_maps": "inline:{joe@v.test=x, ann@v.test=x}",
        "virtual_alias_maps": "inline:{info@v.test=joe@v.test, joe@v.test=joe@v.test, @v.test=ann@v.test}",
        "smtpd_sasl_type": "dovecot", "smtpd_sasl_path": "private/auth",
        "smtpd_sender_login_maps": "$virtual_alias_maps",
        "mua_client_restrictions": "permit_sasl_authenticated, reject",
    }, services=[
        f"lmtp unix - - {chroot} - - lmtp",
        "LISTEN1 inet n - y - - smtpd -o smtpd_sasl_auth_enable=yes -o { smtpd_relay_restrictions = "
        "permit_sasl_authenticated, reject } -o smtpd_client_restrictions=$mua_client_restrictions "
        "-o smtpd_sender_restrictions=reject_sender_login_mismatch -o {smtpd_recipient_restrictions=}"])
    private = instance.queue / "private"
    vmail = TMP / "vmail"
    with dovecot.running(instance, "joe@v.test:{PLAIN}pw\nann@v.test:{PLAIN}x\n", f"uid=5100 gid=5100 home={vmail}/%u",
                         DOVECOT.format(vmail=vmail, private=private), private / "dovecot-lmtp"):
        instance.inject(["info@v.test", "other@v.test"])
        with instance.smtp(1) as c:
            c.ehlo()
            c.mail("joe@v.test")
            c.rcpt("ann@v.test", expect=554)
            c.cmd("RSET", 250)
            c.auth_plain("joe@v.test", "pw")
            c.mail("ann@v.test")
            c.rcpt("x@elsewhere.test", expect=553)
            c.cmd("RSET", 250)
            c.transaction("joe@v.test", "info@v.test", "Subject: x\n\ny\n")
        instance.wait_maildir(vmail / "joe@v.test/Maildir", 2)
        instance.wait_maildir(vmail / "ann@v.test/Maildir")
    instance.control("stop").ok()


@pytest.mark.parametrize("command", ["procmail-gone -a x", "/nowhere/procmail", "exec $$HOME"])
def test_command_that_is_not_there(make_mta, command):
    """mailbox_command names a program that was not installed: the mail waits for it."""
    instance = make_mta(main={"mailbox_command": command})
    record = instance.wait_delivery(instance.inject(ALICE))
    assert record["status"] == "deferred" and record["dsn"] == "4.3.0", record
