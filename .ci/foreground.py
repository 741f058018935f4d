"""Runs a command as the terminal's foreground job, so that Ctrl-C reaches the command and nobody else.

``make`` cannot end well by itself: on Ctrl-C it gets the signal together with its recipe, waits for the
recipe and then kills itself with the same signal, whatever exit code the recipe gave. So, as a shell with job
control does, this puts the command into a process group of its own and hands it the terminal: the command stops
in its own way, and ``make`` sees its exit code. A signal sent to this process is passed on. Without a terminal,
or in the background, Ctrl-C cannot happen: the command simply takes this process over.

    python .ci/foreground.py COMMAND [ARGUMENT ...]
"""

import os
import signal
import sys

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def open_terminal() -> int | None:
    """The controlling terminal, if this process group has its foreground."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    if os.tcgetpgrp(terminal) == os.getpgrp():
        return terminal
    os.close(terminal)
    return None


def run_as_job(command: list[str], terminal: int) -> int:
    """The command's exit code, 128 + n if signal n killed it."""
    # Giving the terminal away, and taking it back from the background, must not stop this process.
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    # Ctrl-C may come before the command has the terminal: it waits until it can be passed on.
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    child = os.posix_spawnp(
        command[0], command, os.environ, setpgroup=0, setsigmask=[], setsigdef=[signal.SIGTTOU, *PASSED_ON]
    )
    for number in PASSED_ON:
        signal.signal(number, lambda received, _: os.kill(child, received))
    os.tcsetpgrp(terminal, child)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    _, status = os.waitpid(child, os.WUNTRACED)
    while os.WIFSTOPPED(status):
        _stop_with(child, terminal)
        _, status = os.waitpid(child, os.WUNTRACED)
    os.tcsetpgrp(terminal, os.getpgrp())
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _stop_with(child: int, terminal: int) -> None:
    """Ctrl-Z stopped the command: stop ``make`` and this process too, until the shell continues them."""
    os.tcsetpgrp(terminal, os.getpgrp())
    os.killpg(0, signal.SIGSTOP)
    if os.tcgetpgrp(terminal) == os.getpgrp():
        os.tcsetpgrp(terminal, child)
    os.killpg(child, signal.SIGCONT)


def main(command: list[str]) -> int:
    if not command:
        print("usage: foreground.py COMMAND [ARGUMENT ...]", file=sys.stderr)
        return 2
    terminal = open_terminal()
    if terminal is None:
        os.execvp(command[0], command)
    return run_as_job(command, terminal)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
