"""Hook of the site's build: writes the pages of commands and components from what `lr` itself says.

They are generated and not committed: `--help` also depends on the plugins and on click's version, so that a copy in the
repository would only be one more thing to keep equal. Also refuses pages that load anything from elsewhere.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

from lerobot_core import plugins
from lerobot_core.cli.commands import rows
from lerobot_core.registry import ROLES, registry, resolve

LOADED = re.compile(r"<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)=\"?(?:https?:)?//[^\s>]+")


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages."""
    for name, lines in (("commands", commands()), ("components", components())):
        files.append(File.generated(config, f"reference/{name}.md", content="\n".join(lines) + "\n"))
    return files


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Refuse a page that loads a script, a picture or a style from another host."""
    if found := LOADED.search(output):
        raise PluginError(f"{page.file.src_uri} loads {found.group(0)}")
    return output


def commands() -> Iterator[str]:
    """A page with the help of every command."""
    yield "# Commands\n\nWhat `lr COMMAND --help` says, from the commands themselves. With `--robot.type=…` and the like,"
    yield "`--help` also lists the options of that type; they are on the page of [components](components.md).\n"
    yield f"```text\n{_help()}\n```\n"
    for name in sorted(command.name for _, command in plugins.host().call("lr_commands")):
        yield f"## lr {name}\n\n```text\n{_help(*name.split(' '))}\n```\n"


def _help(*words: str) -> str:
    start = "from lerobot_core.cli import main; main()"
    environment = {**os.environ, "COLUMNS": "92", "LR_STRICT_PLUGINS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", start, *words, "--help"], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise PluginError(f"lr {' '.join(words)} --help: {done.stderr}")
    return done.stdout.rstrip()


def components() -> Iterator[str]:
    """A page with every component of every role and its options."""
    yield "# Components\n\nEverything the five distributions offer, by role. The name is what you give as `type`.\n"
    for role, (_, noun) in ROLES.items():
        listed = sorted(registry(role).listed)
        if listed:
            yield f"## {noun.capitalize()}\n"
        for component, _, distribution in listed:
            yield f"### {component.name} {{#{noun.replace(' ', '-')}-{component.name}}}\n"
            yield f"{component.summary}. From {distribution}.\n"
            options = list(rows(resolve(component.config), {}, ""))
            if options:
                yield "| option | meaning |\n|---|---|"
                for option, sentence in options:
                    words = sentence.replace("|", "\\|").replace("<", "&lt;")
                    yield f"| `{option.removeprefix('--')}` | {words} |"
                yield ""
