"""New datasets out of old ones: `plan` says what goes where, `execute` writes it beside the sources."""
