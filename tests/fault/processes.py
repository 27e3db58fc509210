"""Out of processes: the whole suite may have only so many more (a pids cgroup, which holds for root
too), or one program's user none (RLIMIT_NPROC), while the message of way.py goes through and a
daemon that was killed has to be started again.

    tests/fault/run processes [--n FAULTS] [--seed N]
"""

from __future__ import annotations

import contextlib
import os
import random
from pathlib import Path

from harness import conclude, kill, parser, processes, skip, wait_until
from mta import TMP
from preload import PROCESSES, Preload
from way import DAEMONS, Bench, crashes

ROOT = Path("/sys/fs/cgroup")
MOST = 6
CANNOT_FORK = ("Resource temporarily unavailable", "fork")


class Group:
    """A pids cgroup of the whole suite."""

    def __init__(self) -> None:
        version1 = ROOT / "pids"
        parent = version1 if version1.is_dir() else ROOT
        self.path = parent / f"postern-{TMP.name}"
        try:
            if parent == ROOT:
                (ROOT / "cgroup.subtree_control").write_text("+pids")
            self.path.mkdir()
            (self.path / "pids.max").write_text("max")
        except OSError as e:
            skip("processes", f"no pids cgroup here: {e}")

    def adopt(self) -> None:
        """Everything that runs now; what it forks follows."""
        for pid in processes():
            with contextlib.suppress(OSError):
                (self.path / "cgroup.procs").write_text(str(pid))

    def restrict(self, more: int) -> None:
        """As many as there are, and so many more."""
        self.adopt()
        now = int((self.path / "pids.current").read_text())
        (self.path / "pids.max").write_text(str(now + more))

    def relax(self) -> None:
        """Any number."""
        (self.path / "pids.max").write_text("max")

    def refusals(self) -> int:
        """How often the kernel said no."""
        return int((self.path / "pids.events").read_text().split()[1])

    def remove(self) -> None:
        """Empty by now, or the system's to remove."""
        for pid in (self.path / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):
                (self.path.parent / "cgroup.procs").write_text(pid)
        with contextlib.suppress(OSError):
            self.path.rmdir()


def kill_program(bench: Bench, name: str) -> None:
    """All its processes, so that new ones are needed."""
    for pid, found in processes().items():
        if found == name and kill(pid):
            bench.books.killed(name)


def try_fault(bench: Bench, group: Group, preload: Preload, rng: random.Random) -> tuple[bool, list[str]]:
    """Whether somebody felt it, and what went wrong."""
    bench.instance.set_mark()
    before = group.refusals()
    program = rng.choice(["master", *DAEMONS])
    is_group = program == "master" or rng.random() < 0.7
    more = rng.randrange(MOST)
    name = f"{more} more, without {program}" if is_group else f"none for {program}"
    if not is_group:
        preload.limit(program, PROCESSES, 1)
    kill_program(bench, program)
    if not bench.instance.status():
        bench.instance.start()
    if is_group:
        group.restrict(more)
    number, _ = bench.send(rng.random() < 0.3)
    wait_until(lambda: bench.is_over(number), 1)
    if is_group:
        group.relax()
    else:
        preload.limit(program, PROCESSES, 0)
        kill_program(bench, program)
    wrong = bench.recover(number)
    log = bench.instance.log()
    has_felt = group.refusals() > before or any(x in log for x in CANNOT_FORK)
    return has_felt, [f"{name}: {x}" for x in wrong + crashes(log)]


def main() -> None:
    """Runs it."""
    args = parser(__doc__, 6).parse_args()
    rng = random.Random(args.seed)
    group = Group()
    preload = Preload(DAEMONS)
    bench = Bench(args.seed)
    faults: list[str] = []
    felt = 0
    for _ in range(args.n):
        has_felt, wrong = try_fault(bench, group, preload, rng)
        felt += has_felt
        faults += wrong
        if os.environ.get("VERBOSE"):
            print(f"{'felt' if has_felt else 'not felt'} {wrong or ''}", flush=True)
    faults += bench.end()
    group.remove()
    conclude(bench.books.line("processes").replace(
        "processes: ", f"processes: {args.n} tried, {felt} felt, "), faults, bench.instance)


main()
