"""`lr new`: the project of a plugin, from the template beside this package. Its hook removes the files of other roles."""

from __future__ import annotations

import importlib.util
import keyword
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from lerobot_core import plugins
from lerobot_core.errors import ConfigError, PluginError, did_you_mean

#: a cookiecutter; in the repository it is the folder `plugins-template`
TEMPLATE = Path(__file__).parents[1] / "template"

#: role as users type it → (hook that lists its parts, what it is)
ROLES = {
    "robot": ("lr_robots", "A body: gives observations, takes actions."),
    "teleoperator": ("lr_teleoperators", "What a person holds to show a robot what to do."),
    "camera": ("lr_cameras", "Pictures with the time they were taken."),
    "motor-bus": ("lr_motor_buses", "Servos on a wire, registers by name."),
    "policy": ("lr_policies", "A model with its training loss: chunks of actions for observations."),
    "processor-step": ("lr_processor_steps", "One change of observations or actions in the control loop."),
    "dataset-backend": ("lr_dataset_backends", "A format that datasets are stored in."),
    "aggregator": ("lr_aggregators", "How two chunks that speak of the same steps become one."),
    "env": ("lr_envs", "A simulated task."),
    "tracker": ("lr_trackers", "Where the numbers of a training run go."),
    "command": ("lr_commands", "A subcommand of lr."),
}

_USAGE = "roles first, the name last: lr new robot my_arm; `lr new --help` explains the roles"


class _New(click.Command):
    """Lists the roles in its help."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Roles"):
            formatter.write_dl([(role, sentence) for role, (_, sentence) in ROLES.items()])
        super().format_options(ctx, formatter)


@click.command(cls=_New)
@click.argument("words", nargs=-1, metavar="ROLE... NAME")
@click.option(
    "--output_dir", type=click.Path(path_type=Path), default=".", help="Folder to put it into.", show_default=True
)
@click.option("--description", help="What it is, in a few words.")
@click.option("--author", help="Who wrote it; by default what `git config user.name` says.")
def new(words: Sequence[str], output_dir: Path, description: str | None, author: str | None) -> None:
    """Make the project of a plugin that works from the start: `lr new robot my_arm`.

    Roles come first, the name last; several roles share one package: `lr new robot teleoperator my_arm`.
    """
    roles, name = _roles_and_name(words)
    _check_name(roles, name)
    folder = output_dir / name.replace("_", "-")
    if folder.exists():
        raise ConfigError(
            f"'{folder}' exists already",
            hint="take another name or --output_dir; to add a role, copy its files from a project made there",
        )
    texts = {"description": description, "author": author or _git_name()}
    given = {key: _literal(text) for key, text in texts.items() if text}
    _render(output_dir, {"roles": " ".join(roles), "name": name, **given})
    click.echo(f"made '{folder}':")
    for role in roles:
        click.echo(f"    {role:15}  src/{name}/{role.replace('-', '_')}.py")
    click.echo(f'next:\n    cd {folder} && pip install -e ".[test]"\n    pytest\n    lr plugins --check {name}')


def _roles_and_name(words: Sequence[str]) -> tuple[list[str], str]:
    """The roles without repetitions, and the name.

    Raises:
        ConfigError: there is no role, no name, or a role that does not exist.
    """
    words = [word.replace("_", "-") if word.replace("_", "-") in ROLES else word for word in words]
    if len(words) < 2 or words[-1] in ROLES:
        said, has_role = " ".join(words), bool(set(words) & set(ROLES))
        problem = f"'{said}' does not end in a name" if has_role else f"no role stands before '{said}'"
        raise ConfigError(problem, hint=_USAGE)
    *roles, name = words
    for role in roles:
        if role not in ROLES:
            raise ConfigError(
                f"unknown role '{role}'{did_you_mean(role, ROLES)} (known: {', '.join(ROLES)})", hint=_USAGE
            )
    return list(dict.fromkeys(roles)), name


def _check_name(roles: Sequence[str], name: str) -> None:
    """Refuse what cannot be the name of a package, or is taken.

    Raises:
        ConfigError: says what to type instead.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
        raise ConfigError(
            f"'{name}' cannot name a Python package", hint=f"small letters, digits and _, as '{_better(name)}'"
        )
    if name in sys.stdlib_module_names:
        raise ConfigError(f"'{name}' is a module of Python itself", hint=f"take another name, as 'my_{name}'")
    if (found := importlib.util.find_spec(name)) is not None:
        where = found.origin or next(iter(found.submodule_search_locations or ["?"]))
        raise ConfigError(
            f"a module '{name}' is installed already: {where}",
            hint=f"take another name, as 'my_{name}', or uninstall it",
        )
    for role in roles:
        for status, item in plugins.host().call(ROLES[role][0]):
            if item.name in (name, name.replace("_", "-")):
                raise ConfigError(
                    f"{role} '{item.name}' is offered by '{status.distribution}'",
                    hint=f"take another name, as 'my_{name}'",
                )


def _better(name: str) -> str:
    """The package name most like what was asked."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    better = re.sub(r"[^a-z0-9]+", "_", apart).strip("_").lstrip("_0123456789")
    return "my_arm" if not better or keyword.iskeyword(better) else better


def _git_name() -> str:
    """What git writes into commits; empty where it does not know."""
    if shutil.which("git") is None:
        return ""
    asked = ["git", "config", "user.name"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


def _literal(text: str) -> str:
    """One line of text that the template engine leaves alone."""
    return "{% raw %}" + " ".join(text.split()) + "{% endraw %}"


def _render(output_dir: Path, answers: dict[str, str]) -> None:
    """Write the project.

    Raises:
        PluginError: cookiecutter is not installed.
        ConfigError: the folder cannot be written to.
    """
    if importlib.util.find_spec("cookiecutter") is None:
        raise PluginError("`lr new` needs cookiecutter, which is not installed", hint='pip install "lerobot-core[new]"')
    from cookiecutter.main import cookiecutter  # optional library, imported on use

    try:
        cookiecutter(
            str(TEMPLATE), no_input=True, extra_context=answers, output_dir=str(output_dir), default_config=True
        )
    except OSError as failure:
        raise ConfigError(
            f"nothing can be written to '{output_dir}': {failure}", hint="give another --output_dir"
        ) from failure
