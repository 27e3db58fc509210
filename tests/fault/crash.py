"""A crash of everything with a full queue: all processes are killed at once while clients send, and
the next start has to cope with what is there.

The banner comes within a second of the start command and the first old message within three (five
times that for sanitizers, and beside other harnesses: BESIDE_OTHERS=1);
everything that was acknowledged arrives, and nothing is left over: no half-written file in
incoming, maildrop or the tmp of a Maildir.

    tests/fault/run crash [--n MESSAGES] [--seed N] [--clients K]
"""

from __future__ import annotations

import os
import time

from accounts import Books
from client import Client
from harness import (
    SINK_HOST, Collector, conclude, drain, kill_all, maildirs, make_instance, make_senders, parser,
    processes, start_dns, wait_until,
)
from mta import Instance
from sink import Sink

SLOWNESS = 5 if "1" in (os.environ.get("SAN"), os.environ.get("BESIDE_OTHERS")) else 1
BANNER_SECONDS = 1.0 * SLOWNESS
FIRST_SECONDS = 3.0 * SLOWNESS


def fill(instance: Instance, books: Books, args) -> None:
    """Sends until so many are acknowledged, and kills everything in the middle of more."""
    senders = make_senders(instance, books, args.seed, args.clients)
    for sender in senders:
        sender.start()
    wait_until(lambda: books.acknowledged >= args.n, 600)
    for program in processes().values():
        books.killed(program)
    kill_all()
    for sender in senders:
        sender.stopped.set()
    kill_all()
    for sender in senders:
        sender.join()
    kill_all()


def leftovers() -> list[str]:
    """What deliveries left behind in the tmp of a Maildir."""
    return [str(path) for box in maildirs().values() for path in (box / "tmp").glob("*")]


def start(instance: Instance, collector: Collector) -> tuple[float, float, list[str]]:
    """Seconds from the start command to the banner and to the first old message; what failed."""
    began = time.monotonic()
    result = instance.control("start")
    if result.code != 0:
        return 0, 0, [f"start failed: {result!r}"]
    with Client(instance.port(), patience=0, timeout=60) as client:
        banner = time.monotonic() - began
        client.cmd("QUIT")
    wait_until(lambda: collector.collect() > 0, 60)
    first = time.monotonic() - began
    faults = []
    if banner > BANNER_SECONDS:
        faults.append(f"the banner came after {banner:.2f} s")
    if first > FIRST_SECONDS:
        faults.append(f"the first old message came after {first:.2f} s")
    return banner, first, faults


def main() -> None:
    """Runs it."""
    args = parser(__doc__, 1500, clients=6).parse_args()
    books = Books(args.seed)
    start_dns()
    instance = make_instance(defer_transports="local virtual relay")
    collector = Collector(books, Sink(SINK_HOST))
    instance.start()
    fill(instance, books, args)
    instance.main["defer_transports"] = None
    instance.write_main()
    banner, first, faults = start(instance, collector)
    faults += [f"left in the queue: {x}" for x in drain(instance, collector, 20)]
    faults += [f"left behind: {x}" for x in leftovers()]
    faults += books.faults(1)
    print(f"crash: banner after {banner:.2f} s, first old message after {first:.2f} s")
    conclude(books.line("crash"), faults, instance)


main()
