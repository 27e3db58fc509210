"""Delivery agents beside local's plain cases: pipe(8), error(8), discard(8), other transports
for mailboxes, and what hostile users can put in their home directories."""

import os

import pytest
from mail import message
from mta import TMP, home, write_home

OUT = TMP / "agents"
"""Directory that commands write to."""


@pytest.fixture(scope="module")
def mta(make_mta):
    OUT.mkdir()
    OUT.chmod(0o1777)
    dump = (
        f'{{ f="$1"; shift; printf "%s\\n" "$@" >$f.args; id -un >$f.user; cat >$f.in; }}'.replace(
            "$", "$$"
        )
    )
    exits = "".join(f'exit{n}: "|exit {n}"\n' for n in range(64, 79))
    return make_mta(
        main={
            "alias_maps": "hash:$config_directory/aliases, hash:$config_directory/owned",
            "alias_database": "hash:$config_directory/aliases",
            "transport_maps": "hash:$config_directory/transport",
            "recipient_delimiter": "+",
            "myorigin": "$mydomain",
            "mailbox_transport_maps": "inline:{dave=one:hop.test}",
            "slow_time_limit": "1",
            "many_destination_recipient_limit": "10",
            "one_destination_recipient_limit": "1",
        },
        services=[
            f"one unix - n n - - pipe flags=DORFB.>Xu user=vmail argv=/bin/sh -c {dump} x {OUT}/one"
            " ${sender} ${recipient} ${user} ${extension} ${mailbox} ${domain} ${nexthop} $$x",
            f"many unix - n n - - pipe flags=q user=vmail null_sender= argv=/bin/sh -c {dump} x"
            f" {OUT}/many -f ${{sender}} to ${{recipient}}",
            "fails unix - n n - - pipe user=vmail argv=/bin/sh -c { echo 4.2.1 busy; exit 1 }",
            "dies unix - n n - - pipe user=vmail argv=/bin/sh -c { kill -9 $$$$ }",
            "slow unix - n n - - pipe user=vmail argv=/bin/sleep 30",
            "small unix - n n - - pipe size=100 user=vmail argv=/bin/cat",
        ],
        tables={
            "hash:transport": (
                "one.test one:\n"
                "many.test many:hop.test\n"
                "fails.test fails:\n"
                "dies.test dies:\n"
                "slow.test slow:\n"
                "small.test small:\n"
                "err.test error:5.1.2 closed\n"
                "plain.test error:no mail here\n"
                "later.test retry:4.3.2 come back\n"
                "gone.test discard:\n"
            ),
            "hash:aliases": (
                "one: Joe+Ext@one.test\n"
                "many: a@many.test, b@many.test\n"
                + "".join(
                    f"{n}: x@{n}.test\n"
                    for n in ("fails", "dies", "slow", "small", "err", "plain", "later", "gone")
                )
                + exits
                + 'signal: "|kill -9 $$"\n'
                'self: self\n'
            ),
            "hash:owned": f'owned "|id -un > {OUT}/owned"\n',
        },
    )


def test_alias_owner(mta):
    """A command of an alias has the rights of the owner of the database; local(8)."""
    os.chown(mta.config / "owned.db", 5003, 5003)
    with mta.settings(local_recipient_maps=""):
        assert outcome(mta, "owned", "owned@example.test")["status"] == "sent"
    assert (OUT / "owned").read_text() == "carol\n"


def send(mta, name, text=None, **kw):
    return mta.inject(f"{name}@example.test", text or message(), **kw)


def outcome(mta, name, rcpt, **kw):
    """Sends to an address and returns what became of `rcpt`, maybe in a forwarded copy."""
    send(mta, name, **kw)
    return mta.wait_delivery(r"\w+", to=rcpt)


def test_pipe_one_recipient(mta):
    """Flags, macros and user of a pipe service; pipe(8)."""
    r = outcome(mta, "one", "Joe+Ext@one.test", text="Subject: x\n\nFrom a\n.b\n", sender="S@client.test")
    assert (r["program"], r["relay"], r["dsn"], r["status"]) == ("pipe", "one", "2.0.0", "sent")
    assert (OUT / "one.user").read_text() == "vmail\n"
    assert (OUT / "one.args").read_text().split("\n") == [
        "S@client.test", "joe+ext@one.test", "joe", "ext", "joe+ext", "one.test", "one.test", "$x", ""
    ]
    lines = (OUT / "one.in").read_text().split("\n")
    assert lines[0].startswith("From S@client.test  ")
    assert lines[1:4] == [
        "Return-Path: <S@client.test>", "X-Original-To: one@example.test",
        "Delivered-To: Joe+Ext@one.test",
    ]
    assert lines[-5:] == ["", ">From a", "..b", "", ""]


def test_pipe_many_recipients(mta):
    """An argument with a recipient macro comes once for each recipient, an empty sender is an
    empty argument with null_sender=; pipe(8)."""
    outcome(mta, "many", "b@many.test", sender="")
    assert (OUT / "many.args").read_text().split("\n") == [
        "-f", "", "to", "a@many.test", "b@many.test", ""
    ]


@pytest.mark.parametrize(
    "name, status, dsn",
    [("fails", "deferred", "4.2.1"), ("dies", "deferred", "4.3.0"), ("slow", "bounced", "5.3.0"),
     ("small", "bounced", "5.2.3"), ("err", "bounced", "5.1.2"), ("plain", "bounced", "5.0.0"),
     ("later", "deferred", "4.3.2"), ("gone", "sent", "2.0.0")],
)
def test_agent_outcome(mta, name, status, dsn):
    """What pipe, error, retry and discard make of a message; pipe(8), error(8), discard(8)."""
    r = outcome(mta, name, f"x@{name}.test")
    assert (r["status"], r["dsn"]) == (status, dsn)


@pytest.mark.parametrize("code", range(64, 79))
def test_exit_codes(mta, code):
    """Exit codes of sysexits.h; local(8)."""
    soft = code in (71, 75)
    dsn = {71: "4.3.0", 65: "5.6.0", 67: "5.1.1", 68: "5.1.2", 73: "5.2.0", 75: "4.3.0", 76: "5.5.0",
           77: "5.7.0", 78: "5.3.5"}.get(code, "5.3.0")
    r = outcome(mta, f"exit{code}", f"exit{code}@example.test")
    assert (r["status"], r["dsn"]) == ("deferred" if soft else "bounced", dsn)


def test_command_killed(mta):
    """A command that dies of a signal is tried again; local(8)."""
    r = outcome(mta, "signal", "signal@example.test")
    assert (r["status"], r["dsn"]) == ("deferred", "4.3.0")


def test_mailbox_transport(mta):
    """mailbox_transport_maps gives a mailbox to another transport; postconf(5)."""
    r = outcome(mta, "dave", "dave@example.test")
    assert (r["program"], r["relay"], r["status"]) == ("pipe", "one", "sent")
    assert "Delivered-To: dave@example.test\n" in (OUT / "one.in").read_text()
    assert not mta.maildir("dave")


def test_alias_to_itself(mta):
    """An alias that has itself as its only destination is the user of that name; local(8)."""
    r = outcome(mta, "self", "self@example.test")
    assert (r["status"], r["dsn"]) == ("bounced", "5.1.1")


@pytest.mark.parametrize("kind", ["symlink", "hardlink", "fifo", "directory"])
def test_mailbox_is_no_file(mta, kind):
    """A mailbox that is no regular file of its user is never written to; local(8)."""
    victim = OUT / f"victim-{kind}"
    victim.write_text("")
    os.chown(victim, 5002, 5002)
    box = home("bob") / "mbox"
    if kind == "symlink":
        box.symlink_to(victim)
    elif kind == "hardlink":
        os.link(victim, box)
    elif kind == "fifo":
        os.mkfifo(box)
        os.chown(box, 5002, 5002)
    else:
        box.mkdir()
    with mta.settings(home_mailbox="mbox"):
        r = outcome(mta, "bob", "bob@example.test")
    assert r["status"] in ("deferred", "bounced")
    assert victim.read_text() == ""


def test_include_of_unreadable_file(mta):
    """A user's :include: is read with the user's rights; aliases(5)."""
    write_home("carol", ".forward", ":include:/etc/shadow\n")
    r = outcome(mta, "carol", "carol@example.test")
    assert (r["status"], r["dsn"]) == ("bounced", "5.3.5")


def test_forward_symlink(mta):
    """A .forward file of somebody else is not used; local(8)."""
    write_home("bob", "list", "bob\n")
    (home("alice") / ".forward").symlink_to(home("bob") / "list")
    send(mta, "alice")
    mta.wait_maildir("alice")
    assert not mta.maildir("bob")


def test_command_surroundings(mta):
    """A user's command has the user's group alone, three descriptors and a clean environment;
    local(8)."""
    out = home("bob") / "about"
    write_home("bob", ".forward", f'"|{{ id -G; ls /proc/self/fd | wc -l; env | cut -d= -f1 | sort; }} >{out}"\n')
    r = outcome(mta, "bob", "bob@example.test")
    assert r["status"] == "sent"
    lines = out.read_text().split()
    assert lines[0] == "5002"
    assert int(lines[1]) <= 4  # ls has one of its own
    assert set(lines[2:]) <= {
        "CLIENT_ADDRESS", "CLIENT_HELO", "CLIENT_HOSTNAME", "CLIENT_PORT", "CLIENT_PROTOCOL", "DOMAIN",
        "HOME", "LANG", "LOCAL", "LOGNAME", "MAIL_CONFIG", "ORIGINAL_RECIPIENT", "PATH", "PWD",
        "RECIPIENT", "SENDER", "SHELL", "TZ", "USER",
    }


def test_include_of_itself(mta):
    """An :include: file that includes itself ends; aliases(5)."""
    list_file = home("carol") / "list"
    write_home("carol", "list", f":include:{list_file}\n")
    write_home("carol", ".forward", f":include:{list_file}, \\carol\n")
    send(mta, "carol")
    mta.wait_maildir("carol")


def test_maildir_symlink(mta):
    """A Maildir whose new/ leads elsewhere gets nothing there; local(8)."""
    victim = OUT / "victim-dir"
    victim.mkdir()
    box = home("bob") / "Maildir"
    for name in ("tmp", "cur"):
        (box / name).mkdir(parents=True)
    (box / "new").symlink_to(victim)
    for path in (box, box / "tmp", box / "cur"):
        os.chown(path, 5002, 5002)
    r = outcome(mta, "bob", "bob@example.test")
    assert r["status"] in ("deferred", "bounced")
    assert not list(victim.iterdir())
