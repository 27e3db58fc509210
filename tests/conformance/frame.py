"""The fixtures of conftest.py for the cases of tests/system and tests/attack (pytest -p frame). pytest takes
a file of that name as one for its own folder, or, with that folder as root, takes the autouse fixtures
of each module of other folders for those of all modules."""

from conftest import (  # noqa: F401
    _case, _dns, ca, dns, make_mta, make_sink, pytest_runtest_makereport)
