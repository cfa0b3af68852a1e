{%- set roles = cookiecutter.roles.split() -%}
"""What this package offers, by import string: listing it imports none of it."""

from __future__ import annotations

from lerobot_core.components import {% if 'command' in roles %}Command, {% endif %}{% if roles != ['command'] %}Component, {% endif %}hookimpl

LR_CORE = ">=0.1,<0.2"
{%- if 'robot' in roles %}


@hookimpl
def lr_robots() -> list[Component]:
    return [
        Component(
            "{{ cookiecutter.name }}",
            "{{ cookiecutter.name }}.robot_config:{{ cookiecutter.class_name }}RobotConfig",
            "{{ cookiecutter.name }}.robot:{{ cookiecutter.class_name }}Robot",
            "Three joints in memory",
            suite="{{ cookiecutter.name }}.robot_conformance:{{ cookiecutter.class_name }}RobotSuite",
        ),
    ]
{%- endif %}
{%- if 'teleoperator' in roles %}


@hookimpl
def lr_teleoperators() -> list[Component]:
    return [
        Component(
            "{{ cookiecutter.name }}",
            "{{ cookiecutter.name }}.teleoperator_config:{{ cookiecutter.class_name }}TeleoperatorConfig",
            "{{ cookiecutter.name }}.teleoperator:{{ cookiecutter.class_name }}Teleoperator",
            "Swings three joints by itself",
        ),
    ]
{%- endif %}
{%- if 'camera' in roles %}


@hookimpl
def lr_cameras() -> list[Component]:
    return [
        Component(
            "{{ cookiecutter.name }}",
            "{{ cookiecutter.name }}.camera_config:{{ cookiecutter.class_name }}CameraConfig",
            "{{ cookiecutter.name }}.camera:{{ cookiecutter.class_name }}Camera",
            "Pictures from memory, each a little lighter than the last",
            example={"fps": 60.0, "width": 64, "height": 48},
        ),
    ]
{%- endif %}
{%- if 'motor-bus' in roles %}


@hookimpl
def lr_motor_buses() -> list[Component]:
    return [
        Component(
            "{{ cookiecutter.name }}",
            "{{ cookiecutter.name }}.motor_bus_config:{{ cookiecutter.class_name }}MotorBusConfig",
            "{{ cookiecutter.name }}.motor_bus:{{ cookiecutter.class_name }}MotorBus",
            "Three servos in memory",
            suite="{{ cookiecutter.name }}.motor_bus_conformance:{{ cookiecutter.class_name }}MotorBusSuite",
        ),
    ]
{%- endif %}
{%- if 'policy' in roles %}


@hookimpl
def lr_policies() -> list[Component]:
    return [
        Component(
            "{{ cookiecutter.name }}",
            "{{ cookiecutter.name }}.policy_config:{{ cookiecutter.class_name }}PolicyConfig",
            "{{ cookiecutter.name }}.policy:{{ cookiecutter.class_name }}Policy",
            "A small network from the state to a chunk of actions",
            example={"chunk_size": 8, "hidden_size": 32},
            suite="{{ cookiecutter.name }}.policy_conformance:{{ cookiecutter.class_name }}PolicySuite",
        ),
    ]
{%- endif %}
{%- if 'processor-step' in roles %}


@hookimpl
def lr_processor_steps() -> list[Component]:
    return [
        Component(
            "{{ cookiecutter.name }}",
            "{{ cookiecutter.name }}.processor_step_config:{{ cookiecutter.class_name }}ProcessorStepConfig",
            "{{ cookiecutter.name }}.processor_step:{{ cookiecutter.class_name }}ProcessorStep",
            "Smooths every number",
        ),
    ]
{%- endif %}
{%- if 'dataset-backend' in roles %}


@hookimpl
def lr_dataset_backends() -> list[Component]:
    return [
        Component(
            "{{ cookiecutter.name }}",
            "{{ cookiecutter.name }}.dataset_backend_config:{{ cookiecutter.class_name }}DatasetBackendConfig",
            "{{ cookiecutter.name }}.dataset_backend:{{ cookiecutter.class_name }}DatasetBackend",
            "One .npz file per episode",
            suite="{{ cookiecutter.name }}.dataset_backend_conformance:{{ cookiecutter.class_name }}DatasetBackendSuite",
        ),
    ]
{%- endif %}
{%- if 'aggregator' in roles %}


@hookimpl
def lr_aggregators() -> list[Component]:
    return [
        Component(
            "{{ cookiecutter.name }}",
            "{{ cookiecutter.name }}.aggregator_config:{{ cookiecutter.class_name }}AggregatorConfig",
            "{{ cookiecutter.name }}.aggregator:{{ cookiecutter.class_name }}Aggregator",
            "Goes over from the older chunk to the newer one",
        ),
    ]
{%- endif %}
{%- if 'env' in roles %}


@hookimpl
def lr_envs() -> list[Component]:
    return [
        Component(
            "{{ cookiecutter.name }}",
            "{{ cookiecutter.name }}.env_config:{{ cookiecutter.class_name }}EnvConfig",
            "{{ cookiecutter.name }}.env:{{ cookiecutter.class_name }}Env",
            "An arm in memory that is to reach a goal",
            example={"max_steps": 20},
            suite="{{ cookiecutter.name }}.env_conformance:{{ cookiecutter.class_name }}EnvSuite",
        ),
    ]
{%- endif %}
{%- if 'tracker' in roles %}


@hookimpl
def lr_trackers() -> list[Component]:
    return [
        Component(
            "{{ cookiecutter.name }}",
            "{{ cookiecutter.name }}.tracker_config:{{ cookiecutter.class_name }}TrackerConfig",
            "{{ cookiecutter.name }}.tracker:{{ cookiecutter.class_name }}Tracker",
            "A line of JSON for each time that numbers are logged",
            suite="{{ cookiecutter.name }}.tracker_conformance:{{ cookiecutter.class_name }}TrackerSuite",
        ),
    ]
{%- endif %}
{%- if 'command' in roles %}


@hookimpl
def lr_commands() -> list[Command]:
    return [
        Command(
            "{{ cookiecutter.distribution }}",
            "{{ cookiecutter.name }}.command:command",
            "Show how far each number of a robot's observation wanders.",
        ),
    ]
{%- endif %}
