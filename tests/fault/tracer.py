"""strace(1) as a tool that makes system calls of running daemons fail."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from harness import processes, wait_until

CALLS: dict[str, str] = {
    # What each call can be made to fail with; every one can also be the last of its process.
    "openat": "EIO ENOSPC EMFILE",
    "read": "EIO",
    "pread64": "EIO",
    "write": "EIO ENOSPC",
    "pwrite64": "EIO ENOSPC",
    "fsync": "EIO ENOSPC",
    "fdatasync": "EIO",
    "renameat2": "EIO ENOSPC",
    "linkat": "EIO ENOSPC",
    "unlinkat": "EIO",
    "mkdirat": "EIO ENOSPC",
    "newfstatat": "EIO",
    "getdents64": "EIO",
    "flock": "EIO",
    "utimensat": "EIO",
    "ftruncate": "EIO",
    "socket": "EMFILE",
    "socketpair": "EMFILE",
    "pipe2": "EMFILE",
    "accept4": "EMFILE",
    "connect": "EIO",
    "sendmsg": "EIO",
    "recvmsg": "EIO",
    "clone": "EAGAIN",
}


@dataclass(frozen=True)
class Fault:
    """The `when`-th call `call` of each process of a program fails, or kills it."""

    program: str
    call: str
    error: str
    """An errno name, or KILL."""
    when: int

    def __str__(self) -> str:
        return f"{self.program}: {self.error} at {self.call} number {self.when}"

    def inject(self) -> str:
        """strace's words for it."""
        what = "signal=KILL" if self.error == "KILL" else f"error={self.error}"
        return f"{self.call}:{what}:when={self.when}"


class Trace:
    """strace at all processes of a program, and at what they fork; not at what those execute."""

    def __init__(self, program: str, output: Path, calls: str, inject: str | None = None) -> None:
        pids = settled(program)
        command = ["strace", "-q", "-f", "-b", "execve", "-y", "-o", str(output),
                   "-e", f"trace={calls}"]
        if inject:
            command += ["-e", f"inject={inject}"]
        self.output = output
        output.write_bytes(b"")
        self.process = subprocess.Popen(
            command + [word for pid in pids for word in ("-p", str(pid))],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        attached = wait_until(lambda: all(_is_traced(pid) for pid in pids), 10)
        assert attached, f"strace cannot attach to {program}"

    def stop(self) -> list[str]:
        """Lets the processes go; returns what was written."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(10)
        return self.lines()

    def lines(self) -> list[str]:
        """What was written so far."""
        return self.output.read_text(errors="replace").splitlines()


def settled(program: str) -> list[int]:
    """The processes of a program, once they are the same for a moment."""
    before: list[int] = []
    for _ in range(200):
        pids = [pid for pid, name in processes().items() if name == program]
        if pids and pids == before:
            return pids
        before = pids
        time.sleep(0.1)
    raise AssertionError(f"{program} does not run")


def _is_traced(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True
    return "\nTracerPid:\t0\n" not in status or "\nState:\tZ" in status


def has_hit(lines: list[str]) -> bool:
    """Whether the fault has happened."""
    return any("(INJECTED)" in x or "+++ killed by SIGKILL" in x for x in lines)


def count_calls(lines: list[str]) -> dict[str, int]:
    """For each call the most that one process made."""
    counts: Counter[tuple[str, str]] = Counter()
    for line in lines:
        found = re.match(r"(\d+) +(\w+)\(", line)
        if found:
            counts[found.group(1), found.group(2)] += 1
    most: dict[str, int] = {}
    for (_, call), count in counts.items():
        most[call] = max(most.get(call, 0), count)
    return most


def enumerate_faults(program: str, counts: dict[str, int]) -> list[Fault]:
    """Every fault for the calls that a program was seen to make."""
    return [
        Fault(program, call, error, when)
        for call, count in sorted(counts.items()) if call in CALLS
        for error in [*CALLS[call].split(), "KILL"]
        for when in range(1, count + 1)
    ]
