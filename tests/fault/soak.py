"""Accounting soak: clients keep sending while random processes, master included, are killed.

Nothing that was acknowledged may be lost or altered, and at most one copy in fifty kills may
arrive twice.

    tests/fault/run soak [--n MESSAGES] [--seed N] [--clients K]
"""

from __future__ import annotations

import random
import threading
import time

from accounts import Books
from harness import (
    SINK_HOST, Collector, Keeper, Killer, Sender, conclude, drain, make_instance, make_senders,
    parser, run_collector, start_dns, wait_until,
)
from sink import Sink

DUPLICATES_A_KILL = 0.02
DUPLICATES_ALWAYS = 4
"""A run with a hundred kills has two in one case of ten, at a quarter of that rate."""
BACKLOG = 2000
"""Copies that may wait in the queue before the clients pause: memory is no disk."""


def send_all(senders: list[Sender], books: Books, wanted: int) -> None:
    """Lets the senders run until so many messages are acknowledged."""
    for sender in senders:
        sender.start()
    began = shown = time.monotonic()
    while books.acknowledged < wanted:
        time.sleep(0.1)
        if time.monotonic() - shown > 20:
            shown = time.monotonic()
            print(f"soak: {books.acknowledged} acknowledged after {shown - began:.0f} s, "
                  f"{sum(books.kills.values())} kills", flush=True)
    for sender in senders:
        sender.stopped.set()
    for sender in senders:
        sender.join()


def main() -> None:
    """Runs it."""
    args = parser(__doc__, 1500, clients=6).parse_args()
    books = Books(args.seed)
    start_dns()
    instance = make_instance()
    sink = Sink(SINK_HOST)
    collector = Collector(books, sink)
    collected = threading.Event()
    instance.start()
    collecting = run_collector(collector, collected)
    keeper = Keeper(instance, books)
    killer = Killer(books, random.Random(f"{args.seed} kills"))
    senders = make_senders(instance, books, args.seed, args.clients)
    keeper.start()
    killer.start()
    began = time.monotonic()
    send_all(senders, books, args.n)
    killer.stop()
    lasted = time.monotonic() - began
    wait_until(instance.status, 30)
    keeper.stop()
    collected.set()
    collecting.join()
    left = drain(instance, collector, 20)
    faults = [f"left in the queue: {x}" for x in left]
    faults += [f"start failed: {x}" for x in keeper.failed_starts]
    faults += books.faults(max(DUPLICATES_ALWAYS, DUPLICATES_A_KILL * sum(books.kills.values())))
    kills = ", ".join(f"{name} {count}" for name, count in sorted(books.kills.items()))
    print(f"soak: {lasted:.0f} s of kills ({kills})")
    conclude(books.line("soak"), faults, instance)


main()
