#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""How cost grows: with concurrent clients, and with messages that wait in the queue.

Usage:  growth.py [--clients 1,10,100,1000] [--queued 1000,10000,100000,1000000]
        [--messages N] [--client-messages N] [--rounds N] [--json FILE] [--md FILE] [--plot FILE.svg]
        --start POSTERN --daemons DIR --tools DIR [--work DIR]

Part one: N messages of 4 kB from so many smtp-source sessions at once, to discard(8); on the disk,
and with the queue in memory, which leaves out what the file system makes of many writers at once.
Part two: the queue holds so many deferred messages that are not due (copies of one that the
server itself deferred), and as many that are due; how long until the banner after a start, what
the first message costs in time, how much memory the queue manager takes, and what messages cost
beside them.  Frame, cgroups and meters are those of compare.py.
"""
import contextlib, json, os, re, statistics, subprocess, sys, time

import alone
import compare
from compare import Meter, RCPT, Sink, Up, Client, note, source, text, until

KEYS = ("msg/s", "cpu_s/1000", "pss_MB", "procs", "other_cpu_%")


def waiting(d):
    """New messages that are not yet done with: deferred ones do not count."""
    return compare.count_files(d.spool + "/maildrop", d.spool + "/incoming")


def load(d, messages, sessions):
    """One measured run of smtp-source against the running server."""
    with Meter(d.box) as m:
        accept = source(d.box, messages, sessions)
        if not until(lambda: waiting(d) == 0, 300, 0.03):
            raise RuntimeError("%d messages were not delivered" % waiting(d))
    return m.result(messages, accept)


@contextlib.contextmanager
def in_memory(d):
    """What the server writes is in memory meanwhile."""
    run = os.path.join(d.box.work, "run")
    os.makedirs(run, exist_ok=True)
    compare.mount("tmpfs", run, "tmpfs", data="mode=755")
    try:
        yield
    finally:
        compare.libc.umount2(run.encode(), 2)


def with_clients(d, counts, messages, rounds):
    """{clients: medians of the rounds}; the rounds of all counts are interleaved, each with a folder
    of its own, so that none pays for the files that those before it have deleted."""
    runs = {c: [] for c in counts}
    for k in range(rounds):
        for c in counts:
            with Up(d, mode="discard"):
                source(d.box, 500, 20)
                until(lambda: waiting(d) == 0, 60)
                compare.quiet(20)
                runs[c].append(load(d, messages, c))
            note("clients %d round %d: %s" % (c, k + 1, shown(runs[c][-1])))
    return {c: middle(r) for c, r in runs.items()}


def shown(run):
    return ", ".join("%s=%s" % (k, compare.fmt(run[k])) for k in KEYS if k in run)


def middle(runs):
    return {k: statistics.median(r[k] for r in runs) for k in runs[0]}


def sample_file(d):
    """The bytes of one deferred queue file, written by the server itself."""
    with Up(d, mode="deferred"):
        with_one = Client()
        with_one.send([RCPT], text(1000))
        with_one.quit()
        folder = d.spool + "/deferred"
        if not until(lambda: os.listdir(folder), 30, 0.05):
            raise RuntimeError("nothing was deferred")
        with open(os.path.join(folder, os.listdir(folder)[0]), "rb") as f:
            return f.read()


def fill(d, content, count, due):
    """`count` copies in deferred, to be tried again now or in a day."""
    owner = os.stat(d.spool + "/deferred")
    when = time.time() + (-60 if due else 86400)
    folder = os.open(d.spool + "/deferred", os.O_RDONLY)
    for i in range(count):
        name = "0C%011X%03X" % (0x5CB00000000 + i, i % 4096)
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700, dir_fd=folder)
        os.write(fd, content)
        os.fchown(fd, owner.st_uid, owner.st_gid)
        os.utime(fd, (when, when))
        os.close(fd)
        if i % 100000 == 99999:
            note("%d files" % (i + 1))
    os.close(folder)


def qmgr_mb(d):
    best = 0
    for pid in d.box.pids("server"):
        try:
            with open("/proc/%d/comm" % pid) as f:
                comm = f.read()
            with open("/proc/%d/status" % pid) as f:
                kb = int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))
        except (OSError, AttributeError):
            continue
        if comm.startswith("qmgr"):
            best = max(best, kb)
    return best / 1024


def idle(d, limit):
    """Waits until the server has nothing to do: its scan of the queue is over."""
    end = time.time() + limit
    while time.time() < end:
        before = sum(d.box.cpu("server"))
        time.sleep(0.5)
        if sum(d.box.cpu("server")) - before < 0.02:
            return


def start(d):
    """Seconds from the start command to the banner, and to the first delivery of a new message."""
    begin = time.time()
    d.run([d.cfg["start"], "-c", d.conf, "start"])
    d.wait_up()
    r = {"banner_s": time.time() - begin}
    c = Client()
    c.send([RCPT], text(1000))
    c.quit()
    return r, begin


def not_due(d, content, count, messages):
    """New mail to discard beside a queue of mail that waits for its time."""
    d.fresh(dict(mode="discard"))
    try:
        d.start()          # makes the directories
        d.stop()
        fill(d, content, count, False)
        r, begin = start(d)
        until(lambda: waiting(d) == 0, 300, 0.005)
        r["first_s"] = time.time() - begin
        idle(d, 120)
        r["idle_s"] = time.time() - begin
        r.update(load(d, messages, 20))
        r["qmgr_MB"] = qmgr_mb(d)
        begin = time.time()
        subprocess.run(d.list_cmd, stdout=subprocess.DEVNULL, timeout=600, check=True)
        r["list_s"] = time.time() - begin
    finally:
        d.stop()
    return r


def is_due(d, content, count):
    """All of the queue is due at the start, and the relay host takes it."""
    d.fresh(dict(mode="relay"))
    sink = Sink(d.box)
    try:
        d.start()
        d.stop()
        fill(d, content, count, True)
        r, begin = start(d)
        until(lambda: sink.count() >= 1, 300, 0.005)
        r["first_s"] = time.time() - begin
        peak, end = 0, time.time() + 8
        while time.time() < end and sink.count() <= count:
            peak = max(peak, qmgr_mb(d))
            time.sleep(0.2)
        r["relayed/s"] = sink.count() / (time.time() - begin)
        r["qmgr_MB"] = peak
    finally:
        d.stop()
        sink.close()
    return r


def table(title, first, rows, keys):
    out = ["", "### " + title, "", "| " + " | ".join([first] + list(keys)) + " |",
           "|" + "---|" * (len(keys) + 1)]
    for n, r in sorted(rows.items()):
        out.append("| %s | " % format(n, ",") +
                   " | ".join(compare.fmt(r[k]) if k in r else "-" for k in keys) + " |")
    return "\n".join(out)


def plot(path, clients, memory, queued):
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "postern"
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.4))
    for axis, rows, label in ((axes[0], clients, "clients at once"),
                              (axes[1], queued, "messages that wait in the queue")):
        x = sorted(rows)
        axis.plot(x, [rows[n]["cpu_s/1000"] for n in x], "o-", color="tab:blue")
        if rows is clients:
            axis.plot(x, [memory[n]["cpu_s/1000"] for n in x], "o:", color="tab:blue",
                      label="queue in memory")
            axis.legend(loc="lower right", frameon=False)
        axis.set_ylabel("CPU ms a message", color="tab:blue")
        axis.set(xscale="log", xlabel=label, ylim=(0, None))
        other = axis.twinx()
        other.plot(x, [rows[n]["msg/s"] for n in x], "s--", color="tab:orange")
        other.set_ylabel("messages a second", color="tab:orange")
        other.set_ylim(0, None)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def numbers(value):
    return [int(n) for n in value.split(",") if n]


def measure(d, a):
    """All tables; also into the files that were asked for."""
    results = {"clients": with_clients(d, a.clients, a.client_messages, a.rounds), "not due": {}, "due": {}}
    with in_memory(d):
        results["in memory"] = with_clients(d, a.clients, a.client_messages, a.rounds)
    content = sample_file(d) if a.queued else b""
    for n in a.queued:
        results["not due"][n] = not_due(d, content, n, a.messages)
        note("%d not due: %s" % (n, results["not due"][n]))
        results["due"][n] = is_due(d, content, n)
        note("%d due: %s" % (n, results["due"][n]))
    if a.json:
        with open(a.json, "w") as f:
            json.dump(results, f, indent=1)
    if a.plot:
        plot(a.plot, results["clients"], results["in memory"], results["not due"])
    return [
        table("Clients at once, to discard", "clients", results["clients"], KEYS),
        table("The same with the queue in memory", "clients", results["in memory"], KEYS),
        table("Messages that wait in the queue and are not due", "messages",
              results["not due"], ("banner_s", "first_s", "idle_s", "qmgr_MB", "list_s") + KEYS),
        table("Messages in the queue that are due at the start, to a relay host", "messages",
              results["due"], ("banner_s", "first_s", "relayed/s", "qmgr_MB")),
    ]


def main():
    ap = alone.parser()
    ap.add_argument("--clients", type=numbers, default=[1, 10, 100, 1000])
    ap.add_argument("--queued", type=numbers, default=[1000, 10000, 100000, 1000000])
    ap.add_argument("--messages", type=int, default=5000)
    ap.add_argument("--client-messages", type=int, default=20000)
    ap.add_argument("--rounds", type=int, default=3, help="for the clients")
    ap.add_argument("--json", default="")
    ap.add_argument("--plot", default="")
    a = ap.parse_args()
    alone.run(a, lambda d: measure(d, a))


if __name__ == "__main__":
    sys.exit(main())
