"""One module for each theme of commands; `dozen.cli.main` says which command is where."""
