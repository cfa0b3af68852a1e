"""A plugin of lerobot-core. Importing this package loads nothing: `plugin.py` says what it offers."""
