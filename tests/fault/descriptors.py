"""Out of file descriptors: each program in turn is started with a limit (RLIMIT_NOFILE), from one that it
cannot start with to one that it does not feel, and the message of way.py goes through it.

The limit of the whole machine (ENFILE) is nobody's to try out; programs meet the same calls there, and
faults.py makes each of these fail.

    tests/fault/run descriptors [--n FAULTS, 0: all] [--seed N]     MTA programs: --only NAME
"""

from __future__ import annotations

import contextlib
import os
import random

from harness import conclude, kill, parser, processes, wait_until
from preload import DESCRIPTORS, Preload
from way import BY_SENDMAIL, DAEMONS, Bench, crashes

FEWEST, SPARE = 4, 8
"""The smallest limit, and how many more than an idle program has are as good as no limit."""


def highest_descriptor(program: str) -> int:
    """The highest that one of its processes has open."""
    highest = 2
    for pid, name in processes().items():
        if name == program:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                highest = max([highest, *(int(x) for x in os.listdir(f"/proc/{pid}/fd"))])
    return highest


def restart(bench: Bench, program: str) -> None:
    """New processes of a program; of a command there is nothing to restart."""
    for pid, name in processes().items():
        if name == program and kill(pid):
            bench.books.killed(name)
    if program == "master":
        bench.instance.control("start")


def try_fault(bench: Bench, preload: Preload, program: str, most: int) -> tuple[bool, list[str]]:
    """Whether somebody felt it, and what went wrong."""
    bench.instance.set_mark()
    preload.limit(program, DESCRIPTORS, most)
    restart(bench, program)
    number, _ = bench.send(program in BY_SENDMAIL)
    wait_until(lambda: bench.is_over(number), 1)
    preload.limit(program, DESCRIPTORS, 0)
    restart(bench, program)
    wrong = bench.recover(number)
    log = bench.instance.log()
    has_felt = "Too many open files" in log or "bad command startup" in log
    return has_felt, [f"{program} with {most}: {x}" for x in wrong + crashes(log)]


def main() -> None:
    """Runs it."""
    command_line = parser(__doc__, 5)
    command_line.add_argument("--only", default="")
    args = command_line.parse_args()
    programs = ["master", *DAEMONS, "sendmail", "postdrop"]
    preload = Preload(programs)
    bench = Bench(args.seed)
    everything = [(program, most) for program in programs if args.only in ("", program)
                  for most in range(FEWEST, highest_descriptor(program) + SPARE,
                                    12 if program == "master" else 1)]
    chosen = everything
    if 0 < args.n < len(everything):
        chosen = random.Random(args.seed).sample(everything, args.n)
    faults: list[str] = []
    felt = 0
    for program, most in chosen:
        has_felt, wrong = try_fault(bench, preload, program, most)
        felt += has_felt
        faults += wrong
        if os.environ.get("VERBOSE"):
            print(f"{program} with {most}{'' if has_felt else ' (not felt)'} {wrong or ''}", flush=True)
    faults += bench.end()
    conclude(bench.books.line("descriptors").replace(
        "descriptors: ", f"descriptors: {len(chosen)} of {len(everything)} tried, {felt} felt, "),
        faults, bench.instance)


main()
