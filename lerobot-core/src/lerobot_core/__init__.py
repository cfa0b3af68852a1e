"""Roles, contracts, plugins, configuration, control loop and command line of the toolkit.

Nothing is imported here: `import lerobot_core` is free, each module is imported by its own name.
"""

__version__ = "0.1.0"
#: Version of the plugin interface; a plugin module may declare the range it was built for as `LR_CORE = ">=0.1,<0.2"`.
API_VERSION = "0.1"
