"""Which templates only print what differs between machines, and what is made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.netboot.printed import mark, only_prints, printed

BOOTENVS = Path(__file__).parents[2] / "bootenvs"


@pytest.mark.parametrize(
    "source",
    [
        "#!ipxe\n{{ mac }} {{ address }} {{ machine.name }} {{ machine.id }} {{ script_path }} {{ arguments }}\n",
        "{{ token() }} {{ answer_url('preseed.cfg') }} {{ report_url('started') }}",
        "{% if machine.registered %}{{ mac }}{% elif machine.firmware == 'uefi' %}u{% else %}{{ reason }}{% endif %}",
        "{% for arch, files in env.architectures.items() %}{{ files.kernel | upper }}{{ mac }}{% endfor %}",
        "{% set mirror = param('debian-mirror') %}{{ mirror.split('://')[0] }}",
        (BOOTENVS / "discovery/boot.ipxe.j2").read_text(),
        (BOOTENVS / "common/linux.ipxe.j2").read_text(),
        (BOOTENVS / "local/boot.ipxe.j2").read_text(),
    ],
)
def test_what_only_prints(source: str) -> None:
    assert only_prints(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ mac | upper }}",
        "{{ mac ~ address }}",
        "{{ mac[0] }}",
        "{{ machine.macs }}",
        "{{ machine.description }}",
        "{{ machine['name'] }}",
        "{{ machine }}",
        "{{ machine.name.split('-') }}",
        "{{ grub(machine.name) }}",
        "{{ answer_url(mac) }}",
        "{{ token() or 'none' }}",
        "{% if mac == '52:54:00:00:00:07' %}a{% endif %}",
        "{% if token() %}a{% endif %}",
        "{% for letter in machine.name %}{{ letter }}{% endfor %}",
        "{% set name = machine.name %}{{ name }}",
        "{% set text %}{{ mac }}{% endset %}{{ text | upper }}",
        "{% set mac = 'a' %}{{ mac }}",
        "{% for mac in ('a', 'b') %}{{ mac }}{% endfor %}",
        "{% filter upper %}{{ mac }}{% endfilter %}",
        "{% macro shout() %}{{ mac }}{% endmacro %}{{ shout() | upper }}",
        "{% include 'other' %}",
        "{% with name = mac %}{{ name }}{% endwith %}",
        "{{ mac if machine.registered }}",
        "{% broken",
        "{{ something_new }}",
        "{% if something_new %}a{% endif %}",
        "{% set env = mac %}{{ env }}",
        "{% for loop in (1, 2) %}{{ loop }}{% endfor %}",
        "\x01mac\x01",
    ],
)
def test_what_does_more(source: str) -> None:
    assert not only_prints(source)


def test_gaps_are_filled() -> None:
    found = printed(f"a {mark('mac')}{mark('name')} b {mark('mac')}")
    assert found.names == ("mac", "name", "mac")
    assert found.filled({"mac": "M", "name": "N"}) == "a MN b M"
    assert printed("nothing").filled({}) == "nothing"
    with pytest.raises(KeyError):
        found.filled({"mac": "M"})
