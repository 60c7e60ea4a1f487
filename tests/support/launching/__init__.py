"""The conformance suite of the launcher port: cases that every launcher passes, and what they need of it.

A case (`cases`) is given a `Stage`: a launcher with everything that it says (`Harness`), tasks in a code
bundle (`tasks`), and gates where those wait until the case lets them through. `suite` plays all cases on one
launcher at once and keeps what came of each.
"""
