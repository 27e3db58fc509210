"""Tables that only root can read: whose parameters name them may use them, as in Postfix, where the user
of a table opens it as root."""

import pytest
from mta import poll

TYPES = ("hash", "btree", "lmdb")


def private(mta, kind, name, text):
    """A table that others may not read, not even its owner but for root."""
    path = mta.write(name, text, 0o600)
    mta.run("postmap", f"{kind}:{path}").ok()
    files = list(mta.config.glob(f"{name}.*db"))
    assert len(files) == 1 and files[0].stat().st_mode & 0o777 == 0o600 and files[0].stat().st_uid == 0
    return f"{kind}:{path}"


@pytest.fixture(scope="module")
def mta(make_mta):
    return make_mta()


def answer(mta, table, sender):
    """What smtpd says of a sender, by that table."""
    with mta.settings(smtpd_sender_restrictions=f"check_sender_access {table}"):
        return asked(mta, sender)


def asked(mta, sender):
    with mta.smtp() as c:
        c.ehlo()
        c.cmd(f"MAIL FROM:<{sender}>", 250)
        return c.cmd("RCPT TO:<alice@example.test>").code


@pytest.mark.parametrize("kind", TYPES)
def test_types(mta, kind):
    table = private(mta, kind, f"access-{kind}", "bad@client.test 554 no\n")
    assert answer(mta, table, "bad@client.test") == 554
    assert answer(mta, table, "good@client.test") == 250
    assert answer(mta, f"unionmap:{{{table}, static:DUNNO}}", "bad@client.test") == 554
    assert answer(mta, f"proxy:{table}", "good@client.test") == 250


def test_rebuilt(mta):
    """A rebuilt table counts without a reload."""
    table = private(mta, "hash", "again", "one@client.test 554 no\n")
    with mta.settings(smtpd_sender_restrictions=f"check_sender_access {table}"):
        assert asked(mta, "one@client.test") == 554
        private(mta, "hash", "again", "two@client.test 554 no\n")
        poll(lambda: asked(mta, "two@client.test") == 554)
        assert asked(mta, "one@client.test") == 250


def test_open_and_closed(mta):
    """A table that is closed to others while it is in use stays in use."""
    table = private(mta, "hash", "closed", "one@client.test 554 no\n")
    (file,) = mta.config.glob("closed.db")
    file.chmod(0o644)
    with mta.settings(smtpd_sender_restrictions=f"check_sender_access {table}"):
        assert asked(mta, "one@client.test") == 554
        file.chmod(0o600)
        private(mta, "hash", "closed", "two@client.test 554 no\n")
        poll(lambda: asked(mta, "two@client.test") == 554)
