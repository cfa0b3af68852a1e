"""A process that has imported everything and answers each command line in a fork of itself: `lr` without its start-up.

A line of JSON in, `{"typed": […], "folder": …}`; a line of JSON out, `{"code": …, "seconds": …, "left": …}`. The fork
ends as `lr` does, with its exit handlers; what it wrote lies in `stdout` and `stderr` of the folder.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import json
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

from lerobot_core import cli, plugins
from lerobot_core.registry import ROLES, registry, resolve

LIMIT_S = 10.0


def import_all() -> None:
    """What any command may import; otherwise every fork would do so again."""
    for role in ROLES:
        for listed in registry(role).listed:
            resolve(listed.component.config)
            resolve(listed.component.build)
    for _, command in plugins.host().call("lr_commands"):
        resolve(command.target)


def enter(folder: Path) -> None:
    """Become a process as a shell in `folder/here` would start it, of a user without the rights of root."""
    os.setsid()
    os.environ.update(HOME=str(folder / "home"), HF_HOME=str(folder / "home/hf"), TMPDIR=str(folder / "tmp"))
    os.environ["HF_LEROBOT_HOME"] = str(folder / "home/hf/lerobot")
    os.chdir(folder / "here")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT), number)
    if sys.platform == "linux" and os.geteuid() == 0:  # root may read and write whatever it likes: give that up
        ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())


def ended(child: int) -> dict[str, object]:
    """Wait for the fork, and for what it started; kill what is left of them."""
    began, code = time.monotonic(), None
    while code is None and time.monotonic() - began < LIMIT_S:
        found, status = os.waitpid(child, os.WNOHANG)
        code = os.waitstatus_to_exitcode(status) if found else None
        time.sleep(0.002)
    seconds = time.monotonic() - began
    try:
        os.killpg(child, signal.SIGKILL)
        left = True
    except ProcessLookupError:
        left = False
    if code is None:
        os.waitpid(child, 0)
    return {"code": code, "seconds": round(seconds, 2), "left": left}


def answer(typed: list[str]) -> None:
    """Run `lr` and end as Python does, short of taking every module apart, which is 200 ms of work for nothing."""
    code = 1
    try:
        cli.main(typed)
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def serve() -> None:
    """Answer requests until there are no more."""
    gc.freeze()  # a fork that ends would visit, and so copy, every object there is
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if not child:
            enter(Path(request["folder"]))
            answer(request["typed"])
        print(json.dumps(ended(child)), flush=True)


if __name__ == "__main__":
    import_all()
    serve()
