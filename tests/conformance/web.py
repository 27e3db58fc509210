"""A real web server: nginx with TLS, for MTA-STS policies and whatever else is asked for by HTTPS.

    web = Web(TMP / "web", dns)
    web.site("mta-sts.a.test", cert)
    web.start()
    web.policy("a.test", STS)               # and takes it away again with None
    assert web.hits("mta-sts.a.test") == 1
"""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

from ca import Cert
from mta import poll

ADDRESS = "203.0.113.80"

STS = "version: STSv1\nmode: enforce\nmx: mx.{domain}\nmax_age: 86400\n"
"""A policy; {domain} is replaced."""

HEAD = """
worker_processes 1;
daemon off;
user nobody nogroup;
pid {dir}/nginx.pid;
error_log {dir}/error.log notice;
events {{ worker_connections 100; }}
http {{
    default_type text/plain;
    log_format hits '$host $request_method $uri $status $ssl_server_name';
    access_log {dir}/access.log hits;
    server_tokens off;
    server_names_hash_bucket_size 128;
    server {{ listen unix:{dir}/caught-up; return 204; }}
    client_body_temp_path {dir}/tmp;
    proxy_temp_path {dir}/tmp;
    fastcgi_temp_path {dir}/tmp;
    uwsgi_temp_path {dir}/tmp;
    scgi_temp_path {dir}/tmp;
"""

SITE = """
    server {{
        listen {address}:443 ssl;
        server_name {host};
        ssl_certificate {cert.cert};
        ssl_certificate_key {cert.key};
        root {dir}/{host};
        {more}
    }}
"""


class Web:
    """The server, its sites and what was asked of it."""

    def __init__(self, dir: Path, dns, address: str = ADDRESS) -> None:
        self.dir, self.dns, self.address = dir, dns, address
        self.conf = HEAD.format(dir=dir)
        self.process: subprocess.Popen | None = None
        for path in (dir, dir / "tmp"):
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(0o777)

    def site(self, host: str, cert: Cert, more: str = "") -> None:
        """A name-based host, and its address record; `more`: directives of nginx."""
        self.conf += SITE.format(address=self.address, host=host, cert=cert, dir=self.dir, more=more)
        self.dns.a(host, self.address)
        (self.dir / host).mkdir(exist_ok=True)
        (self.dir / host).chmod(0o755)

    def start(self) -> "Web":
        """Starts it; sites are not added later."""
        conf = self.dir / "nginx.conf"
        conf.write_text(self.conf + "}\n")
        self.process = subprocess.Popen(["nginx", "-c", conf, "-p", self.dir, "-e",
                                         self.dir / "error.log"],
                                        stdin=subprocess.DEVNULL)
        log = self.dir / "error.log"
        poll(lambda: self.process.poll() is not None or
             "start worker process " in (log.read_text() if log.exists() else ""), what="nginx")
        assert self.process.poll() is None, log.read_text()
        return self

    def stop(self) -> None:
        """Nobody listens any more."""
        if self.process:
            self.process.terminate()
            self.process.wait()
            (self.dir / "error.log").unlink()
            self.process = None

    def file(self, host: str, path: str, text: str | None) -> None:
        """What is found there; None: nothing."""
        where = self.dir / host / path.lstrip("/")
        if text is None:
            where.unlink(missing_ok=True)
            return
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_text(text)

    def policy(self, domain: str, text: str | None = STS) -> None:
        """The MTA-STS policy of a domain."""
        self.file(f"mta-sts.{domain}", ".well-known/mta-sts.txt",
                  text and text.replace("{domain}", domain))

    def _catch_up(self) -> None:
        """Waits until what came before is in the log, which is written when a request has ended: the one
        process has seen that when it answers another."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(str(self.dir / "caught-up"))
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            while sock.recv(4096):
                pass

    def hits(self, host: str, method: str = "GET") -> int:
        """How many requests came for that host, answered in whatever way."""
        if self.process:
            self._catch_up()
        log = self.dir / "access.log"
        lines = log.read_text().splitlines() if log.exists() else []
        return sum(line.startswith(f"{host} {method} ") for line in lines)
