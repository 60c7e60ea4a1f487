"""The cases, each a sentence that is true of every launcher."""
