"""Task processes: what runs a user's tasks, away from everything else.

Three programs, in the user's interpreter and with the standard library only. A *warden* is the parent
of all task processes of one kind and runs no user code, so nothing a task does can take it down. Its
*zygote* imports the user's modules once and is forked. A *task host* runs attempts, one at a time, as
the worker asks it to through a socket of its own.
"""
