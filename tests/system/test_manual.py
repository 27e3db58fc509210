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
