"""`python -m fairtrial`."""

from fairtrial.cli import main

main()
