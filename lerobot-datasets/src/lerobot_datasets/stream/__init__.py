"""Datasets read while they are used: who gives which frames in which order, and the bytes from wherever they lie. No torch."""
