"""Types of services in master.cf: inet, unix, fifo, unix-dgram, pass; master(5)."""

import os
import socket
import stat

import pytest
from client import Client
from mail import message
from mta import poll

ATTRIBUTES = b"\0".join([b"client_address", b"192.0.2.7", b"client_port", b"1234",
                         b"server_address", b"198.51.100.1", b"server_port", b"25", b"", b""])


@pytest.fixture(scope="module")
def mta(make_mta):
    return make_mta(services=[
        "passed pass - - n - - smtpd",
        "behind pass n - n - - smtpd",
        "local-smtp unix n - n - - smtpd",
        "pickup fifo n - n 60 1 pickup",
        "qmgr fifo n - n 300 1 qmgr",
    ])


def connected_pair():
    """A TCP connection: the client's end, and the accepted one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname(), timeout=20)
        far, _ = listener.accept()
    return near, far


def hand_over(path, attributes=b"\0"):
    """Accepts a connection and passes it on, as a postscreen does; the client's end."""
    near, far = connected_pair()
    with socket.socket(socket.AF_UNIX) as to, far:
        to.connect(str(path))
        socket.send_fds(to, [b"\0"], [far.fileno()])
        to.sendall(attributes)
        # The other side closes when it has them.
        to.settimeout(20)
        assert to.recv(1) == b""
    return near


def first_line(sock):
    """What the server says first."""
    with sock, sock.makefile("rb") as stream:
        return stream.readline()


@pytest.mark.parametrize("name", ["private/passed", "public/behind"])
def test_pass(mta, name):
    """A service of type pass gets connections that others accepted; master(5)."""
    c = Client.over(hand_over(mta.queue / name))
    c.ehlo()
    c.transaction("a@client.test", "bob@example.test", message())
    c.quit()
    mta.wait_log(r"smtpd\[\d+\]: connect from localhost\[127\.0\.0\.1\]")
    mta.wait_maildir("bob")


def test_pass_many(mta):
    """Connection by connection, and several at the same time."""
    clients = [Client.over(hand_over(mta.queue / "private/passed")) for _ in range(5)]
    for c in clients:
        c.ehlo()
    for c in clients:
        c.quit()


def test_pass_attributes(mta):
    """Who accepted the connection may say who the client is."""
    c = Client.over(hand_over(mta.queue / "private/passed", ATTRIBUTES))
    c.ehlo()
    c.quit()
    mta.wait_log(r"smtpd\[\d+\]: connect from \S+\[192\.0\.2\.7\]")


@pytest.mark.parametrize("sent", [b"", b"client_address\0", b"x" * 20000],
                         ids=["none", "cut", "long"])
def test_pass_bad_attributes(mta, sent):
    """Attributes without an end: the connection is given up, a warning says so, and the service
    goes on."""
    near, far = connected_pair()
    with socket.socket(socket.AF_UNIX) as to, far:
        to.connect(str(mta.queue / "private/passed"))
        socket.send_fds(to, [b"\0"], [far.fileno()])
        try:
            to.sendall(sent)
        except OSError:
            pass
    assert first_line(near) == b""
    mta.wait_log(r"smtpd\[\d+\]: warning: .*attributes")
    assert first_line(hand_over(mta.queue / "private/passed")).startswith(b"220 ")


def test_pass_nothing(mta):
    """Who connects and passes no connection does no harm."""
    with socket.socket(socket.AF_UNIX) as to:
        to.connect(str(mta.queue / "private/passed"))
        to.sendall(b"EHLO there\r\n\0\0")
    assert first_line(hand_over(mta.queue / "private/passed")).startswith(b"220 ")


def test_unix(mta):
    """smtpd of type unix speaks SMTP over a UNIX stream, to a client on this machine."""
    near = socket.socket(socket.AF_UNIX)
    near.settimeout(20)
    near.connect(str(mta.queue / "public/local-smtp"))
    c = Client.over(near)
    c.ehlo()
    c.transaction("a@client.test", "bob@example.test", message())
    c.quit()
    mta.wait_log(r"smtpd\[\d+\]: connect from localhost\[127\.0\.0\.1\]")
    mta.wait_maildir("bob")


@pytest.mark.parametrize("name", ["pickup", "qmgr"])
def test_fifo_is_one(mta, name):
    """A service of type fifo has a FIFO in public/, to which all may write who get there;
    master(5)."""
    st = os.stat(mta.queue / "public" / name)
    assert stat.S_ISFIFO(st.st_mode)
    assert stat.S_IMODE(st.st_mode) & 0o222 == 0o222


def test_fifo_pickup(mta):
    """sendmail(1) wakes pickup through its FIFO: mail does not wait for the wake-up time."""
    mta.submit("bob@example.test")
    mta.wait_maildir("bob")


def deferred_file(mta, qid):
    """The file of a deferred message."""
    found = list((mta.queue / "deferred").rglob(qid))
    return found[0] if found else None


@pytest.mark.parametrize("how", ["write", "postkick", "postqueue", "flush"])
def test_fifo_qmgr(make_mta, how):
    """The queue manager takes requests by its FIFO, from a script, postkick(1), and from the
    commands that flush the queue."""
    other = make_mta(
        services=["pickup fifo n - n 60 1 pickup", "qmgr fifo n - n 300 1 qmgr"],
        main={"queue_run_delay": "300s", "minimal_backoff_time": "300s",
              "maximal_backoff_time": "4000s", "relayhost": "[127.0.0.1]:1"})
    qid = other.inject("x@remote.test")
    other.wait_delivery(qid, status="deferred")
    poll(lambda: deferred_file(other, qid), what="deferred file")
    other.set_mark()
    if how == "write":
        with open(other.queue / "public/qmgr", "wb", buffering=0) as fifo:
            fifo.write(b"FDA")
    elif how == "postkick":
        assert other.run("postkick", "public", "qmgr", "FDA").code == 0
    elif how == "postqueue":
        assert other.postqueue("-f").code == 0
    else:
        other.flush()
    other.wait_delivery(qid, status="deferred")
    other.wait_queue(qid, "deferred")
    assert [m["queue_id"] for m in other.mailq_json()] == [qid]
    other.postsuper("-d", qid).ok()
    other.wait_empty_queue()
    other.destroy()


def test_type_changes_at_reload(make_mta):
    """fifo becomes unix and fifo again with reload; master(5)."""
    mta = make_mta()
    for kind, is_fifo in (("fifo", True), ("unix", False), ("fifo", True)):
        mta.services = [f"pickup {kind} n - n 60 1 pickup"]
        mta.write_master()
        mta.reload()
        assert stat.S_ISFIFO(os.stat(mta.queue / "public/pickup").st_mode) == is_fifo
        mta.submit("bob@example.test")
    mta.wait_maildir("bob", count=3)
    mta.destroy()


def test_dgram(mta):
    """postlogd of type unix-dgram writes what postlog(1) sends; postlog(1)."""
    assert stat.S_ISSOCK(os.stat(mta.queue / "public/postlog").st_mode)
    mta.run("postlog", "-t", "note", "by datagram").ok()
    mta.wait_log(r"note\[\d+\]: by datagram")


def test_more_clients_than_proxymap(make_mta):
    """One process of proxymap answers all clients, also those that came behind one that stays;
    proxymap(8)."""
    services = ["LISTEN1 inet n - n - 1 smtpd", "LISTEN2 inet n - n - 1 smtpd",
                "proxymap unix - - n - 1 proxymap"]
    mta = make_mta(services=services,
                   main={"local_recipient_maps": "proxy:unix:passwd.byname"})
    with mta.smtp(listen=1) as first, mta.smtp(listen=2) as second:
        for c in (first, second) * 3:
            c.ehlo()
            c.transaction("a@client.test", "bob@example.test", message())
    assert not mta.grep_log("service does not answer")
