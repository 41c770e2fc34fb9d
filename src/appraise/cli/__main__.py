"""`python -m appraise.cli`."""

from appraise.cli.main import main

main()
