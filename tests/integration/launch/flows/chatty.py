"""A module that prints when it is imported, and sets a variable."""

import os

print("imported")
os.environ["SET_BY_IMPORT"] = "kept"


def say(word: str) -> str:
    print(word)
    return os.environ.get("SET_BY_IMPORT", "")
