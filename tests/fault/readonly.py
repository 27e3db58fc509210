"""File systems that are mounted read-only: the mailboxes in operation, see disks.py; the queue at the
start, which may fail, and must not take mail that it cannot keep. (While files of it are open for
writing no file system becomes read-only but by an error: diskfull does that.)

    tests/fault/run readonly [--n ROUNDS] [--seed N]
"""

from __future__ import annotations

import functools

from disks import Disks
from filesystem import need_images
from harness import kill_all, parser


def start_read_only(disks: Disks, name: str) -> None:
    """The machine comes up with a read-only queue."""
    kill_all()
    disks.queue.set_writable(False)
    disks.instance.control("start")
    answer = disks.send(disks.everywhere())
    if answer[:1] not in ("4", "b"):
        disks.faults.append(f"{name}: the client was told: {answer or 'all is well'}")
    disks.queue.set_writable(True)
    if not disks.instance.status():
        disks.instance.start()
    disks.back(name)


def main() -> None:
    """Runs it."""
    args = parser(__doc__, 1).parse_args()
    need_images("readonly")
    disks = Disks(args.seed)
    for number in range(1, args.n + 1):
        disks.without_mailboxes(
            f"round {number}, mailboxes", functools.partial(disks.mailboxes.set_writable, False),
            functools.partial(disks.mailboxes.set_writable, True))
        start_read_only(disks, f"round {number}, start with a read-only queue")
    disks.conclude(f"readonly ({2 * args.n} mounts)")


main()
