"""The data plane: walks executions and runs their tasks."""
