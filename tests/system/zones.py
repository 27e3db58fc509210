"""Real signed zones: nsd has them, ldns signs them, and unbound validates in front of it, on loopback.

    zones = Zones(TMP / "zones")
    zone = zones.add("good.lab")
    zone.mx("good.lab", "mx.good.lab")
    zones.start()

All zones are delegated from "lab", whose key unbound trusts.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from mta import poll

RESOLVER, SERVER = "127.0.0.2", "127.0.0.3"
TOP = "lab"

NSD = """
server:
    ip-address: {server}
    username: ""
    chroot: ""
    database: ""
    zonesdir: "{dir}"
    pidfile: "{dir}/nsd.pid"
    zonelistfile: "{dir}/zone.list"
    xfrdfile: "{dir}/xfrd.state"
    xfrdir: "{dir}"
    logfile: "{dir}/nsd.log"
    server-count: 1
    verbosity: 1
remote-control:
    control-enable: no
"""

UNBOUND = """
server:
    interface: {resolver}
    username: ""
    chroot: ""
    directory: "{dir}"
    pidfile: "{dir}/unbound.pid"
    logfile: "{dir}/unbound.log"
    use-syslog: no
    do-daemonize: no
    do-ip6: no
    do-not-query-localhost: no
    access-control: 127.0.0.0/8 allow
    module-config: "validator iterator"
    trust-anchor: "{anchor}"
    val-log-level: 2
    verbosity: 1
stub-zone:
    name: "{top}."
    stub-addr: {server}
remote-control:
    control-enable: no
"""


def run(*args: object, cwd: Path) -> str:
    """A command that works; its output."""
    done = subprocess.run([str(a) for a in args], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, (args, done.stdout, done.stderr)
    return done.stdout.strip()


class Zone:
    """The text of one zone, and how it is signed."""

    def __init__(self, name: str, signed: str) -> None:
        self.name, self.signed = name, signed
        self.lines = [f"$ORIGIN {name}.", "$TTL 60",
                      f"@ SOA ns.{TOP}. root.{TOP}. 1 3600 600 86400 60", f"@ NS ns.{TOP}."]
        self.spoiled: list[tuple[str, str]] = []

    def add(self, name: str, rtype: str, data: str) -> None:
        """Any record."""
        self.lines.append(f"{name}. {rtype} {data}")

    def a(self, name: str, address: str) -> None:
        """Address."""
        self.add(name, "A", address)

    def mx(self, name: str, *hosts: str) -> None:
        """MX hosts, the best first."""
        for i, host in enumerate(hosts):
            self.add(name, "MX", f"{i} {host}.")

    def txt(self, name: str, text: str) -> None:
        """TXT record."""
        self.add(name, "TXT", f'"{text}"')

    def tlsa(self, host: str, usage: int, selector: int, matching: int, data: bytes) -> None:
        """TLSA record for port 25."""
        self.add(f"_25._tcp.{host}", "TLSA", f"{usage} {selector} {matching} {data.hex()}")

    def spoil(self, rtype: str, change: str) -> None:
        """Puts other data into the records of a type when they have been signed."""
        self.spoiled.append((rtype, change))


class Zones:
    """The zones and their two servers."""

    def __init__(self, dir: Path) -> None:
        self.dir = dir
        dir.mkdir()
        self.zones: list[Zone] = []
        self.processes: list[subprocess.Popen] = []

    def add(self, name: str, signed: str = "yes") -> Zone:
        """`signed`: yes; nsec3; expired; no: no DS record either; stripped: with a DS record, but no
        signatures."""
        zone = Zone(name, signed)
        self.zones.append(zone)
        return zone

    def start(self) -> "Zones":
        """Signs and serves them."""
        top = Zone(TOP, "yes")
        top.a(f"ns.{TOP}", SERVER)
        for zone in self.zones:
            top.add(zone.name, "NS", f"ns.{TOP}.")
            if zone.signed != "no":
                top.lines.append(self.key(zone)[1])
        anchor = self.key(top)[1]
        conf = NSD.format(dir=self.dir, server=SERVER)
        for zone in (top, *self.zones):
            conf += f'zone:\n    name: "{zone.name}"\n    zonefile: "{self.sign(zone)}"\n'
        (self.dir / "nsd.conf").write_text(conf)
        (self.dir / "unbound.conf").write_text(UNBOUND.format(
            dir=self.dir, resolver=RESOLVER, server=SERVER, top=TOP, anchor=" ".join(anchor.split())))
        self.serve("nsd", "-d", "-c", self.dir / "nsd.conf", log="nsd.log", ready="nsd started")
        self.serve("unbound", "-d", "-c", self.dir / "unbound.conf", log="unbound.log",
                   ready="start of service")
        return self

    def stop(self) -> None:
        """Ends both servers."""
        for process in self.processes:
            process.terminate()
            process.wait()

    def key(self, zone: Zone) -> tuple[str, str]:
        """Name of the zone's key, which is made when it is asked for first, and its DS record."""
        names = list(self.dir.glob(f"K{zone.name}.+*.key"))
        name = names[0].stem if names else run(
            "ldns-keygen", "-r", "/dev/urandom", "-a", "ECDSAP256SHA256", "-k", zone.name, cwd=self.dir)
        return name, (self.dir / f"{name}.ds").read_text().strip()

    def sign(self, zone: Zone) -> str:
        """Writes the zone; the name of its file."""
        (self.dir / zone.name).write_text("\n".join(zone.lines) + "\n")
        if zone.signed in ("no", "stripped"):
            return zone.name
        dates = ["-i", "20200101", "-e", "20200201"] if zone.signed == "expired" else []
        nsec3 = ["-n", "-t", "0"] if zone.signed == "nsec3" else []
        run("ldns-signzone", *dates, *nsec3, "-o", zone.name, zone.name, self.key(zone)[0], cwd=self.dir)
        signed = self.dir / f"{zone.name}.signed"
        text = signed.read_text()
        for rtype, change in zone.spoiled:
            text, count = re.subn(rf"(\sIN\s{rtype}\s).*", rf"\g<1>{change}", text)
            assert count, (zone.name, rtype)
        signed.write_text(text)
        return signed.name

    def serve(self, *args: object, log: str, ready: str) -> None:
        """Starts a server and waits for the line that says that it is up."""
        process = subprocess.Popen([str(a) for a in args], cwd=self.dir, stdin=subprocess.DEVNULL)
        self.processes.append(process)
        path = self.dir / log
        poll(lambda: process.poll() is not None or
             ready in (path.read_text() if path.exists() else ""), what=lambda: f"{args[0]}: {path}")
        assert process.poll() is None, path.read_text() if path.exists() else args
