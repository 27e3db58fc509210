"""Parts that the fault harnesses share: the tested instance, clients, mailboxes, processes."""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Callable

from accounts import ACKNOWLEDGED, IN_DOUBT, Books
from client import Client, Closed, Reply
from dnsd import DNS
from mta import HOMES, ROOT, TMP, USERS, Instance
from sink import Sink

VIRTUAL_USERS = ("ann", "ben", "cleo", "dan")
VMAIL = TMP / "vmail"
SINK_HOST = "198.51.100.1"
LOCAL = [f"{user}@example.test" for user in USERS]
VIRTUAL = [f"{user}@virtual.test" for user in VIRTUAL_USERS]
RELAY = [f"user{n}@relay.test" for n in range(4)]
SENDER = "sender@virtual.test"
"""Where a notification would go; it has a mailbox, in which none may arrive."""

SETTINGS: dict[str, str | None] = {
    "virtual_mailbox_domains": "virtual.test",
    "virtual_mailbox_base": str(VMAIL),
    "virtual_mailbox_maps": "texthash:$config_directory/vmailbox",
    "virtual_uid_maps": "static:5100",
    "virtual_gid_maps": "static:5100",
    "relay_domains": "relay.test",
    "transport_maps": f"inline:{{relay.test=relay:[{SINK_HOST}]}}",
    # A killed daemon, a refused connection: again in a second, not in a minute.
    "service_throttle_time": "1s",
    "transport_retry_time": "1s",
    "minimal_backoff_time": "1s",
    "maximal_backoff_time": "1s",
    "smtpd_client_connection_count_limit": "0",
    "smtpd_error_sleep_time": "0",
}


def vmailbox() -> str:
    """The virtual mailboxes."""
    names = [*VIRTUAL_USERS, SENDER.partition("@")[0]]
    return "".join(f"{name}@virtual.test {name}/\n" for name in names)


def make_instance(**main: str | None) -> Instance:
    """An instance with a local, a virtual and a relay domain; not started."""
    return Instance(
        main={**SETTINGS, **main}, files={"vmailbox": vmailbox()},
        # Often, for it also removes what a killed postdrop left.
        services=["pickup unix n - n 5 1 pickup"],
    )


def parser(text: str | None, n: int, **more: int) -> argparse.ArgumentParser:
    """The command line: --n, --seed, and further numbers with their defaults."""
    made = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in {"n": n, "seed": 1, **more}.items():
        made.add_argument(f"--{name}", type=int, default=value)
    return made


# ---- the processes of the instance ----


def processes() -> dict[int, str]:
    """Process number and program name of everything that runs from the install root."""
    found = {}
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            path = os.readlink(f"/proc/{entry.name}/exe")
        except OSError:
            continue
        if path.startswith(f"{ROOT}/usr/"):
            found[int(entry.name)] = path.rsplit("/", 1)[1].removesuffix(" (deleted)")
    return found


def kill(pid: int) -> bool:
    """SIGKILL; false when it has gone by itself."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def kill_all() -> None:
    """Kills everything that belongs to the instance, until nothing is left."""
    while found := processes():
        for pid in found:
            kill(pid)
        time.sleep(0.01)


class Keeper(threading.Thread):
    """Starts the mail system whenever master has gone."""

    def __init__(self, instance: Instance, books: Books) -> None:
        super().__init__(daemon=True)
        self.instance, self.books = instance, books
        self.failed_starts: list[str] = []
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.is_set():
            if not self.instance.status():
                self.start_system()
            time.sleep(0.05)

    def start_system(self) -> None:
        """A start may fail when the master that starts is the one that is killed."""
        kills = self.master_kills()
        result = self.instance.control("start")
        if result.code != 0 and not wait_until(lambda: self.master_kills() > kills, 0.5):
            self.failed_starts.append(repr(result))

    def master_kills(self) -> int:
        """How often a master was killed until now."""
        return self.books.kills.get("master", 0)

    def stop(self) -> None:
        """Ends; the mail system is left as it is."""
        self._stopped.set()
        self.join()


class Killer(threading.Thread):
    """Kills a random process every 20 to 250 ms, and master every fiftieth time."""

    def __init__(self, books: Books, rng: random.Random) -> None:
        super().__init__(daemon=True)
        self.books, self.rng = books, rng
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(self.rng.uniform(0.020, 0.250)):
            by_program: dict[str, list[int]] = {}
            for pid, program in processes().items():
                if program != "postern":  # the keeper's own command
                    by_program.setdefault(program, []).append(pid)
            masters = by_program.pop("master", [])
            if masters and (self.rng.random() < 0.02 or not by_program):
                program, pids = "master", masters
            elif by_program:
                program, pids = self.rng.choice(sorted(by_program.items()))
            else:
                continue
            if kill(self.rng.choice(pids)):
                self.books.killed(program)

    def stop(self) -> None:
        """No kills after this."""
        self._stopped.set()
        self.join()


# ---- sending ----


class Sender(threading.Thread):
    """Sends messages over SMTP, some in each session, until it is told to stop."""

    def __init__(self, instance: Instance, books: Books, rng: random.Random) -> None:
        super().__init__(daemon=True)
        self.instance, self.books, self.rng = instance, books, rng
        self.stopped = threading.Event()

    def run(self) -> None:
        while not self.stopped.is_set():
            try:
                self.session()
            except (OSError, Closed, AssertionError, Refused):
                time.sleep(0.02)

    def rcpts(self) -> list[str]:
        """One recipient of some kind, now and then one of each."""
        kinds = [LOCAL, VIRTUAL, RELAY]
        if self.rng.random() < 0.1:
            return [self.rng.choice(kind) for kind in kinds]
        return [self.rng.choice(self.rng.choice(kinds))]

    def session(self) -> None:
        """One connection. Raises what Client raises when the server goes."""
        with Client(self.instance.port(), patience=0, timeout=60) as client:
            client.ehlo()
            for _ in range(self.rng.randrange(1, 6)):
                if self.stopped.is_set():
                    break
                submit(client, self.books, self.rcpts())
            client.cmd("QUIT")


class Refused(Exception):
    """The server said no, or not yet."""


def expect(reply: Reply, code: int, books: Books, number: int) -> None:
    """Raises Refused unless the reply has this code. A refusal for good goes into the books."""
    if reply.code != code:
        if reply.code >= 500:
            books.set_rejected(number, str(reply))
        raise Refused(str(reply))


def submit(client: Client, books: Books, rcpts: list[str], sender: str = SENDER) -> Reply:
    """One message, and its place in the books; returns the last reply. Raises Refused, or what
    Client raises when the server goes."""
    number, message = books.new(rcpts)
    expect(client.mail(sender, "BODY=8BITMIME", None), 250, books, number)
    for rcpt in rcpts:
        expect(client.rcpt(rcpt, "", None), 250, books, number)
    expect(client.cmd("DATA"), 354, books, number)
    client.send(message.replace(b"\n", b"\r\n").replace(b"\r\n.", b"\r\n.."))
    books.set_state(number, IN_DOUBT)
    client.send(b".\r\n")
    reply = client.reply()
    expect(reply, 250, books, number)
    books.set_state(number, ACKNOWLEDGED)
    return reply


class Submitter(Sender):
    """Sends with the sendmail command."""

    def session(self) -> None:
        rcpts = self.rcpts()
        number, message = self.books.new(rcpts)
        self.books.set_state(number, IN_DOUBT)
        try:
            result = self.instance.sendmail("-i", "-f", SENDER, *rcpts, stdin=message)
        except (OSError, subprocess.SubprocessError):
            return
        if result.code == 0:
            self.books.set_state(number, ACKNOWLEDGED)
        time.sleep(0.05)


SUBMITTERS = 2


def make_senders(instance: Instance, books: Books, seed: int, clients: int) -> list[Sender]:
    """So many SMTP clients, and the users of sendmail; not started."""
    return [
        (Submitter if n < SUBMITTERS else Sender)(instance, books, random.Random(f"{seed} {n}"))
        for n in range(clients + SUBMITTERS)
    ]


# ---- arriving ----


def maildirs() -> dict[str, Path]:
    """Address to Maildir, local and virtual."""
    found = {f"{user}@example.test": HOMES / user / "Maildir" for user in USERS}
    for user in (*VIRTUAL_USERS, SENDER.partition("@")[0]):
        found[f"{user}@virtual.test"] = VMAIL / user
    return found


class Collector:
    """Books what arrives, and removes it, so that a long run needs little room."""

    def __init__(self, books: Books, sink: Sink) -> None:
        self.books, self.sink = books, sink

    def collect(self) -> int:
        """Everything that is there now; returns how many copies."""
        count = 0
        for address, path in maildirs().items():
            count += self.collect_maildir(address, path / "new")
        for message in self.sink.take():
            for rcpt in message.rcpts:
                self.books.arrived(rcpt, message.data)
                count += 1
        return count

    def collect_maildir(self, address: str, new: Path) -> int:
        """One mailbox."""
        try:
            names = os.listdir(new)
        except FileNotFoundError:
            return 0
        for name in names:
            mail = (new / name).read_bytes()
            self.books.arrived(address, mail)
            (new / name).unlink()
        return len(names)


def run_collector(collector: Collector, stopped: threading.Event) -> threading.Thread:
    """Collects all the time, until `stopped` is set."""
    def loop() -> None:
        while not stopped.wait(0.2):
            collector.collect()

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    return thread


def queue_files(instance: Instance) -> list[str]:
    """What is in the queue, as DIRECTORY/NAME."""
    return [
        f"{name}/{path.name}"
        for name in ("maildrop", "incoming", "active", "deferred", "hold", "corrupt",
                     "bounce", "defer", "trace")
        for path in (instance.queue / name).rglob("*") if not path.is_dir()
    ]


def drain(instance: Instance, collector: Collector, patience: float) -> list[str]:
    """Waits until everything has been delivered; returns what is left in the queue. `patience`:
    seconds without any progress."""
    last_progress = time.monotonic()
    before: list[str] = []
    while time.monotonic() - last_progress < patience:
        left = queue_files(instance)
        if collector.collect() or left != before:
            last_progress = time.monotonic()
        if not left:
            break
        before = left
        time.sleep(0.2)
    collector.collect()
    return queue_files(instance)


def wait_until(test: Callable[[], bool], seconds: float) -> bool:
    """Whether test() became true in time."""
    deadline = time.monotonic() + seconds
    while not test():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


# ---- the end ----


def start_dns() -> DNS:
    """The name server that the namespaces' resolv.conf names; empty."""
    return DNS()


def skip(name: str, why: str) -> None:
    """Ends the program: this machine cannot do it, which is no failure of the mail system."""
    print(f"{name}: skipped: {why}", flush=True)
    os._exit(0)


def conclude(line: str, faults: list[str], instance: Instance) -> None:
    """Prints the faults and the accounting line; ends the mail system and the program."""
    for fault in faults[:50]:
        print(f"FAULT: {fault}")
    if len(faults) > 50:
        print(f"and {len(faults) - 50} more")
    if faults:
        log = instance.log(all=True).splitlines()
        interesting = [x for x in log if any(w in x for w in ("warning", "fatal", "panic", "error"))]
        print("\n".join(interesting[-60:]))
    instance.destroy()
    kill_all()
    print(f"{line} -- {'FAILED' if faults else 'good'}", flush=True)
    os._exit(1 if faults else 0)
