"""One module per command of `petfolio`, each with `run(arguments) -> exit code`."""
