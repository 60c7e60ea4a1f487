"""The manifest of an attempt's pod: made from its task, templates and settings, without asking anybody.

`moulds` holds what the pods of one task have in common: `templates` laid over each other by `merging`, what
runs in them (`functions`, or `programs` with their `arguments`), `amounts` of resources, `placing`, `secrets`
and `security`. `pods` makes a pod of that for one attempt, with its `metadata` and the variables of the
`contract`.
"""
