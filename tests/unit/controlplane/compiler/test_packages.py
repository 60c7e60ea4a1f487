from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from support import compile_vectors
from volery_controlplane.domain.compiler.package import CompiledPackage, Limits, compile_package
from volery_controlplane.domain.compiler.report import Code
from volery_controlplane.domain.errors import CompilationFailed

VECTORS = Path(__file__).parents[3] / "vectors" / "compile"
GOOD = yaml.safe_load((VECTORS / "good.yaml").read_text())
BAD = [
    case
    for path in sorted(VECTORS.glob("*.yaml"))
    if path.name != "good.yaml"
    for case in yaml.safe_load(path.read_text())
]


def compiled(case: dict[str, Any]) -> CompiledPackage:
    limits = Limits(**case["limits"]) if "limits" in case else None
    return compile_package(
        compile_vectors.package(case["package"]), compile_vectors.registered(case.get("registered")), limits
    )


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case["what"])
def test_a_good_package_compiles(case: dict[str, Any]) -> None:
    found = compiled(case)
    edges, casts = dict[str, Any](), dict[str, Any]()
    for made in found.workflows:
        [own] = [w for w in made.closure.workflows if w.template.id == made.closure.primary]
        assert own.template == made.template
        name = made.template.id.name
        edges[name] = {c.node_id: list(c.upstream_node_ids) for c in own.connections}
        casts[name] = {c.node_id: list(c.cast_inputs) for c in own.connections if c.cast_inputs}
        ordered = [node.id for node in own.template.nodes]
        assert [c.node_id for c in own.connections][: len(ordered)] == ordered
    wanted_edges, wanted_casts = case["edges"], case.get("casts", {})
    assert {name: edges[name] for name in wanted_edges} == wanted_edges
    assert {name: casts[name] for name in wanted_casts} == wanted_casts
    for name, wanted in case.get("closures", {}).items():
        [closure] = [made.closure for made in found.workflows if made.template.id.name == name]
        assert [w.template.id.name for w in closure.workflows] == wanted["workflows"]
        assert [task.id.name for task in closure.tasks] == wanted["tasks"]
        assert [plan.id.name for plan in closure.launch_plans] == wanted.get("launch_plans", [])
    defaults = [plan.template.id.name for plan in found.default_launch_plans]
    assert defaults == case.get("default_plans", [made.template.id.name for made in found.workflows])


@pytest.mark.parametrize("case", BAD, ids=lambda case: case["what"])
def test_a_bad_package_is_refused_with_every_complaint(case: dict[str, Any]) -> None:
    with pytest.raises(CompilationFailed) as refusal:
        compiled(case)
    found = [(str(v.code), v.node, v.field) for v in refusal.value.violations]
    wanted = [(c["code"], str(c.get("node", "")), c["field"]) for c in case["complaints"]]
    assert sorted(found) == sorted(wanted)
    for complaint in case["complaints"]:
        assert any(
            violation.code == complaint["code"]
            and violation.field == complaint["field"]
            and complaint.get("message", "") in violation.message
            and complaint.get("hint", "") in violation.hint
            for violation in refusal.value.violations
        ), [v for v in refusal.value.violations if v.field == complaint["field"]]
    assert refusal.value.violations[0].message in refusal.value.message
    assert refusal.value.metadata["violations"] == str(len(found))


def test_every_code_has_a_vector() -> None:
    seen = {complaint["code"] for case in BAD for complaint in case["complaints"]}
    assert seen == {str(code) for code in Code}
