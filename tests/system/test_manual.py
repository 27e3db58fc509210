"""The manual and the programs agree."""

import os
import re
from pathlib import Path

import mta as mta_module
import pytest

SOURCE = Path(os.environ["POSTERN_SOURCE"])
MANUAL = Path(mta_module.ROOT) / "usr/share/man"

# Where a command reads its options, when that is not commands/NAME.c or commands/NAME/NAME.c.
SHARED = {"postmap": ("commands/postmap/postmap.c", r'\.letters = "([^"]+)"'),
          "postalias": ("commands/postalias.c", r'\.letters = "([^"]+)"')}


def command_names():
    names = {path.stem for path in (SOURCE / "commands").iterdir()}
    return sorted(names)


def option_letters(name):
    """What the program gives to getopt(3)."""
    plain = SOURCE / "commands" / f"{name}.c"
    path = plain if plain.exists() else SOURCE / "commands" / name / f"{name}.c"
    path, regex = SHARED.get(name, (path, r'getopt\(argc, argv, "\+?([^"]+)"\)'))
    found = re.search(regex, (SOURCE / path).read_text())
    return set(found.group(1)) - {":"} if found else set()


@pytest.mark.parametrize("name", command_names())
def test_options_are_documented(name):
    """Every command has a page that has its options."""
    page = (MANUAL / "man1" / f"{name}.1").read_text()
    for letter in option_letters(name):
        assert re.search(rf"(Fl|,) {re.escape(letter)}(\s|$)|(Fl \w*|-){re.escape(letter)}", page), letter


def test_parameters_are_documented():
    """postconf(5) has every parameter that postconf(1) shows."""
    page = (MANUAL / "man5/postconf.5").read_text()
    documented = set(re.findall(r"(?m)^\.B (\S+)", page))
    shown = mta_module.subprocess.run([mta_module.program("postconf"), "-dH"],
                                      capture_output=True, text=True).stdout.split()
    assert len(shown) > 800
    assert set(shown) <= documented


def pages():
    """Every page of ours but postconf(5), as section and name."""
    return sorted(f"man{n}/{path.name}" for n in (1, 5, 8)
                  for path in (SOURCE / f"man/man{n}").iterdir())


def daemon_names():
    """The programs that a master.cf may name, and master itself."""
    text = (SOURCE / "master/programs.def").read_text()
    return ["master", *re.findall(r"(?m)^PROGRAM\((\w+)", text)]


@pytest.mark.parametrize("name", daemon_names())
def test_daemons_are_documented(name):
    """Every daemon has a page; one that serves under several names has it under each."""
    text = (MANUAL / f"man8/{name}.8").read_text()
    assert re.search(r"(?m)^\.Dt |^\.so man8/\w+\.8$", text)


@pytest.mark.parametrize("name", [*pages(), "man5/postconf.5"])
def test_pages_are_well_formed(name):
    """man(1) shows each page, and has nothing to warn about."""
    done = mta_module.subprocess.run(["man", "--warnings", "-l", name], cwd=MANUAL,
                                     capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "" and len(done.stdout) > 200, done.stderr


@pytest.fixture(scope="module")
def parameters():
    """All names that postconf(1) knows."""
    return set(mta_module.subprocess.run([mta_module.program("postconf"), "-dH"],
                                         capture_output=True, text=True).stdout.split())


@pytest.mark.parametrize("name", pages())
def test_named_parameters_exist(name, parameters):
    """A page names no parameter that there is not."""
    named = set(re.findall(r"(?m)(?:^\.| )Va (\w+)", (MANUAL / name).read_text()))
    ends = {f"_{p.partition('_')[2]}" for p in parameters} | {"_time_limit"}
    assert {n for n in named if n not in parameters and n not in ends} == set()


@pytest.mark.parametrize("name", pages())
def test_references_exist(name):
    """A page refers to no page of ours that there is not."""
    for page, section in re.findall(r"(?m)Xr (\S+) (\d)", (MANUAL / name).read_text()):
        assert (MANUAL / f"man{section}/{page}.{section}").exists(), (page, section)
