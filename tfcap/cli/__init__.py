"""The `tfcap` command: one module a subcommand, imported only when called."""
