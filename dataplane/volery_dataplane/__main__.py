"""`python -m volery_dataplane` is the command `volery-worker`."""

from volery_dataplane.main import main

main()
