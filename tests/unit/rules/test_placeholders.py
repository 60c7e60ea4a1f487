from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from volery_rules.placeholders import Placeholder, filled, placeholders


def test_placeholders_are_found_in_order_however_they_are_spaced() -> None:
    found = list(placeholders("a {{.inputs.depth}} {{ .output_dir }}{{.outputs.model}} {{own}}"))
    assert found == [
        Placeholder("{{.inputs.depth}}", "inputs", "depth"),
        Placeholder("{{ .output_dir }}", "output_dir", ""),
        Placeholder("{{.outputs.model}}", "outputs", "model"),
    ]


def test_a_value_is_put_in_as_it_is_and_templates_of_the_programs_own_stay() -> None:
    values = {"inputs.x": "{{.inputs.y}} $(rm)", "inputs.y": "2", "input_dir": "/in"}
    text = "--x={{.inputs.x}} {{.input_dir}}/a {{ .Values.z }} {{.inputs.unknown}}"
    assert filled(text, values) == "--x={{.inputs.y}} $(rm) /in/a {{ .Values.z }} {{.inputs.unknown}}"


@given(st.text(alphabet="{}. inputsxy", max_size=60))
def test_what_was_found_is_what_is_filled(text: str) -> None:
    found = {each.text for each in placeholders(text)}
    rest = filled(text, {})
    assert rest == text
    for each in found:
        assert each in text
