"""Everything that is offered, as a JSON report; run as a script in a process of its own, so that imports can be watched.

`python offers.py configs` imports config classes and command targets and reports what else that imported;
`python offers.py builds` imports every implementation and reports what cannot be imported.
"""

from __future__ import annotations

import json
import sys

HEAVY = ("torch", "cv2", "pyarrow", "av", "transformers", "matplotlib")


def configs() -> dict[str, list[str]]:
    from lerobot_core import plugins
    from lerobot_core.registry import ROLES, registry, resolve

    problems = []
    for role, (_, noun) in ROLES.items():
        for listed in registry(role).listed:
            component = listed.component
            home, build = component.config.partition(":")[0], component.build.partition(":")[0]
            before = set(sys.modules)
            resolve(component.config)
            new = set(sys.modules) - before
            problems += [f"{noun} '{component.name}': its config imports {name}" for name in HEAVY if name in new]
            if build != home and build in new:
                problems.append(f"{noun} '{component.name}': its config imports its implementation {build}")
    for _, command in plugins.host().call("lr_commands"):
        before = set(sys.modules)
        resolve(command.target)
        new = set(sys.modules) - before
        own = ("pyarrow", "av") if command.name.startswith("dataset ") else ()  # what such a command works on itself
        heavy = [name for name in HEAVY if name in new and name not in own]
        problems += [f"command '{command.name}' imports {name} to show its help" for name in heavy]
    return {"problems": problems}


def builds() -> dict[str, list[str]]:
    from importlib.util import find_spec

    from lerobot_core.errors import PluginError
    from lerobot_core.registry import ROLES, registry, resolve

    problems = []
    for role, (_, noun) in ROLES.items():
        for listed in registry(role).listed:
            component = listed.component
            if any(find_spec(need.partition("=")[0]) is None for need in component.needs):
                continue
            try:
                target = resolve(component.build)
            except PluginError as failure:
                problems.append(f"{noun} '{component.name}': {failure}")
                continue
            if not callable(target):
                problems.append(f"{noun} '{component.name}': {component.build} is not callable")
    return {"problems": problems}


if __name__ == "__main__":
    json.dump({"configs": configs, "builds": builds}[sys.argv[1]](), sys.stdout)
