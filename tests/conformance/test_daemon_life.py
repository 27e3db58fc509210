"""What keeps daemons going and what ends them: watchdogs, wake-up times, the environment they are
given; and tables that are asked through proxymap."""

import pytest
from mta import MTA, TMP, poll
from policy_util import try_rcpt

SCRIPT = TMP / "environment.sh"
TABLE = "proxy:texthash:$config_directory/approved"


@pytest.fixture(scope="module")
def mta(make_mta):
    instance = make_mta(
        start=False,
        services=["LISTEN1 inet n - n - - smtpd -o daemon_timeout=3s",
                  "LISTEN2 inet n - n - - smtpd -o smtpd_recipient_restrictions="
                  f"check_recipient_access,{TABLE},permit",
                  "pickup unix n - n 1? 1 pickup",
                  "environment unix - n n - - pipe user=alice "
                  f"argv=/bin/sh {SCRIPT} ${{queue_id}}"],
        main={"proxy_read_maps": f"$alias_maps $local_recipient_maps {TABLE}",
              "import_environment": "MAIL_CONFIG, LISTED SET=here { QUOTED = a b }",
              "export_environment": "MAIL_CONFIG LISTED UNLISTED SET QUOTED",
              "transport_maps": "inline:{environment.test=environment, later.test=smtp:[127.0.0.99]}"},
        files={"approved": "bob@example.test REJECT\n",
               str(SCRIPT): f"env >{TMP}/home/alice/environment.$1\n"})
    env = {"LISTED": "one", "UNLISTED": "two", "SET": "there"}
    instance.run(MTA, "-c", str(instance.config), "start", env=env).ok()
    return instance.start() if not instance.status() else instance


def test_watchdog(mta):
    """A daemon that is busy with one request for daemon_timeout is ended."""
    with mta.smtp(1) as c:
        c.ehlo()
        c.cmd("MAIL FROM:<a@client.test>", 250)
        c.cmd("RCPT TO:<bob@example.test>", 250)
        c.cmd("DATA", 354)
        mta.wait_log("watchdog timeout", timeout=30)
    with mta.smtp(1) as c:
        c.ehlo()


def test_proxy_read_maps(mta):
    """A table that main.cf has as proxy:type:name is asked when proxy_read_maps has it."""
    try_rcpt(mta, "bob@example.test", listen=2).check(554)
    try_rcpt(mta, "alice@example.test", listen=2).check(250)


def test_environment(mta):
    """Programs take over what import_environment names, and commands get what
    export_environment names."""
    qid = mta.inject("x@environment.test")
    assert mta.wait_delivery(qid)["status"] == "sent"
    lines = (TMP / f"home/alice/environment.{qid}").read_text().splitlines()
    assert {"LISTED=one", "SET=here", "QUOTED=a b", f"MAIL_CONFIG={mta.config}"} <= set(lines)
    assert not [line for line in lines if line.startswith("UNLISTED")]


def test_wakeup_on_use(make_mta, mta):
    """A wake-up time with "?" counts from the first use of the service on."""
    aside = mta.queue / "aside"
    mta.stop()
    mta.sendmail("-f", "root", "alice@example.test", stdin="Subject: waits\n\n")
    (file,) = [p for p in (mta.queue / "maildrop").iterdir()]
    file.rename(aside)
    mta.start()
    aside.rename(file)
    # Some wake-up times of the queue manager, by its tries of a message.
    qid = mta.inject("x@later.test")
    mta.wait_log(rf"{qid}: to=<x@later.test>.*status=deferred", count=3, timeout=30)
    assert file.exists()
    mta.run("postkick", "public", "pickup", "W").ok()
    mta.wait_maildir("alice")
    mta.stop()
    mta.start()
