"""Memory that runs out, at every allocation in turn: in the daemons, in the commands, in the library.

The message of way.py is sent once for each fault: the N-th allocation in one program fails, alone or
with all that follow in that process. So do those of a daemon's start. What must follow is that of
the other faults: the client is told the truth, a process ends or defers and never crashes, master
starts it again, nothing is lost or returned, and no half-written file stays. Of the commands, postmap
leaves the old table or makes the new one, and the others say that they failed. The unit tests
stand for the library: no allocation that fails makes it crash.

    tests/fault/run memory [--n FAULTS, 0: all] [--seed N]          MTA programs: --only NAME
"""

from __future__ import annotations

import ctypes
import os
import random
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

from harness import conclude, kill, maildirs, parser, processes, wait_until
from mta import TMP
from preload import COUNT, FAILED, IN_LIBC, Preload
from way import BY_SENDMAIL, DAEMONS, Bench, crashes

COMMANDS = {"postmap": "postmap", "postqueue": "postqueue -p", "postsuper": "postsuper -s",
            "postconf": "postconf -n", "postern": "postern check"}
BUILD = Path(__file__).resolve().parents[2] / "build" / Path(os.environ.get("CC", "cc")).name
UNIT_TESTS = sorted((BUILD / "unit").glob("*_test"))


@dataclass(frozen=True)
class Fault:
    """The `when`-th allocation of a program fails."""

    kind: str
    """What the program does meanwhile: message, start, command or library."""
    program: str
    when: int
    persists: bool

    def __str__(self) -> str:
        more = " and all that follow" if self.persists else ""
        return f"{self.program} ({self.kind}): allocation {self.when}{more}"


class MemoryBench(Bench):
    """The instance with the preloaded library in it, and one fault after the other."""

    crashes_in_libc = 0
    """Its name service (glibc 2.36) does not survive each failure of its own."""

    def __init__(self, seed: int) -> None:
        self.preload = Preload(
            ["master", *DAEMONS, "sendmail", "postdrop", *COMMANDS, *(x.name for x in UNIT_TESTS)])
        super().__init__(seed)
        self.instance.write("table", "old one\n")
        assert self.postmap().returncode == 0

    # How many allocations there are.

    def enumerate(self, only: str) -> Iterator[Fault]:
        """Every fault that there can be."""
        for kind, counts in (("start", self.count_start()), ("message", self.count_message()),
                             ("command", self.count_commands()), ("library", count_library(self.preload))):
            for program, count in counts.items():
                if only in ("", program):
                    for when in range(1, count + 1):
                        yield Fault(kind, program, when, False)
                        yield Fault(kind, program, when, True)

    def count_start(self) -> dict[str, int]:
        """Of each daemon until it waits for work: what they counted since the instance started."""
        self.collect()
        found = {x: self.preload.get(x, COUNT) for x in ["master", *DAEMONS]}
        return {x: n for x, n in found.items() if n > 0}

    def count_message(self) -> dict[str, int]:
        """Of each program for one message. The first one makes the workers."""
        counts: dict[str, int] = {}
        for by_sendmail, programs in ((False, DAEMONS), (True, BY_SENDMAIL)):
            for is_warm in (False, True):
                for program in programs:
                    self.preload.arm(program, 0, False)
                number, _ = self.send(by_sendmail)
                assert self.settle(number), f"without any fault: {self.waiting()}"
            counts |= {x: self.preload.get(x, COUNT) for x in programs}
        return counts

    def count_commands(self) -> dict[str, int]:
        """Of each command."""
        counts = {}
        for name in COMMANDS:
            self.preload.arm(name, 0, False)
            assert self.command(name).returncode == 0, name
            counts[name] = self.preload.get(name, COUNT)
        return counts

    # One fault.

    def try_fault(self, fault: Fault) -> tuple[bool, list[str]]:
        """Whether it happened, and what went wrong."""
        self.instance.set_mark()
        self.preload.arm(fault.program, fault.when, fault.persists)
        play = {"start": self.try_start, "message": self.try_message, "command": self.try_command,
                "library": self.try_library}[fault.kind]
        wrong = play(fault)
        happened = self.preload.disarm(fault.program) > 0
        log = self.instance.log()
        crashed = crashes(log) + [x for x in wrong if x.startswith("died of signal")]
        if crashed and self.preload.get(fault.program, IN_LIBC) > 0:
            self.crashes_in_libc += 1
            wrong = [x for x in wrong if x not in crashed]
        else:
            wrong += [x for x in crashed if x not in wrong]
        return happened, [f"{fault}: {x}" for x in wrong]

    def try_start(self, fault: Fault) -> list[str]:
        """The daemon, or the whole suite, starts again; and a message."""
        if fault.program == "master":
            self.instance.control("stop")
            self.instance.control("start")
        else:
            for pid, name in processes().items():
                if name == fault.program and kill(pid):
                    self.books.killed(name)
        return self.try_message(fault)

    def try_message(self, fault: Fault) -> list[str]:
        """One message while it can happen, and then until it has arrived."""
        number, _ = self.send(fault.program in BY_SENDMAIL)
        wait_until(lambda: self.has_ended(fault, number), 2.5)
        self.preload.disarm(fault.program)
        return self.recover(number)

    def has_ended(self, fault: Fault, number: int) -> bool:
        """Whether there is nothing to wait for with the fault in place."""
        return self.is_over(number) or self.preload.get(fault.program, FAILED) > 0

    # Commands and library.

    def postmap(self) -> subprocess.CompletedProcess[bytes]:
        """Makes the table of commands anew."""
        result = self.instance.run("postmap", f"lmdb:{self.instance.config}/table")
        return subprocess.CompletedProcess([], result.code, result.raw, result.err.encode())

    def command(self, name: str) -> subprocess.CompletedProcess[bytes]:
        """Runs a command."""
        if name == "postmap":
            return self.postmap()
        verb = COMMANDS[name].split()
        result = self.instance.run(verb[0], "-c", str(self.instance.config), *verb[1:])
        return subprocess.CompletedProcess([], result.code, result.raw, result.err.encode())

    def try_command(self, fault: Fault) -> list[str]:
        """Whole, or it says that it is not; a table is the old one or the new one."""
        self.instance.write("table", "new two\n")
        result = self.command(fault.program)
        happened = self.preload.disarm(fault.program) > 0
        wrong = []
        if result.returncode < 0:
            wrong.append(f"died of signal {-result.returncode}")
        if result.returncode != 0 and not result.stderr and happened:
            wrong.append(f"exit status {result.returncode} without a word")
        if fault.program == "postmap":
            wrong += self.table_faults(result.returncode == 0)
        return wrong

    def table_faults(self, is_new: bool) -> list[str]:
        """What is wrong with the table after postmap."""
        table = f"lmdb:{self.instance.config}/table"
        old, new = (self.instance.run("postmap", "-q", key, table).out.strip() for key in ("old", "new"))
        stray = [x.name for x in self.instance.config.glob("table*") if x.name not in ("table", "table.lmdb")]
        wrong = [f"leaves {x}" for x in stray]
        if (old, new) != (("", "two") if is_new else ("one", "")):
            wrong.append(f"the table has old={old!r}, new={new!r}")
        self.instance.write("table", "old one\n")
        assert self.postmap().returncode == 0
        return wrong

    def try_library(self, fault: Fault) -> list[str]:
        """A unit test may fail then, but not crash."""
        try:
            code = run_unit_test(fault.program)
        except subprocess.TimeoutExpired:
            return ["does not end"]
        return [f"died of signal {-code}"] if code < 0 else []


def private_tmp() -> None:
    """In a child: a /tmp that goes with it, for a program that dies cannot tidy up."""
    libc = ctypes.CDLL(None)
    libc.unshare(0x00020000)  # CLONE_NEWNS
    libc.mount(b"none", b"/tmp", b"tmpfs", 0, None)


def run_unit_test(name: str) -> int:
    """Exit status, or minus the signal."""
    fd = os.open(BUILD / "unit" / name, os.O_RDONLY)  # that may be below /tmp
    try:
        return subprocess.run(
            [name], executable=f"/proc/self/fd/{fd}", pass_fds=[fd], preexec_fn=private_tmp,
            cwd=BUILD.parents[1], timeout=30, check=False, stdin=subprocess.DEVNULL,
            capture_output=True).returncode
    finally:
        os.close(fd)


def count_library(preload: Preload) -> dict[str, int]:
    """Of each unit test."""
    counts = {}
    for path in UNIT_TESTS:
        preload.arm(path.name, 0, False)
        assert run_unit_test(path.name) in (0, 1), path
        counts[path.name] = preload.get(path.name, COUNT)
    return counts


def choose(everything: list[Fault], how_many: int, seed: int) -> list[Fault]:
    """So many, evenly from all programs, for some allocate a thousand times as often as others."""
    if how_many in (0, len(everything)):
        return everything
    rng = random.Random(seed)
    groups: dict[tuple[str, str], list[Fault]] = {}
    for fault in everything:
        groups.setdefault((fault.kind, fault.program), []).append(fault)
    for group in groups.values():
        rng.shuffle(group)
    order = list(groups.values())
    rng.shuffle(order)
    chosen: list[Fault] = []
    while order and len(chosen) < how_many:
        chosen += [group.pop() for group in order][:how_many - len(chosen)]
        order = [group for group in order if group]
    return chosen


def main() -> None:
    """Runs it."""
    command_line = parser(__doc__, 40)
    command_line.add_argument("--only", default="")
    args = command_line.parse_args()
    bench = MemoryBench(args.seed)
    everything = list(bench.enumerate(args.only))
    chosen = choose(everything, args.n, args.seed)
    faults: list[str] = [] if UNIT_TESTS else [f"no unit tests in {BUILD}/unit: make unit"]
    happened = 0
    for fault in chosen:
        has_happened, wrong = bench.try_fault(fault)
        happened += has_happened
        for text in wrong:
            print(f"memory: {text}", flush=True)
        faults += wrong
        if os.environ.get("VERBOSE"):
            print(f"{fault}{'' if has_happened else ' (no hit)'}", flush=True)
    faults += bench.end()
    faults += [f"left: {path}" for place in maildirs().values() for path in place.glob("tmp/*")]
    conclude(bench.books.line("memory").replace(
        "memory: ", f"memory: {len(chosen)} of {len(everything)} tried, {happened} happened, "
                    f"{bench.crashes_in_libc} crashes of the C library's own, "
                    f"{len(bench.books.wrong)} wrongly returned, "), faults, bench.instance)


main()
