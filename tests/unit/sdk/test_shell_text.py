from __future__ import annotations

import shlex
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from volery._shell_text import find, referring, variable


@pytest.mark.parametrize(
    ("script", "quoting"),
    [
        ("echo {inputs.x}", "free"),
        ('echo "{inputs.x}"', "double"),
        ("echo '{inputs.x}'", "single"),
        ('echo "$(cat {inputs.x})"', "free"),
        ('echo "$(cat "{inputs.x}")"', "double"),
        ('echo "it\'s {inputs.x}"', "double"),
        ("echo \\' {inputs.x}", "free"),
        ('echo \\"{inputs.x}', "free"),
        ("echo it # isn't\necho {inputs.x}", "free"),
        ("echo a#'b' {inputs.x}", "free"),
        ("cat <<END\na 'b' {inputs.x}\nEND\n", "double"),
        ("cat <<'END'\n{inputs.x}\nEND\n", "single"),
        ("cat <<-END\n\t'\n\tEND\necho {inputs.x}", "free"),
        ("cat <<END | sort\n'\nEND\necho {inputs.x}", "free"),
        ("cat <<<{inputs.x}", "free"),
        ("(cd a; echo {inputs.x})", "free"),
    ],
)
def test_the_place_of_a_placeholder_is_read_as_the_shell_reads_it(script: str, quoting: str) -> None:
    [found] = find(script)
    assert (found.kind, found.name, found.quoting) == ("inputs", "x", quoting)


def test_what_is_no_placeholder_stays() -> None:
    script = "awk '{print $1}' | tee ${HOME}/x; { echo a; } ; echo {a,b} {input.x}"
    assert referring(script) == script
    assert not list(find("echo $(( 1 << 2 ))"))


@settings(max_examples=60, deadline=None)
@given(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
    st.sampled_from(
        [
            "printf %s {inputs.x}",
            'printf %s "{inputs.x}"',
            'printf %s "$(printf %s.  {inputs.x})" | sed "s/\\.$//"',
            'x={inputs.x}; printf %s "$x"',
        ]
    ),
)
def test_any_value_arrives_as_it_is_wherever_it_stands(value: str, script: str) -> None:
    if "sed" in script:
        value = value.replace("\n", "") or "v"
    whole = f"{variable('inputs', 'x')}={shlex.quote(value)}\n{referring(script)}"
    ran = subprocess.run(["bash", "-c", whole], capture_output=True, check=True)
    assert ran.stdout.decode(errors="surrogateescape").removesuffix("\n" if "sed" in script else "") == value
