"""Commands of `lr` that move hardware: each is core's one loop with another source and other sinks."""
