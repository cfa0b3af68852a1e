"""Plugins that do what a plugin must not, and what the host has to say about each."""
