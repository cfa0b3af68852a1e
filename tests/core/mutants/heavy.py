"""A command that imports a heavy library for its help."""

import pyarrow  # noqa: F401

from lerobot_core.testing.fakes.software import turns  # noqa: F401
