"""The command line of Volery."""
