"""`python -m suite` is `crosscheck`."""

from suite.cli import main

main()
