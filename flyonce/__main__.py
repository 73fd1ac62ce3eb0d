"""`python -m flyonce`."""

from flyonce.cli import main

main()
