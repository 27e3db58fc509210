"""README.md: every command that it shows is run, in its order, where it may change everything."""

import os
import re
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(os.environ["POSTERN_SOURCE"])

# Behind these lines something must be true.
EXPECTED = {
    "make demo": "Postern runs",
    "./run/do postqueue -p": "Mail queue is empty",
    "./run/do postconf -n": "myhostname = mail.demo.example",
    "./run/do postern user list": "alice",
    "make demo-stop": "stopped",
    "postmap -q info@example.com /etc/postern/virtual": "root",
    "postern status": "is running",
    "mailq": "",
}


def commands():
    """The indented lines of README.md; one that ends in a backslash goes on in the next."""
    text = re.sub(r"\\\n\s*", "", (SOURCE / "README.md").read_text())
    return [line.strip() for line in re.findall(r"(?m)^    (\S.*)$", text)]


def copy_tree(place):
    """The source with what is built of it, so that nothing is written to the tree."""
    kept = [path for path in SOURCE.iterdir() if path.name not in (".git", "build", "run")]
    subprocess.run(["cp", "-a", *kept, place], check=True)
    (place / "build").mkdir()
    built = [path for path in (SOURCE / "build").glob("*") if path.name not in ("fresh", "fuzz")]
    if built:
        subprocess.run(["cp", "-a", *built, place / "build"], check=True)


@pytest.fixture
def own_root(tmp_path):
    """Layers over the directories that installing writes to; they go with the namespace."""
    for name in ("usr", "var"):
        upper, work = tmp_path / name / "upper", tmp_path / name / "work"
        upper.mkdir(parents=True)
        work.mkdir()
        subprocess.run(["mount", "-t", "overlay", "-o",
                        f"lowerdir=/{name},upperdir={upper},workdir={work}", "layer", f"/{name}"],
                       check=True)
    yield
    for name in ("usr", "var"):
        subprocess.run(["umount", "-l", f"/{name}"], check=True)


def test_readme(own_root, tmp_path):
    """Each command of README.md exits with 0 and does what the text says."""
    tree = tmp_path / "postern"
    tree.mkdir()
    copy_tree(tree)
    san = ["SAN=1"] if os.environ.get("SAN_REPORTS") else []
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8",
                   "MAKEFLAGS": " ".join(san)}
    shown = commands()
    assert "make demo" in shown and "postern start" in shown
    for command in shown:
        if command == "make check":
            continue  # this is it
        done = subprocess.run(["bash", "-c", command], cwd=tree, env=environment, timeout=300,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout[-5000:]}"
        assert EXPECTED.get(command, "") in done.stdout, f"{command}\n{done.stdout[-5000:]}"
