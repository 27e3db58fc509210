"""virtual: one process for each user, which one worker keeps."""

import contextlib
import os
import shutil
import signal

import pytest
from mta import poll
from test_killed import processes

USERS = {f"u{number}": 5200 + number for number in range(6)}
"""More than a worker keeps processes for."""


@pytest.fixture(scope="module")
def mta(make_mta):
    base = make_mta(start=False)
    boxes = base.dir / "boxes"
    boxes.mkdir()
    boxes.chmod(0o1777)
    base.main.update({
        "virtual_mailbox_domains": "virtual.test", "virtual_mailbox_base": str(boxes),
        "virtual_mailbox_maps": "inline:{" + ", ".join(f"{u}@virtual.test={u}/" for u in USERS) + "}",
        "virtual_uid_maps": "inline:{" + ", ".join(f"{u}@virtual.test={i}" for u, i in USERS.items()) + "}",
        "virtual_gid_maps": "static:5200", "virtual_minimum_uid": "5000", "virtual_recipient_limit": "50",
        "virtual_destination_recipient_limit": "50", "virtual_destination_concurrency_limit": "1",
    })
    base.boxes = boxes
    base.write_main()
    return base.start()


def mails(mta, user):
    return list((mta.boxes / user / "new").glob("*"))


def deliver(mta, users):
    """Sends one message to these users; waits until all have it."""
    before = {user: len(mails(mta, user)) for user in users}
    qid = mta.inject([f"{user}@virtual.test" for user in users])
    mta.wait_gone(qid)
    assert all(len(mails(mta, user)) == before[user] + 1 for user in users)
    assert {d["status"] for d in mta.deliveries(qid)} == {"sent"}


def actors():
    """Process numbers by uid."""
    found = {}
    for pid in processes("virtual"):
        with contextlib.suppress(FileNotFoundError):  # it has just ended
            found[os.stat(f"/proc/{pid}").st_uid] = pid
    return {uid: pid for uid, pid in found.items() if uid in USERS.values()}


def test_many_users(mta):
    """Each mailbox is its user's, also those of which the process had to make room."""
    for _ in range(2):
        deliver(mta, list(USERS))
    for user, uid in USERS.items():
        assert {path.stat().st_uid for path in mails(mta, user)} == {uid}


def test_kept(mta):
    """The next message for the same user starts no process."""
    deliver(mta, ["u1"])
    before = actors()[USERS["u1"]]
    deliver(mta, ["u1"])
    assert actors()[USERS["u1"]] == before


def test_killed(mta):
    """A killed process takes no mail with it."""
    deliver(mta, ["u2"])
    os.kill(actors()[USERS["u2"]], signal.SIGKILL)
    poll(lambda: USERS["u2"] not in actors(), 10, lambda: str(actors()))
    deliver(mta, ["u2"])


@pytest.mark.parametrize("missing", ("", "tmp", "new"))
def test_directories(mta, missing):
    """Directories that have gone come back."""
    deliver(mta, ["u3"])
    shutil.rmtree(mta.boxes / "u3" / missing)
    qid = mta.inject("u3@virtual.test")
    mta.wait_gone(qid)
    assert len(mails(mta, "u3")) >= 1
    assert {path.name for path in (mta.boxes / "u3").iterdir()} == {"tmp", "new", "cur"}


@pytest.mark.parametrize("is_gone", (False, True))
def test_base_is_replaced(mta, is_gone):
    """Another directory of that name, as after a restore or a mount, gets the next message, though the process
    is kept; nothing follows the one that was there before to where that went."""
    deliver(mta, ["u4"])
    aside = mta.boxes.with_name("aside")
    mta.boxes.rename(aside)
    if is_gone:
        shutil.rmtree(aside)
    mta.boxes.mkdir()
    mta.boxes.chmod(0o1777)
    deliver(mta, ["u4"])
    if not is_gone:
        shutil.rmtree(aside)
