"""The command line as the tests of this folder use it."""

import pytest

from netsim.cli import main


@pytest.fixture
def cli(capsys, tmp_path, monkeypatch):
    """Run the command line in an empty folder; return exit status, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*args):
        with pytest.raises(SystemExit) as caught:
            main([str(arg) for arg in args])
        out = capsys.readouterr()
        return caught.value.code, out.out, out.err

    return run
