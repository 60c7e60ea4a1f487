from __future__ import annotations

from pathlib import Path
from types import ModuleType

from volery._engine import running_server
from volery.testing import embedded_engine


def test_a_users_test_runs_its_workflow_on_the_real_thing(flow: ModuleType) -> None:
    with embedded_engine(slots=1, environment={"BIRD": "tern"}) as remote:
        state = Path(remote.config.server.removeprefix("unix://")).parent
        remote.register(flow.search)
        assert remote.run(flow.search, {"name": "terns", "depths": [2]}).outputs == flow.Model(2, 2.5)
        assert running_server(state) == remote.config.server
    assert not state.exists()
