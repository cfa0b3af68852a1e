"""Sessions of the repository. `nox -s demo` runs the main job, `nox -s tests` passes every test; nothing else is needed.

All distributions are always installed in one command by path, so that none of them is looked up anywhere else.
"""

from __future__ import annotations

from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.sessions = ["tests"]
nox.options.reuse_existing_virtualenvs = True

CONSTRAINTS = ("-c", "constraints.txt")
# playwright drives the chromium that is on the PATH; where there is none, those tests are skipped
# the vendors' SDKs are the oracles of the packets; aiohttp is what reads datasets over HTTP
TEST_TOOLS = (
    "feetech-servo-sdk>=1.0",
    "dynamixel-sdk==4.1.0",
    "pytest>=8",
    "pytest-timeout",
    "hypothesis>=6.100",
    "draccus>=0.10",
    "playwright>=1.48",
    "aiohttp>=3.10",
)
AUTHOR_TOOLS = ("build", "hatchling", "mypy>=1.13", "ruff>=0.9")
MATRIX = "tests/template/matrix.py"
ALL = (
    "./lerobot-core[new,testing]",
    "./lerobot-motors[opencv,lekiwi,demo,sim]",
    "./lerobot-datasets[torch,robomimic]",
    "./lerobot-policies",
    "./lerobot-serve",
)
DISTRIBUTIONS = ("lerobot-core", "lerobot-motors", "lerobot-datasets", "lerobot-policies", "lerobot-serve")
PRODUCED = "outputs/interop"
ROBOT_SIDE = ("./lerobot-core", "./lerobot-motors", "./lerobot-datasets", "./lerobot-serve")


def install(session: nox.Session, *what: str) -> None:
    session.install(*CONSTRAINTS, *what)
    session.env["PYTHONDONTWRITEBYTECODE"] = ""  # start-up is byte-compiled once, not at every start


def with_torchcodec(session: nox.Session) -> None:
    """Let torchcodec find the FFmpeg that PyAV brings, so that both decoders are tested with pip alone."""
    found = session.run("python", "-m", "lerobot_datasets.video.links", silent=True)
    session.env["LD_LIBRARY_PATH"] = str(found).strip().splitlines()[-1]


@nox.session
def demo(session: nox.Session) -> None:
    """Record, train, serve, run and report on the emulated arm."""
    install(session, *ALL)
    session.run("lr", "demo", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Lint, types, every test, the robot side without torch, and a project of every role."""
    session.notify("lint")
    session.notify("types")
    session.notify("robot_side")
    session.notify("docs")
    install(session, *ALL, *TEST_TOOLS, *AUTHOR_TOOLS)
    with_torchcodec(session)
    session.run("python", "-m", "pytest", "--durations=15", *session.posargs)
    if not session.posargs:  # which ask for some of the tests
        session.run("python", MATRIX)


@nox.session
def nightly(session: nox.Session) -> None:
    """Tests that are too long for every day, with every mutant of the conformance kit."""
    install(session, *ALL, *TEST_TOOLS)
    with_torchcodec(session)
    session.run("python", "-m", "pytest", "-m", "nightly", *session.posargs)


@nox.session
def proof(session: nox.Session) -> None:
    """Three tables: broken parts and the check that notices each, hostile plugins, mistakes on the command line."""
    install(session, *ALL, *TEST_TOOLS)
    for report in ("core/mutants", "house/hostile", "house/mistakes"):
        session.run("python", f"tests/{report}/report.py")


@nox.session
def survival(session: nox.Session) -> None:
    """A table: every robot, teleoperator, bus and camera checked, teleoperated and struck by every kind of fault. Ten minutes."""
    install(session, *ALL, *TEST_TOOLS)
    session.run("python", "tests/motors/survival.py", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Formatting and lint of the whole tree."""
    install(session, "ruff>=0.9")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Strict typing of core's public surface."""
    install(session, "./lerobot-core", "mypy>=1.13", "types-PyYAML")
    session.run("mypy")


@nox.session
def robot_side(session: nox.Session) -> None:
    """core + motors + datasets + serve without extras and without torch, as on a small computer beside the arm."""
    install(session, *ROBOT_SIDE, *TEST_TOOLS)
    session.run("python", "-m", "pytest", "tests/robot_side", *session.posargs)


@nox.session
def template(session: nox.Session) -> None:
    """What `lr new` makes, for every role and for all in one, through its author's CI: lint, types, wheel, tests, check."""
    install(session, *ALL, *AUTHOR_TOOLS)
    session.run("python", MATRIX, *session.posargs)


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Every benchmark: a table and a line of JSON each, with ratios to a reference measured in the same run."""
    install(session, *ALL, *TEST_TOOLS)
    with_torchcodec(session)
    for script in ("startup", "guard", "loop", "emulator", "simulation", "datasets", "serving"):
        session.run("python", f"tests/benchmarks/{script}.py")


@nox.session(python="3.12")
def lerobot(session: nox.Session) -> None:
    """An environment with the published lerobot package, for `against`."""
    session.install("lerobot[dataset]==0.6.1")  # with its own torch, not ours


@nox.session(requires=["lerobot"])
def against(session: nox.Session) -> None:
    """Reading, streaming and recording against the published lerobot package and against decoding alone: a table and JSON."""
    install(session, *ALL)
    theirs = Path(session.virtualenv.location).parent / "lerobot" / "bin" / "python"
    session.run("python", "tests/benchmarks/against/run.py", "--lerobot", str(theirs), *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The site in outputs/site; a warning, a dead link or a dead anchor is an error."""
    install(session, *ALL, "mkdocs>=1.6,<2", "mkdocs-material>=9.6,<10")
    session.run("mkdocs", "build", "--strict", *session.posargs, env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def produce(session: nox.Session) -> None:
    """Checkpoints and a dataset of ours for the session `interop`."""
    install(session, *ALL, "./lerobot-core[hub]")
    session.run("python", "tests/interop/produce.py", PRODUCED)


@nox.session(python="3.12", requires=["produce"])
def interop(session: nox.Session) -> None:
    """Nightly: checkpoints and datasets of ours open in the published lerobot package and give the same numbers."""
    session.install(
        "lerobot[dataset,training]==0.6.1", "attrs", "pytest>=8", "pytest-timeout"
    )  # with its own torch, not ours
    ini = ("-c", "tests/interop/pytest.ini", "--confcutdir=tests/interop")
    session.run("python", "-m", "pytest", *ini, "tests/interop", env={"LR_PRODUCED": PRODUCED})


@nox.session(python="3.12")
def bridge(session: nox.Session) -> None:
    """Nightly: packages written for LeRobot are driven by `lr` through a bridge, with the published lerobot package."""
    parts = [f"./tests/bridge/{part}" for part in ("lr_bridge", "third_party/pendulum", "third_party/swing")]
    tools = ("pytest>=8", "pytest-timeout")
    session.install("lerobot==0.6.1", "./lerobot-core", "./lerobot-motors", *parts, *tools)  # no datasets: other PyAV
    ini = ("-c", "tests/interop/pytest.ini", "--confcutdir=tests/bridge")
    session.run("python", "-m", "pytest", *ini, "tests/bridge")


@nox.session
def release(session: nox.Session) -> None:
    """Build and check all sdists and wheels, installed together in a clean environment.

    `nox -s release -- lerobot-serve` (or `all`) also asks whether version, changelog and tag agree.
    """
    session.install("build", "packaging>=24.2")
    names = DISTRIBUTIONS if session.posargs == ["all"] else session.posargs
    if names:
        session.run("python", "tests/house/release.py", "ready", *names)
    folder = Path(session.create_tmp())
    for old in folder.glob("lerobot_*"):
        old.unlink()
    for name in DISTRIBUTIONS:
        session.run("python", "-m", "build", "--outdir", str(folder), name, silent=True)
    session.run("python", "tests/house/release.py", "built", str(folder))
    session.run("python", "-m", "venv", "--clear", str(folder / "clean"))
    clean = folder / "clean" / "bin"
    session.run(str(clean / "pip"), "install", "-q", *CONSTRAINTS, *map(str, folder.glob("*.whl")), external=True)
    strict = {"LR_STRICT_PLUGINS": "1", "PYTHONPATH": ""}
    session.run(str(clean / "lr"), "plugins", env=strict, external=True)
    session.run(str(clean / "lr"), "--help", env=strict, external=True)
