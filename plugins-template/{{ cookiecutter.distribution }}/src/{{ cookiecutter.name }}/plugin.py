"""What this package offers, by import string: listing it imports neither the robot nor the library of its vendor."""

from __future__ import annotations

from lerobot_core.components import Component, hookimpl

LR_CORE = ">=0.1,<0.2"


@hookimpl
def lr_robots() -> list[Component]:
    return [
        Component(
            "{{ cookiecutter.name }}",
            "{{ cookiecutter.name }}.config:{{ cookiecutter.class_name }}Config",
            "{{ cookiecutter.name }}.robot:{{ cookiecutter.class_name }}",
            {{ cookiecutter.description | jsonify }},
        ),
    ]
