"""Power cut: the file systems of queue and mailboxes are shut down in the middle of the work.

Both are ext4 in loop images; the ioctl EXT4_IOC_SHUTDOWN without a flush of the journal makes them
what they would be after a power cut. After each cut everything is killed, the images are mounted
again (which replays the journal) and the mail system is started. With --filesystems 1 queue and
mailboxes are on one file system, with 2 on two. What was acknowledged must arrive, whatever was
cut when; a cut can make duplicates of what was being delivered, which are counted and no fault.

    tests/fault/run powercut [--n MESSAGES] [--seed N] [--filesystems 1|2]
"""

from __future__ import annotations

import math
import os
import random
import time

from accounts import Books
from filesystem import FileSystem, need_images
from harness import (
    HOMES, SINK_HOST, VMAIL, Collector, Sender, Submitter, parser, conclude, drain,
    kill_all, make_instance, skip, start_dns,
)
from mta import Instance
from sink import Sink

SENDERS, SUBMITTERS = 5, 2
MESSAGES_A_CUT = 500


def layout(instance: Instance, count: int) -> list[FileSystem]:
    """The file systems, mounted."""
    queue = {"queue": instance.queue}
    mailboxes = {"home": HOMES, "vmail": VMAIL}
    if count == 1:
        made = [FileSystem("all", {**queue, **mailboxes})]
    else:
        made = [FileSystem("queue", queue), FileSystem("mailboxes", mailboxes)]
    os.sync()
    return made


def one_round(instance: Instance, books: Books, filesystems: list[FileSystem],
              rng: random.Random, number: int, wanted: int) -> None:
    """Sends for a while, and then the power goes."""
    senders: list[Sender] = [
        (Submitter if n < SUBMITTERS else Sender)(
            instance, books, random.Random(f"{books.seed} {number} {n}"))
        for n in range(SENDERS + SUBMITTERS)
    ]
    instance.start()
    for sender in senders:
        sender.start()
    while books.acknowledged < wanted:
        time.sleep(0.01)
    time.sleep(rng.uniform(0, 0.2))
    for filesystem in rng.sample(filesystems, len(filesystems)):
        filesystem.shut_down()
    books.killed("power")
    for sender in senders:
        sender.stopped.set()
    # A client that has its 250 by now was told so before the cut, or was told wrong.
    time.sleep(0.1)
    kill_all()
    for sender in senders:
        sender.join()
    for filesystem in filesystems:
        filesystem.unmount()
        filesystem.mount()


def main() -> None:
    """Runs it."""
    args = parser(__doc__, 1200, filesystems=2).parse_args()
    need_images("powercut")
    cuts = max(4, args.n // MESSAGES_A_CUT)
    books = Books(args.seed, largest=100_000)
    start_dns()
    rng = random.Random(f"{args.seed} cuts")
    sink = Sink(SINK_HOST)
    collector = Collector(books, sink)
    instance = make_instance()
    filesystems = layout(instance, args.filesystems)
    for number in range(1, cuts + 1):
        one_round(instance, books, filesystems, rng, number, args.n * number // cuts)
        collector.collect()
        os.sync()  # or the next cut brings back what was taken out
    instance.start()
    left = drain(instance, collector, 20)
    faults = [f"left in the queue: {x}" for x in left]
    faults += books.faults(math.inf)
    conclude(books.line(f"powercut on {args.filesystems}"), faults, instance)


main()
