"""The subcommands of `lr dataset`."""
