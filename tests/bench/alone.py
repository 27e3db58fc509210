# SPDX-License-Identifier: MIT
"""The frame of measurements of Postern alone: its options, its Box, and where results go."""
import argparse, os, shutil, tempfile

import compare
from compare import Postern


def parser():
    ap = argparse.ArgumentParser()
    ap.add_argument("--md", default="", help="appends the tables to this file")
    ap.add_argument("--start", required=True, help="the command postern")
    ap.add_argument("--daemons", required=True, help="folder of the daemons")
    ap.add_argument("--tools", required=True, help="folder of postqueue and the like")
    ap.add_argument("--work", default="", help="folder on a real disk")
    return ap


def run(a, measure, **main):
    """Calls measure(driver), which returns tables as text, and prints them. `main`: lines for
    main.cf."""
    if os.geteuid():
        compare.die("must run as root")
    os.umask(0o022)
    a.work = a.work or tempfile.mkdtemp(prefix="mailbench-")
    os.makedirs(a.work, exist_ok=True)
    os.chmod(a.work, 0o755)
    box = compare.Box(a.work)
    settings = {"start": a.start, "daemons": a.daemons, "tools": a.tools}
    settings.update({"main." + name: value for name, value in main.items()})
    try:
        box.syslog_sink()
        box.dns(compare.DNS_BASE)
        text = "\n".join(measure(Postern("postern", box, settings)))
        print(text)
        if a.md:
            with open(a.md, "a") as f:
                f.write(text + "\n")
    finally:
        os.chdir("/")
        box.close()
        shutil.rmtree(a.work, ignore_errors=True)
