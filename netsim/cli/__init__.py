"""The command line: one thin file a command, everything heavy imported inside the command that needs it.

Results go to standard output, talk and progress to standard error. Exit status: 0 all expectations hold, 1 one failed,
2 the input is wrong, 3 a bug in netsim, 4 skipped, 130 interrupted, 143 ended by SIGTERM. May import everything below
it; nothing imports it.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from errno import EDQUOT, EFBIG, ENOSPC
from io import TextIOWrapper

from netsim.errors import ConfigError, NetsimError

_SIGNALLED = 128
_NO_ROOM = (ENOSPC, EDQUOT, EFBIG)  # where output goes is the person's choice, and no bug of netsim


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and exit with its status."""
    args = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in args
    args = [arg for arg in args if arg != "--debug"]
    ended: list[int] = []

    def end(signum: int, _frame: object) -> None:
        """Let SIGTERM do what Ctrl-C does: partial results are kept."""
        ended.append(signum)
        raise KeyboardInterrupt

    out = sys.stdout
    if isinstance(out, TextIOWrapper):
        out.reconfigure(errors="backslashreplace")  # a terminal may know fewer letters than a scenario's names
    kept = signal.signal(signal.SIGTERM, end)
    try:
        from netsim.cli.app import app  # a fifth of a second in which a person may press Ctrl-C

        app(args=args, prog_name="netsim")
    except SystemExit as done:
        if sys.stdout is not out:  # typer puts a quiet one in its place when the reader went away: no failure of ours
            sys.exit(0)
        if _untold(done):
            _say("netsim: interrupted")
        sys.exit(_SIGNALLED + ended[0] if ended else done.code)
    except KeyboardInterrupt:
        _say("netsim: interrupted")
        sys.exit(_SIGNALLED + (ended[0] if ended else signal.SIGINT))
    except BrokenPipeError:
        sys.stderr.close()  # the reader went away: nobody is left to tell
        sys.exit(0)
    except Exception as error:  # the one place that turns what nobody expected into an exit status
        if debug:
            raise
        sys.exit(_tell(error))
    finally:
        signal.signal(signal.SIGTERM, kept)


def _untold(done: SystemExit) -> bool:
    """Tell whether typer made this exit of a KeyboardInterrupt that no command caught and told."""
    made = done.__context__
    return made is not None and isinstance(made.__cause__, KeyboardInterrupt)


def _tell(error: Exception) -> int:
    """Say on standard error what went wrong and whose fault it is; return the exit status."""
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        _say(f"netsim: cannot write: {error.strerror}")
        return 2
    code = error.exit_code if isinstance(error, NetsimError) else 3
    if isinstance(error, ConfigError):
        _say(str(error))
    elif isinstance(error, NetsimError):
        _say(f"netsim: {error}")
    else:
        _say(f"netsim: a bug in netsim: {type(error).__name__}: {error}")
    if code == 3:
        _say("netsim: please report it with the traceback that the same command prints with --debug")
    return code


def _say(text: str) -> None:
    with suppress(BrokenPipeError):  # nobody listens any more: the exit status tells
        print(text, file=sys.stderr)
