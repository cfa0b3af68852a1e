"""Commands of `lr` that serve a policy and let one drive a robot."""
