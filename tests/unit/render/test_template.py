# SPDX-License-Identifier: LGPL-2.1-or-later
"""Both syntaxes: what they replace, what they refuse, and where they say the error is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_sys.render import limits
from atomic_sys.render.escape import Target
from atomic_sys.render.limits import TemplateError, UnreplacedValue
from atomic_sys.render.template import Syntax, Template, decode, substitute


def legacy(text: str) -> Template:
    return Template(
        name="config.json.template", text=text, syntax=Syntax.LEGACY, target=Target.JSON
    )


def jinja(text: str, target: Target = Target.JSON) -> Template:
    return Template(name="config.json.j2", text=text, syntax=Syntax.JINJA, target=target)


def run(text: str, target: Target = Target.JSON, **values: object) -> str:
    return jinja(text, target).render({}, values)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$A ${A}b $$A $$$A", "1 1b $A $1"),
        ("${LONG_NAME9}.etcd", "x.etcd"),
        ('[$A,{"type":"bind"}]', '[1,{"type":"bind"}]'),
        ("", ""),
    ],
)
def test_legacy_replaces(text: str, expected: str) -> None:
    assert substitute("F", text, {"A": "1", "LONG_NAME9": "x"}) == expected


def test_legacy_pastes_values_raw() -> None:
    spliced = ',{"type":"bind","source":"/a"}'
    text = legacy('"mounts": [{} $ADDTL_MOUNTS]').render({"ADDTL_MOUNTS": spliced}, {})
    assert text == f'"mounts": [{{}} {spliced}]'


def test_legacy_names_what_is_missing_in_the_words_of_the_predecessor() -> None:
    with pytest.raises(UnreplacedValue) as caught:
        legacy("$RECEIVER").render({}, {})
    assert str(caught.value) == (
        "The template file 'config.json.template' still contains an unreplaced value for: "
        "''RECEIVER''"
    )
    assert caught.value.hint == "give it a value: --set RECEIVER=VALUE"


@pytest.mark.parametrize(
    ("text", "where"),
    [("a\nbc $-\n", "line 2, col 4"), ("$", "line 1, col 1"), ("${A-B}", "line 1, col 1")],
)
def test_legacy_tells_where_a_placeholder_is_invalid(text: str, where: str) -> None:
    with pytest.raises(TemplateError, match=f"Invalid placeholder in string: {where}"):
        substitute("F", text, {"A": ""})


def test_legacy_does_not_grow_without_limit() -> None:
    with pytest.raises(TemplateError, match="larger than"):
        substitute("F", "$A" * 1000, {"A": "x" * limits.VALUE_LIMIT})


@given(st.text(alphabet="$AB{} \n", max_size=40))
def test_legacy_agrees_with_the_names_that_it_reports(text: str) -> None:
    template = legacy(text)
    values = dict.fromkeys(template.variables(), "v")
    try:
        template.render(values, {})
    except UnreplacedValue:
        pytest.fail("a name was not reported")
    except TemplateError:
        pass


@pytest.mark.parametrize(
    ("document", "problem"),
    [(b"\xff", "not UTF-8"), (b"a\0b", "NUL"), (b"x" * (limits.TEMPLATE_LIMIT + 1), "larger")],
)
def test_only_bounded_text_is_a_template(document: bytes, problem: str) -> None:
    with pytest.raises(TemplateError, match=problem):
        decode("service.template", document)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ NAME | tojson }}", '"etcd"'),
        ('"{{ NAME }}/x"', '"etcd/x"'),
        ("{{ PORT }} {{ ON }} {{ PORT | int + 1 }}", "80 true 81"),
        ("{{ (NAME ~ '.' ~ PORT) | tojson }}", '"etcd.80"'),
        ("{{ LIST | join('+') }}", "a+b"),
        ("{% for x in LIST %}{{ x }}{{ ',' if not loop.last }}{% endfor %}", "a,b"),
        ("{% if NOPE is defined %}a{% else %}b{% endif %}", "b"),
        ("{{ NOPE | default('d') }}", "d"),
        ("{% set n = NAME | upper %}{{ n }}", "ETCD"),
        ("{{ LIST | length }} {{ LIST[0] }} {{ LIST[1:] | tojson }}", '2 a ["b"]'),
        ("{{ NAME.startswith('et') }} {{ MAP.a }} {{ MAP.get('b', 'c') }}", "true 1 c"),
        ("{{ [NAME, 'x'] | tojson }}", '["etcd", "x"]'),
        ("{% for i in range(3) %}{{ i }}{% endfor %}", "012"),
    ],
)
def test_jinja_replaces(text: str, expected: str) -> None:
    values: dict[str, object] = {
        "NAME": "etcd",
        "PORT": 80,
        "ON": True,
        "LIST": ["a", "b"],
        "MAP": {"a": 1},
    }
    assert jinja(text).render({}, values) == expected


def test_jinja_reports_the_names_it_uses() -> None:
    text = "{% set a = B %}{% for c in D %}{{ a }}{{ c }}{{ loop.index }}{% endfor %}{{ range(E) }}"
    assert jinja(text).variables() == {"B", "D", "E"}


def test_jinja_names_what_is_missing_like_the_legacy_syntax() -> None:
    with pytest.raises(UnreplacedValue) as caught:
        run("{{ RECEIVER }}")
    assert caught.value.variable == "RECEIVER"


@pytest.mark.parametrize("text", ["\n\n{{ M.missing }}", "\n\n{{ 1 // 0 }}", "\n\n{{ M }}"])
def test_jinja_tells_file_and_line(text: str) -> None:
    with pytest.raises(TemplateError, match=r"^config\.json\.j2:3: "):
        run(text, M={})


def test_jinja_tells_the_line_of_a_syntax_error() -> None:
    with pytest.raises(TemplateError, match=r"^config\.json\.j2:2: "):
        run("\n{{ x")


INJECTION = 'x", "args": ["/bin/sh"], "y": "\\\n'


@given(st.text(st.characters(codec="utf-8")))
def test_a_value_stays_one_string_in_json(value: str) -> None:
    text = run('{"a": {{ V | tojson }}, "b": "/{{ V }}/"}', V=value)
    assert json.loads(text) == {"a": value, "b": f"/{value}/"}


@pytest.mark.parametrize("expression", ["V", "V ~ ''", "V | string", "V + ''", "[V] | join"])
def test_a_value_cannot_leave_its_string(expression: str) -> None:
    text = run('{"a": "{{ ' + expression + ' }}"}', V=INJECTION)
    assert json.loads(text) == {"a": INJECTION}


def test_a_concatenation_with_json_is_a_plain_string_again() -> None:
    text = run('{"a": "{{ (V | tojson) ~ W }}"}', V="v", W='", "b": "')
    assert json.loads(text) == {"a": '"v"", "b": "'}


def test_a_value_is_no_specifier_and_no_second_setting_of_a_unit() -> None:
    assert run("A={{ V }}", Target.UNIT, V="50%H $x") == "A=50%%H $x"
    assert run("A={{ V | unit }}", Target.UNIT, V="50%") == "A=50%%"
    assert run("A={{ V | word }}", Target.UNIT, V='a b$"%') == 'A="a b$$\\"%%"'
    with pytest.raises(TemplateError, match="control character"):
        run("A={{ V }}", Target.UNIT, V="x\nExecStartPre=/bin/evil")


def test_each_target_has_its_own_filters() -> None:
    with pytest.raises(TemplateError):
        run("{{ V | word }}", Target.JSON, V="x")
    with pytest.raises(TemplateError):
        run("{{ V | tojson }}", Target.UNIT, V="x")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{{ L }}", "use the filter tojson"),
        ("{{ L ~ '' }}", "use the filter tojson"),
        ("{{ 'a' + 1 }}", r"operator \+ is not available for str and int"),
        ("{{ L | tojson }}", "too large"),
        ("{{ N | tojson }}", "cannot be written as JSON"),
        ("{{ ('nan' | float) | tojson }}", "NameError"),
    ],
)
def test_what_cannot_be_printed(text: str, problem: str) -> None:
    with pytest.raises(TemplateError, match=problem):
        run(text, L=["x" * 1000] * 2000, N=float("nan"))


@pytest.mark.parametrize("text", ["{{ NOPE + 1 }}", "{{ 1 * NOPE }}", "{{ NOPE ~ 'x' }}"])
def test_an_operand_that_is_missing_is_named(text: str) -> None:
    with pytest.raises(UnreplacedValue) as caught:
        run(text, OTHER="x")
    assert caught.value.variable == "NOPE"


def test_one_missing_name_among_others() -> None:
    with pytest.raises(UnreplacedValue, match="B"):
        run("{% if A is defined %}{% endif %}{{ B }}{% if C is defined %}{% endif %}")


def test_a_word_is_a_scalar() -> None:
    assert run("{{ 7 | word }} {{ '' | word }}", Target.UNIT) == '7 ""'
    with pytest.raises(TemplateError, match="is not text"):
        run("{{ [1] | word }}", Target.UNIT)
