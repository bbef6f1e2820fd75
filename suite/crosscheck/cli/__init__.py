"""The command line, a file a command; whatever is heavy is imported inside a command."""
