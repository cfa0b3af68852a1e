"""Kinds of random changes of pictures; each module imports torch."""
