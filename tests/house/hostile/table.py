"""The table: what a hostile plugin does, the call that meets it, and what must be said about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

HEAD = "from lerobot_core.components import Command, Component, hookimpl\n"

#: a call that builds the robot `hostile_arm`
BUILD = ("calibrate", "--robot.type=hostile_arm")
SHOW = ("plugins", "show", "hostile_arm")
INFO = ("info",)


class Case(NamedTuple):
    """One hostile plugin.

    Attributes:
        name: what it does.
        text: of its module `hostile_plugin`.
        says: what stderr, or its row in `lr plugins --json`, says.
        run: a further call that meets it; stdout or stderr of that call says `says`, not the row.
        code: exit status of that call.
        metadata: other contents of METADATA or entry_points.
        parts: text of its module `hostile_parts`.
    """

    name: str
    text: str | bytes
    says: str
    run: tuple[str, ...] = ()
    code: int = 1
    metadata: Mapping[str, str | bytes] = {}
    parts: str = ""


def robots(body: str) -> str:
    """A plugin module whose hook `lr_robots` has this body."""
    return f"{HEAD}@hookimpl\ndef lr_robots():\n    {body}\n"


def component(*fields: str, more: str = "") -> str:
    """A plugin module that offers one component, good but for the fields given as name=expression."""
    good = {"name": "'hostile_arm'", "config": "'hostile_parts:Config'", "build": "'hostile_parts:Robot'"}
    good |= {"summary": "'A hostile arm'"} | dict(field.split("=", 1) for field in fields)
    return robots(f"return [Component({', '.join(f'{name}={text}' for name, text in good.items())})]") + more


def command(name: str, target: str = "hostile_parts:work") -> str:
    return f"{HEAD}@hookimpl\ndef lr_commands():\n    return [Command({name!r}, {target!r}, 'Work.')]\n"


def probe(body: str) -> tuple[str, str]:
    """(plugin module, its parts) with a probe of this body."""
    return f"{HEAD}@hookimpl\ndef lr_info():\n    return ['hostile_parts:find']\n", f"def find():\n    {body}\n"


PARTS = """
import attrs
@attrs.frozen(kw_only=True)
class Config:
    '''Options.'''
class Robot:
    def __init__(self, config):
        self.name, self.observation_features, self.action_features = "hostile", {}, {}
"""
UNTIL = "it took longer than it may"

RAISES = [
    Case("raises ImportError", "raise ImportError('no luck')", "ImportError: no luck"),
    Case("needs a library that is missing", "import no_such_library", "No module named 'no_such_library'"),
    Case("exits", "raise SystemExit(7)", "SystemExit: 7"),
    Case("exits with success", "import sys; sys.exit(0)", "SystemExit: 0"),
    Case("raises a BaseException", "class Odd(BaseException): ...\nraise Odd('odd')", "Odd: odd"),
    Case("raises GeneratorExit", "raise GeneratorExit", "GeneratorExit"),
    Case("is cancelled", "import asyncio; raise asyncio.CancelledError('stop')", "CancelledError: stop"),
    Case("recurses for ever", "def f(): f()\nf()", "RecursionError"),
    Case("takes all memory", "x = bytearray(1 << 60)", "MemoryError"),
    Case("raises what has no text", "class E(Exception):\n    def __str__(self): 1 / 0\nraise E", "cannot be shown"),
    Case("raises a very long text", "raise ValueError('x' * 1_000_000)", "ValueError: xxx"),
    Case("raises escape sequences", "raise ValueError('\\x1b[2J\\x1b[31m red')", "ValueError: ?[2J?[31m red"),
    Case("raises a group", "raise ExceptionGroup('many', [ValueError('a'), TypeError('b')])", "ExceptionGroup: many"),
    Case("raises a group of exits", "raise BaseExceptionGroup('many', [SystemExit(1)])", "BaseExceptionGroup: many"),
    Case("is no Python", "def broken(:", "SyntaxError"),
    Case("is in another encoding", "x = 'é'".encode("latin-1"), "SyntaxError"),
    Case("holds a zero byte", b"x = 1\0", "null bytes"),
    Case(
        "imports torch that is missing",
        "import sys; sys.modules['torch'] = None; import torch",
        "import of torch halted",
    ),
]
METADATA = [
    Case("names no module", "", "names no module", metadata={"entry_points": "[lerobot]\nhostile =\n"}),
    Case("has a line that is no entry", "", "names no module", metadata={"entry_points": "[lerobot]\nhostile\n"}),
    Case(
        "leaves its section open", "1 / 0", "ZeroDiv", metadata={"entry_points": "[lerobot\nhostile=hostile_plugin\n"}
    ),
    Case(
        "names a missing module", "", "No module named", metadata={"entry_points": "[lerobot]\nhostile = no_such_one\n"}
    ),
    Case(
        "names a missing attribute",
        "",
        "has no attribute 'gone'",
        metadata={"entry_points": "[lerobot]\nhostile = hostile_plugin:gone\n"},
    ),
    Case(
        "names nothing as its plugin",
        "nothing = None",
        "TypeError",
        metadata={"entry_points": "[lerobot]\nhostile = hostile_plugin:nothing\n"},
    ),
    Case(
        "has metadata that is no text",
        "1 / 0",
        "ZeroDivisionError",
        metadata={"entry_points": b"[lerobot]\nhostile = hostile_plugin\n\xff\xfe\0\x81 = \xff\n"},
    ),
    Case("has no name in its metadata", "1 / 0", "ZeroDivisionError", metadata={"METADATA": b"\xff\0\xfe"}),
    Case(
        "declares itself twice",
        component(),
        "already registered",
        metadata={"entry_points": "[lerobot]\nhostile = hostile_plugin\nhostile2 = hostile_plugin\n"},
    ),
    Case(
        "takes another plugin's name",
        component(),
        "has a plugin of this name too",
        metadata={"entry_points": "[lerobot]\ngood = hostile_plugin\n"},
    ),
]
PROCESS = [
    Case("prints", "print('{\"hello\": 1}')", 'printed \'{"hello": 1}'),
    Case("prints natively", "import os; os.write(1, b'native')", "printed 'native"),
    Case("prints from a child", "import os; os.system('echo child')", "printed 'child"),
    Case("changes the folder", "import os; os.chdir('/')", "changed the working folder"),
    Case(
        "stands in a folder that it deletes",
        "import os, tempfile\nf = tempfile.mkdtemp(); os.chdir(f); os.rmdir(f)",
        "changed the working folder",
    ),
    Case("closes stdout", "import sys; sys.stdout.close()", "closed or replaced sys.stdout"),
    Case("closes both descriptors", "import os; os.close(1); os.close(2); 1 / 0", "ZeroDivisionError"),
    Case("closes stderr", "import sys; sys.stderr.close(); 1 / 0", "ZeroDivisionError"),
    Case("replaces stdout", "import io, sys; sys.stdout = io.StringIO()", "closed or replaced sys.stdout"),
    Case("replaces stderr", "import io, sys; sys.stderr = io.StringIO()", "changed sys.stderr"),
    Case("replaces the exception hook", "import sys; sys.excepthook = lambda *a: None", "changed sys.excepthook"),
    Case(
        "ignores signals",
        "import signal\nfor s in (signal.SIGINT, signal.SIGTERM): signal.signal(s, signal.SIG_IGN)",
        "changed signal handlers",
    ),
    Case("empties the environment", "import os; os.environ.clear()", "changed os.environ"),
    Case("empties sys.path", "import sys; sys.path.clear()", "changed sys.path"),
    Case("makes warnings errors", "import warnings; warnings.simplefilter('error')", "changed the warnings filters"),
    Case("lowers the recursion limit", "import sys; sys.setrecursionlimit(60)", "changed the recursion limit"),
    Case(
        "starts a thread that never ends",
        "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,), name='endless').start()",
        "started the thread 'endless'",
    ),
    Case("imports numpy to be listed", "import numpy\n" + component(), "imports numpy"),
    Case(
        "imports a slow library",
        "import hostile_parts\n",
        "imports hostile_parts",
        parts="import time; time.sleep(0.1)",
    ),
]
HANGS = [
    Case("sleeps", "import time; time.sleep(1000)", UNTIL),
    Case("is busy", "while True: pass", UNTIL),
    Case("waits for a lock", "import threading\nlock = threading.Lock(); lock.acquire(); lock.acquire()", UNTIL),
    Case("waits for a connection", "import socket\ns = socket.create_server(('127.0.0.1', 0)); s.accept()", UNTIL),
    Case("waits for a child", "import subprocess; subprocess.run(['sleep', '1000'])", UNTIL),
    Case(
        "waits for a thread",
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).run()",
        UNTIL,
    ),
    Case("is stuck in a pattern", "import re; re.match(r'(a+)+$', 'a' * 60 + 'b')", UNTIL),
    Case("retries for ever", "import time\nwhile True:\n    try: time.sleep(9)\n    except Exception: pass", UNTIL),
    Case(
        "catches everything for ever",
        "import time\ndef wait():\n    time.sleep(9)\nwhile True:\n    try:\n        wait()\n    except BaseException:\n        pass",
        UNTIL,
    ),
    Case("catches the interruption", "import time\ntry: time.sleep(9)\nexcept BaseException: pass", UNTIL),
    Case("hangs in a hook", robots("import time; time.sleep(1000)"), f"lr_robots failed: {UNTIL}"),
    Case(
        "hangs in its list",
        robots("import time; yield from iter(lambda: time.sleep(9), 1)"),
        f"lr_robots failed: {UNTIL}",
    ),
]
HOOKS = [
    Case("is for a later core", "LR_CORE = '>=9.1'", "built for lerobot-core >=9.1, this is 0.1"),
    Case("is for an earlier core", "LR_CORE = '<0.1'", "built for lerobot-core <0.1, this is 0.1"),
    Case("has a range that is none", "LR_CORE = 'newest'", "'newest' is not a range"),
    Case("has a range that is no text", "LR_CORE = 5", "AttributeError"),
    Case("misspells a hook", robots("return []").replace("lr_robots", "lr_robotz"), "did you mean 'lr_robots'?"),
    Case("marks no hook", robots("return []").replace("@hookimpl\n", ""), "'lr_robots' is not marked with @hookimpl"),
    Case("has a hook with an argument", robots("return []").replace("()", "(speed)", 1), "speed"),
    Case("has a hook that is no function", HEAD + "lr_robots = 3\n", "'lr_robots' is not marked"),
    Case("raises in a hook", robots("1 / 0"), "lr_robots failed: ZeroDivisionError"),
    Case("exits in a hook", robots("raise SystemExit"), "lr_robots failed: SystemExit"),
    Case("raises a BaseException in a hook", robots("raise GeneratorExit"), "lr_robots failed: GeneratorExit"),
    Case(
        "changes the folder in a hook",
        robots("import os; os.chdir('/'); return []"),
        "lr_robots changed the working folder",
    ),
    Case("prints in a hook", robots("print('[]'); return []"), "lr_robots printed '[]"),
    Case("returns nothing", robots("pass"), "it returned None"),
    Case("returns a number", robots("return 3"), "it returned 3"),
    Case("returns a text", robots("return 'hostile_arm'"), "it returned 'hostile_arm'"),
    Case("returns a table", robots("return {'hostile_arm': 'x:y'}"), "it returned {"),
    Case("has an async hook", robots("return []").replace("def", "async def"), "is async"),
    Case(
        "returns what cannot be shown",
        robots("return type('X', (), {'__repr__': lambda self: 1 / 0})()"),
        "ZeroDivision",
    ),
    Case("returns without end", robots("while True: yield Component('a', 'a:a', 'a:a', 'a')"), "more than 1000 items"),
    Case("raises half way", robots("yield Component('a', 'a:a', 'a:a', 'a'); 1 / 0"), "ZeroDivisionError"),
    Case("returns too few fields", robots("return [('hostile_arm', 'x:y')]"), "TypeError"),
    Case("returns too many fields", robots("return [tuple('abcdefghijk')]"), "TypeError"),
    Case(
        "returns commands as robots", robots("return [Command('a', 'b:c', 'd')]"), "expected a Component, got Command("
    ),
    Case("targets no module", component("build='not a target'"), "not written as 'module:attribute'"),
    Case("targets a class", component("config=dict"), "not written as 'module:attribute'"),
    Case("has a name that is no text", component("name=7"), "7 is no name"),
    Case("has an empty name", component("name=''"), "'' is no name"),
    Case("has a name with spaces", component("name='my arm'"), "'my arm' is no name"),
    Case("has a summary without end", component("summary='x' * 100_000"), "the summary of 'hostile_arm'"),
    Case("has a summary that clears the screen", component("summary='\\x1b[2J'"), "the summary of 'hostile_arm'"),
    Case("has needs that are a text", component("needs='cv2'"), "needs of 'hostile_arm'"),
    Case("has an example that is a list", component("example=[]"), "example of 'hostile_arm'"),
    Case("has a probe that is no text", f"{HEAD}@hookimpl\ndef lr_info(): return [len]\n", "expected a str"),
    Case("takes a command of lr", command("plugins"), "command 'plugins' is lerobot-core's own"),
    Case("takes a group of lr", command("config"), "command 'config' is lerobot-core's own"),
    Case("has a command without a name", command(""), "'' is no name"),
]
CHOSEN = [
    Case(
        "offers a component of another",
        component("name='good_arm'"),
        "robot 'good_arm' is offered by 'good-dist' and 'hostile-dist'",
        ("calibrate", "--robot.type=good_arm"),
        2,
    ),
    Case(
        "offers a command of another", command("good-too"), "offered by 'good-dist' and 'hostile-dist'", ("good-too",)
    ),
    Case(
        "hides a group of another", command("dataset"), "offered by 'hostile-dist' and 'lerobot-datasets'", ("dataset",)
    ),
    Case(
        "has a command that is not there", command("hostile"), "'hostile_parts:work' cannot be imported", ("hostile",)
    ),
    Case("has a command that is none", command("hostile"), "no click command", ("hostile",), parts="work = 3"),
    Case("has no config", component(), "'hostile_parts:Config' cannot be imported", BUILD, 2, parts="x = 1"),
    Case("has a config that is no class", component(), "no attrs class", BUILD, 2, parts="Config = 3"),
    Case("has a config of another kind", component(), "no attrs class", BUILD, 2, parts="class Config: ..."),
    Case("has a config that raises", component(), "ZeroDivisionError", BUILD, 2, parts="1 / 0"),
    Case("has a config that exits", component(), "SystemExit", BUILD, 2, parts="raise SystemExit"),
    Case(
        "has no implementation", component("build='gone:Robot'"), "'gone:Robot' cannot be imported", BUILD, parts=PARTS
    ),
    Case("is not callable", component(), "cannot be called", BUILD, parts=PARTS + "Robot = 3"),
    Case(
        "lacks a library",
        component("needs=('no.such=hostile[usb]',)"),
        'pip install "hostile[usb]"',
        BUILD,
        parts=PARTS,
    ),
    Case(
        "raises when built",
        component(),
        "plugin 'hostile' of hostile-dist",
        BUILD,
        parts=PARTS + "Robot = lambda c: 1 / 0",
    ),
    Case("cannot be built to be shown", component(), "ZeroDivision", SHOW, 0, parts=PARTS + "Robot = lambda c: 1 / 0"),
]
PROBES = [
    Case(f"probe {what}", text, says, INFO, 0, parts=parts)
    for what, says, (text, parts) in (
        ("aborts", "signal 6", probe("import os; os.abort()")),
        ("crashes", "signal 11", probe("import ctypes; ctypes.string_at(0)")),
        ("hangs", "no answer within", probe("import time; time.sleep(1000)")),
        ("raises", "ZeroDivisionError", probe("1 / 0")),
        ("exits", "no JSON object", probe("raise SystemExit(0)")),
        ("prints garbage", "no JSON object", probe("import os, sys; os.write(1, b'\\xff\\0{'); os._exit(0)")),
        ("returns no data", "not JSON serializable", probe("return object()")),
        ("returns a list", "no JSON object", probe("return [1]")),
        ("is not there", "has no attribute", (probe("")[0], "x = 1")),
    )
]
CASES = [*RAISES, *METADATA, *PROCESS, *HANGS, *HOOKS, *CHOSEN, *PROBES]

#: code that ends the interpreter while its plugin is imported; nothing in this process can prevent that, only name its file
DEADLY = [
    Case("aborts", "import os; os.abort()", "Aborted"),
    Case("crashes", "import ctypes; ctypes.string_at(0)", "Segmentation fault"),
]
