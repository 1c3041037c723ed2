# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hostile templates: no way out, and no way to take the machine's time or memory."""

import pytest

from atomic_sys.render import limits
from atomic_sys.render.escape import Target
from atomic_sys.render.limits import TemplateError
from atomic_sys.render.template import Syntax, Template

VALUES: dict[str, object] = {"S": "x" * 1000, "L": ["a"] * 1000, "M": {"k": "v"}, "N": 7}


def run(text: str) -> str:
    template = Template(name="evil.j2", text=text, syntax=Syntax.JINJA, target=Target.JSON)
    return template.render({}, VALUES)


ESCAPES = [
    "{{ ''.__class__ }}",
    "{{ S.__class__.__mro__ }}",
    "{{ S['__class__'] }}",
    "{{ S['__cla' ~ 'ss__'] | tojson }}",
    "{{ S | attr('__class__') }}",
    "{{ L | map(attribute='__class__') | list }}",
    "{{ S.format }}",
    "{{ '{0.__class__}'.format(S) }}",
    "{{ '{0.__class__}'.format_map(M) }}",
    "{{ S['format'](1) }}",
    "{% set f = S.format %}{{ f(1) }}",
    "{{ range.__globals__ }}",
    "{{ self }}",
    "{{ self._TemplateReference__context }}",
    "{{ lipsum.__globals__ }}",
    "{{ cycler.__init__.__globals__.os }}",
    "{{ namespace(a=1) }}",
    "{{ loop }}",
    "{% for x in L %}{{ loop.__init__ }}{% endfor %}",
    "{% for x in L %}{{ loop(L) }}{% endfor %}",
    "{{ M.update(a=1) }}",
    "{{ M.pop('k') }}",
    "{{ L.append(1) }}",
    "{{ dict(a=1) }}",
    "{{ budgeted }}",
    "{{ L | budgeted }}",
    "{{ L | concatenated }}",
    "{{ S.encode('utf-16') }}",
    "{{ ''.join(L) }}",
    "{{ caller() }}",
    "{{ S.split(*L) }}",
    "{% include '/etc/passwd' %}",
    "{% import '/etc/passwd' as p %}",
    "{% from '/etc/passwd' import p %}",
    "{% extends '/etc/passwd' %}",
    "{% block a %}{% endblock %}",
    "{% macro a() %}{% endmacro %}",
    "{% call a() %}{% endcall %}",
    "{% filter upper %}a{% endfilter %}",
    "{% set a %}text{% endset %}",
    "{% for x in L recursive %}{% endfor %}",
    "{% autoescape true %}{% endautoescape %}",
    "{% do L.append(1) %}",
    "{% set range = S %}{{ range(3) }}",
    "{% set _x = 1 %}",
    "{{ S is callable }}",
    "{{ S is sameas S }}",
]
RUNAWAYS = [
    "{{ 9 ** 9 ** 9 }}",
    "{{ 'a' * 999999999 }}",
    "{{ 999999999 * L }}",
    "{{ '%999999999d' % 1 }}",
    "{{ (1).__mul__(2) }}",
    "{{ S.center(999999999) }}",
    "{{ S.ljust(999999999) }}",
    "{{ S.zfill(999999999) }}",
    "{{ S.replace('x', S) }}",
    "{{ S | center(999999999) }}",
    "{{ S | indent(999999999) }}",
    "{{ '%999999999d' | format(1) }}",
    "{{ L | batch(999999999, 'x') | list }}",
    "{{ L | slice(999999999) | list }}",
    "{{ S | replace('x', S) | replace('x', S) }}",
    "{{ range(999999999) | list }}",
    "{{ L | join(S) ~ (L | join(S)) }}",
    "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
    "{% for a in L %}{% for b in L %}{% for c in L %}{% endfor %}{% endfor %}{% endfor %}",
    "{% for a in range(9999) %}{{ S }}{{ S }}{% endfor %}",
    "{% set a = S %}" + "{% set a = a ~ a %}" * 40,
    "{% set a = S %}" + "{% set a = a + a %}" * 40,
    "{% set a = L %}" + "{% set a = a + a %}" * 40,
    "{% set a = [1] %}" + "{% set a = [a, a] %}" * 40 + "{{ a | tojson }}",
    "{% set a = {'k': 1} %}" + "{% set a = {'k': a, 'l': a} %}" * 40,
    "{% set a = (1, 2) %}" + "{% set a = (a, a) %}" * 40,
    "{% with a = [1] %}{% with b = [a, a] %}{{ b }}{% endwith %}{% endwith %}",
    "{% for a in [[1]] %}{% for b in [[a, a]] %}{{ b | tojson }}{% endfor %}{% endfor %}",
    "{% set a = 9 %}" + "{% set a = a * a %}" * 40,
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "{{ " + "-" * 5000 + "1 }}",
    "{{ " + "not " * 5000 + "1 }}",
    "{{ " + "+".join(["1"] * 5000) + " }}",
    "{% if 1 %}" * 200 + "{% endif %}" * 200,
    "{% for x in L %}" * 30 + "{% endfor %}" * 30,
    "{{ " + "9" * 5000 + " }}",
]


@pytest.mark.parametrize("text", ESCAPES)
def test_there_is_no_way_out(text: str) -> None:
    with pytest.raises(TemplateError):
        run(text)


@pytest.mark.parametrize("text", RUNAWAYS, ids=lambda text: text[:60])
def test_nothing_runs_away(text: str) -> None:
    with pytest.raises(TemplateError):
        run(text)


def test_the_budget_of_loops_is_that_of_one_rendering() -> None:
    text = "{% for a in range(9000) %}{% endfor %}" * 11
    template = Template(name="loops.j2", text=text, syntax=Syntax.JINJA, target=Target.JSON)
    assert limits.ITERATIONS >= 11 * 9000
    for _ in range(2):
        assert template.render({}, {}) == ""


def test_values_are_not_changed() -> None:
    with pytest.raises(TemplateError):
        run("{{ M.clear() }}")
    assert VALUES["M"] == {"k": "v"}
