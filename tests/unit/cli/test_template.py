"""``--format`` understands what people write for Docker."""

from __future__ import annotations

from typing import Any

import pytest

from rundlet.cli.format import render_rows
from rundlet.cli.template import Template, TemplateError

DOCUMENT: dict[str, Any] = {
    "Id": "sha256:abc",
    "State": {"Running": True, "Pid": 5, "Health": None, "Status": "running"},
    "Mounts": [{"Source": "/a"}, {"Source": "/b"}],
    "Config": {"Labels": {"x.y": "1"}, "Env": ["A=1", "B=2"], "Cmd": None, "Html": "<&>"},
    "NetworkSettings": {"Networks": {"b": {"IPAddress": "10.0.0.2"}, "a": {"IPAddress": "10.0.0.1"}}},
    "Size": 12345,
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain", "plain"),
        ("{{.Id}}", "sha256:abc"),
        ("{{.ID}}", "sha256:abc"),
        ("{{.State.Running}} {{ .State.Pid }}", "true 5"),
        ("{{json .Config.Env}}", '["A=1","B=2"]'),
        ("{{json .Config.Html}}", '"<&>"'),
        ("{{.Config.Env}} {{.Config.Labels}} {{.Config.Cmd}}", "[A=1 B=2] map[x.y:1] <no value>"),
        ('{{index .Config.Labels "x.y"}}|{{index .Config.Labels "none"}}', "1|"),
        ("{{(index .Mounts 1).Source}}", "/b"),
        ('{{join .Config.Env ";"}} {{split "a,b" ","}}', "A=1;B=2 [a b]"),
        ("{{range .Mounts}}{{.Source}},{{end}}", "/a,/b,"),
        ("{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}", "10.0.0.1 10.0.0.2 "),
        (
            "{{range $name, $net := .NetworkSettings.Networks}}{{$name}}={{$net.IPAddress}};{{end}}",
            "a=10.0.0.1;b=10.0.0.2;",
        ),
        ("{{range $i, $e := .Config.Env}}{{if $i}}, {{end}}{{$e}}{{end}}", "A=1, B=2"),
        ("{{range .State.Health}}x{{else}}none{{end}}", "none"),
        ("{{range .Mounts}}{{$.Id}} {{end}}", "sha256:abc sha256:abc "),
        ("{{with .State}}{{.Pid}}{{end}}", "5"),
        ("{{with .State.Health}}x{{else}}{{.Id}}{{end}}", "sha256:abc"),
        ("{{if eq .State.Pid 5}}five{{else if true}}other{{else}}none{{end}}", "five"),
        ("{{if .State.Health}}x{{else if .State.Running}}up{{end}}", "up"),
        ("{{if and .State.Running (not .State.Health)}}yes{{end}}", "yes"),
        ("{{if or .State.Health false}}yes{{else}}no{{end}}", "no"),
        ("{{$x := .Id}}{{$x | upper}}", "SHA256:ABC"),
        ('{{.Id | printf "%q %s" "a"}}', '"a" sha256:abc'),
        ('{{printf "%-6s|%05d|%.2f" "ab" 42 1.5}}', "ab    |00042|1.50"),
        ("{{len .Mounts}} {{slice .Id 0 6}} {{truncate .Id 3}}", "2 sha256 sha"),
        ('{{"a}}b"}} {{`raw`}}', "a}}b raw"),
        ("a {{- .Size -}}  b", "a12345b"),
        ("{{/* nothing */}}x", "x"),
        ("{{println .Size true}}", "12345 true\n"),
        ('{{lower "AB"}}{{title "ab"}}{{pad "x" 1 2}}', "abAb x  "),
        ("{{lt 1 2}} {{ge 1 2}} {{ne 1 2}}", "true false true"),
    ],
)
def test_a_template_gives_what_docker_gives(template: str, text: str) -> None:
    assert Template(template).render(DOCUMENT) == text


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{.Id", "unclosed action"),
        ("{{if .Id}}", "not closed"),
        ("{{range .Mounts}}{{else}}", "not closed"),
        ("{{end}}", "unexpected {{end}}"),
        ("{{nope .Id}}", 'function "nope" not defined'),
        ("{{.Id )}}", 'unexpected "\\)"'),
        ("{{(.Id}}", "unclosed left paren"),
        ("{{}}", "missing value"),
        ("{{.Id ~}}", "unexpected"),
        ("{{.State.Nope}}", 'no entry for key "Nope"'),
        ("{{.State.Health.Status}}", "nil pointer evaluating .Status"),
        ("{{.Id.Nope}}", "can't evaluate field Nope"),
        ("{{$nope}}", "undefined variable"),
        ("{{range .Id}}x{{end}}", "can't iterate"),
        ("{{index .Mounts 7}}", "out of range"),
        ("{{lower 5}}", "error calling lower"),
        ('{{join .Size ","}}', "expected slice"),
        ("{{.Id 5}}", "can't give argument to non-function"),
    ],
)
def test_what_cannot_be_rendered_is_said(template: str, words: str) -> None:
    with pytest.raises(TemplateError, match=words):
        Template(template).render(DOCUMENT)


@pytest.mark.parametrize("name", ["__class__", "items", "Id.__len__"])
def test_a_template_reaches_no_python_attribute(name: str) -> None:
    with pytest.raises(TemplateError):
        Template("{{." + name + "}}").render(DOCUMENT)


ROWS = [
    {"ID": "0123456789ab", "Names": "web", "Ports": "", "Label": lambda name: f"<{name}>"},
    {"ID": "ba9876543210", "Names": "a-long-name", "Ports": "80/tcp", "Label": lambda name: ""},
]
HEADINGS = {"ID": "CONTAINER ID", "Names": "NAMES", "Ports": "PORTS"}


def test_a_table_has_headings_and_dockers_columns() -> None:
    text = render_rows("table {{.ID}}\t{{.Ports}}\t{{.Names}}", ROWS, HEADINGS)

    assert text == (
        "CONTAINER ID   PORTS     NAMES\n"
        "0123456789ab             web\n"
        "ba9876543210   80/tcp    a-long-name\n"
    )  # fmt: skip


def test_an_empty_table_has_its_headings() -> None:
    assert render_rows("table {{.ID}}\\t{{.Names}}", [], HEADINGS) == "CONTAINER ID   NAMES\n"


def test_functions_leave_the_headings_alone() -> None:
    assert render_rows("table {{upper .Names}}", ROWS[:1], HEADINGS) == "NAMES\nWEB\n"


def test_a_template_is_rendered_once_a_row_without_headings() -> None:
    assert render_rows("{{.Names}}\\t{{.ID}}", ROWS, HEADINGS) == "web\t0123456789ab\na-long-name\tba9876543210\n"


def test_json_is_one_object_a_line_without_methods() -> None:
    assert render_rows("json", ROWS[:1], HEADINGS) == '{"ID":"0123456789ab","Names":"web","Ports":""}\n'


def test_a_label_is_asked_for_by_name() -> None:
    assert render_rows('{{.Label "k"}}', ROWS[:1], HEADINGS) == "<k>\n"
