"""Commands of `lr` that train and evaluate policies."""
