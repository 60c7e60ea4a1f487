"""Schema migrations of the control plane's database.

They import nothing of the control plane: `env.py` takes the connection and the tables' metadata from its
caller. A revision named `…_pre_…` may run while the previous release still serves; one named `…_post_…`
only after every control plane runs the new release.
"""

from typing import Final

HEAD: Final = "0005"
"""The newest revision; known without reading the scripts."""
