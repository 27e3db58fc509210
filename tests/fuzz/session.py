"""Random SMTP sessions against a model of the session's state.

Each session is a random sequence of legal, early, late, repeated and broken commands, written in one
go and cut into random pieces. The model says which reply each command gets in the state that the ones
before have led to, and which messages have been accepted in the end: what was delivered must be
these, no more and no less. The same seed makes the same sessions.

    tests/fuzz/sessions [--seconds N] [--sessions N] [--seed N]
"""

from __future__ import annotations

import argparse
import os
import random
import re
import socket
import sys
import time
from dataclasses import dataclass, field
from typing import Callable

from mta import Instance, poll

USERS = ["one@example.test", "two@example.test", "three@example.test"]
SETTINGS: dict[str, str | None] = {
    "transport_maps": "static:discard:",
    "local_recipient_maps": "inline:{" + ", ".join(f"{x}=1" for x in USERS) + "}",
    "smtpd_hard_error_limit": "100000",
    "smtpd_soft_error_limit": "100000",
    "smtpd_junk_command_limit": "100000",
    "smtpd_error_sleep_time": "0",
    "smtpd_client_connection_count_limit": "0",
    "smtpd_recipient_overshoot_limit": "100000",
    "smtpd_relay_restrictions": "permit_auth_destination, reject",
    "smtpd_recipient_limit": "5",
    "message_size_limit": "20000",
    "disable_vrfy_command": "no",
}


@dataclass
class State:
    """What a server must know of a session."""

    is_esmtp: bool = False
    has_mail: bool = False
    rcpts: int = 0
    chunked: bool = False
    """BDAT has begun, and the message is not complete."""
    is_over: bool = False
    addresses: set[str] = field(default_factory=set)
    accepted: int = 0
    """Different recipients of complete messages: the same ones are delivered once."""

    def reset(self) -> None:
        """No transaction."""
        self.has_mail = self.chunked = False
        self.rcpts = 0
        self.addresses = set()


@dataclass
class Step:
    """What is sent, and a regular expression of each reply that must follow."""

    text: bytes
    replies: list[str] = field(default_factory=list)


class Model:
    """Makes a session, one step after the other."""

    def __init__(self, rng: random.Random) -> None:
        self.rng, self.state = rng, State()

    def steps(self) -> list[Step]:
        """A session to its end. It mostly begins as sessions do."""
        made = [self.hello("EHLO")] if self.rng.random() < 0.8 else []
        actions = [self.mail, self.mail, self.rcpt, self.rcpt, self.rcpt, self.data, self.bdat, self.bdat,
                   self.rset, self.noop, self.again, self.unknown, self.broken, self.verify, self.end]
        for _ in range(self.rng.randrange(1, 40)):
            made.append((self.rng.choice(actions) if self.rng.random() < 0.6 else self.next_action())())
            if self.state.is_over:
                return made
        return [*made, self.end(True)]

    def next_action(self) -> Callable[[], Step]:
        """What a client that wants to send mail would do."""
        if not self.state.has_mail:
            return self.mail
        if not self.state.rcpts:
            return self.rcpt
        return self.bdat if self.state.chunked or self.rng.random() < 0.5 else self.data

    def case(self, word: str) -> str:
        """A command word, now and then with other letters."""
        return self.rng.choice([word, word, word.lower(), word.capitalize()])

    def line(self, line: str, reply: str) -> Step:
        """A command and its reply."""
        return Step(line.encode() + b"\r\n", [reply])

    # The commands.

    def hello(self, verb: str) -> Step:
        """HELO, EHLO; each ends a transaction."""
        if self.rng.random() < 0.05:
            return self.line(self.case(verb), "501")
        self.state.reset()
        self.state.is_esmtp = verb == "EHLO"
        return self.line(f"{self.case(verb)} client.example.test", "250")

    def again(self) -> Step:
        """A greeting anywhere."""
        return self.hello(self.rng.choice(["HELO", "EHLO"]))

    def mail(self) -> Step:
        """MAIL FROM."""
        address, parameters, reply = self.rng.choice([
            ("<>", "", "250"), ("<s@client.test>", "", "250"), ("<s@client.test>", "", "250"),
            ("<s@client.test>", " SIZE=100", "250"), ("<s@client.test>", " BODY=8BITMIME", "250"),
            ("<s@client.test>", " SIZE=30000", "552"), ("<s@client.test>", " BODY=BINARYMIME", "555"),
            ("<s@client.test>", " RET=HDRS ENVID=x", "250"), ("<s@client.test>", " NOSUCH=1", "555"),
            ("<s@client.test>", " RET=SOME", "501"), ("<s@cli ent.test>", "", "5"), ("", "", "501"),
        ])
        text = f"{self.case('MAIL')} FROM:{address}{parameters}"
        if self.state.has_mail:
            return self.line(text, "503")
        self.state.has_mail = reply == "250"
        return self.line(text, reply)

    def rcpt(self) -> Step:
        """RCPT TO."""
        address, parameters, reply = self.rng.choice([
            *((f"<{user}>", "", "250") for user in USERS), ("<one@example.test>", " NOTIFY=NEVER", "250"),
            ("<nobody@example.test>", "", "550"), ("<x@elsewhere.test>", "", "554"), ("<>", "", "501"),
            ("", "", "501"), ("<one@example.test>", " NOTIFY=SOME", "501"),
            ("<one@example.test>", " NOSUCH=1", "555"),
        ])
        text = f"{self.case('RCPT')} TO:{address}{parameters}"
        if not self.state.has_mail:
            return self.line(text, "503")
        if self.state.chunked:
            return self.line(text, "503")
        if reply in ("250", "550", "554") and self.state.rcpts >= 5:  # before it looks at who it is
            return self.line(text, "452")
        if reply == "250":
            self.state.rcpts += 1
            self.state.addresses.add(address + parameters)  # NOTIFY makes a difference
        return self.line(text, reply)

    def body(self, most: int) -> bytes:
        """Text with what the end of data is made of."""
        pieces = [b"text", b"\r\n", b"\n", b"\r", b".", b"..", b"\r\n..", b"\r\n.\n", b"\n.\r\n", b"RSET\r\n",
                  b"\r\n.\r", b"MAIL FROM:<>\r\n", b"\0", b"\xff", b"x" * 200]
        made = b"".join(self.rng.choice(pieces) for _ in range(self.rng.randrange(most)))
        return made

    def data(self) -> Step:
        """DATA, and when it is allowed the message."""
        text = self.case("DATA")
        if not self.state.has_mail or not self.state.rcpts or self.state.chunked:
            return self.line(text, "503|554")
        body = b"Subject: x\r\n\r\n" + self.body(40)
        body = re.sub(rb"(?<=\r\n)\.(?=\r\n)", b"..", body) + b"end"
        self.state.accepted += len(self.state.addresses)
        self.state.reset()
        return Step(text.encode() + b"\r\n" + body + b"\r\n.\r\n", ["354", "250"])

    def bdat(self) -> Step:
        """BDAT, and the chunk, which is always taken in."""
        chunk = self.body(12)
        is_last = self.rng.random() < 0.4
        text = f"{self.case('BDAT')} {len(chunk)}{' LAST' if is_last else ''}\r\n".encode() + chunk
        if not self.state.has_mail or not self.state.rcpts:
            return Step(text, ["503|554"])
        self.state.chunked = True
        if is_last:
            self.state.accepted += len(self.state.addresses)
            self.state.reset()
        return Step(text, ["250"])

    def rset(self) -> Step:
        """RSET."""
        self.state.reset()
        return self.line(self.case("RSET"), "250")

    def noop(self) -> Step:
        """NOOP, with and without words."""
        return self.line(self.rng.choice(["NOOP", "noop", "NOOP word"]), "250")

    def verify(self) -> Step:
        """VRFY, which changes nothing."""
        word, reply = self.rng.choice([("one@example.test", "252"), ("nobody@example.test", "550"), ("", "501")])
        return self.line(f"VRFY {word}".strip(), reply)

    def unknown(self) -> Step:
        """No commands."""
        return self.line(self.rng.choice(["EXPN x", "HELP", "MAILFROM:<>", "xyzzy", "", "STARTTLS", "AUTH PLAIN"]),
                         "50[0-3]|250|214")

    def broken(self) -> Step:
        """Commands with something wrong about them."""
        return self.line(self.rng.choice([
            "RSET now", "DATA now", "MAIL", "RCPT", "RCPT one",
            "MAIL TO:<>", "RCPT FROM:<one@example.test>", "DATA\0",
        ]), "50[0-5]|55[0-9]")

    def end(self, is_sure: bool = False) -> Step:
        """What ends a session; seldom, unless it is to be."""
        if not is_sure and self.rng.random() < 0.8:
            return self.noop()
        self.state.is_over = True
        text, reply = self.rng.choice([
            ("QUIT", "221"), ("GET / HTTP/1.0", "221"), ("quit", "221"),
            # Where its chunk ends nobody knows.
            ("BDAT", "521"), ("BDAT x", "521"), ("BDAT -1", "521"), ("BDAT 3 FIRST", "521"),
        ])
        return self.line("QUIT" if is_sure else text, "221" if is_sure else reply)


class Talk:
    """A connection, and the replies of it."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.buffer = b""

    def reply(self) -> str:
        """The last line of the next reply; "" at the end."""
        while True:
            line, found, rest = self.buffer.partition(b"\r\n")
            if found:
                self.buffer = rest
                if line[3:4] != b"-":
                    return line.decode("utf-8", "replace")
            else:
                more = self.socket.recv(65536)
                if not more:
                    return ""
                self.buffer += more

    def send(self, text: bytes, rng: random.Random) -> None:
        """In pieces."""
        while text:
            size = rng.choice([1, 2, 7, 100, 4096, len(text)])
            self.socket.sendall(text[:size])
            text = text[size:]


def play(port: int, seed: str) -> tuple[int, int, str]:
    """One session: recipients of accepted messages, commands, and what was wrong."""
    rng = random.Random(seed)
    model = Model(rng)
    steps = model.steps()
    talk = Talk(port)
    commands = 0
    try:
        if not talk.reply().startswith("220"):
            return 0, 0, f"session {seed}: no greeting"
        talk.send(b"".join(step.text for step in steps), rng)
        for number, step in enumerate(steps):
            for want in step.replies:
                commands += 1
                got = talk.reply()
                if not re.match(want, got):
                    before = b" / ".join(x.text[:60] for x in steps[max(0, number - 6):number])
                    return 0, commands, (f"session {seed}: {step.text[:80]!r} got {got!r}, not {want};"
                                         f" before: {before!r}")
        if talk.reply():
            return 0, commands, f"session {seed}: replies to nothing"
    except OSError as e:
        return 0, commands, f"session {seed}: {e!r}"
    finally:
        talk.socket.close()
    return model.state.accepted, commands, ""


def main() -> None:
    """Runs it."""
    command_line = argparse.ArgumentParser(description=__doc__)
    command_line.add_argument("--seconds", type=float, default=12)
    command_line.add_argument("--sessions", type=int, default=0)
    command_line.add_argument("--seed", default="1")
    args = command_line.parse_args()
    instance = Instance(main=SETTINGS)
    instance.start()
    port = instance.port()
    owed = commands = sessions = 0
    wrong: list[str] = []
    ends = time.monotonic() + args.seconds
    while (sessions < args.sessions if args.sessions else time.monotonic() < ends) and len(wrong) < 20:
        sessions += 1
        accepted, count, text = play(port, f"{args.seed}-{sessions}")
        owed += accepted
        commands += count
        if text:
            wrong.append(text)

    def delivered() -> int:
        return len(re.findall(r" status=sent ", instance.log(all=True)))

    if not wrong:
        try:
            poll(lambda: delivered() >= owed, 30, "everything to be delivered")
        except AssertionError as e:
            wrong.append(str(e))
        if delivered() != owed:
            wrong.append(f"{owed} copies accepted, {delivered()} delivered")
    log = instance.log(all=True)
    wrong += re.findall(r"(?m)^.*(?:killed by signal|panic: |fatal: ).*$", log)[:5]
    print("\n".join(wrong))
    instance.destroy()
    print(f"sessions: {sessions} played, {commands} replies, {owed} copies accepted,"
          f" {len(wrong)} disagreements -- {'FAILED' if wrong else 'good'}", flush=True)
    sys.stdout.flush()
    os._exit(1 if wrong else 0)


main()
