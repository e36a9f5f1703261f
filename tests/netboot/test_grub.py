"""GRUB's configuration: the names it is asked for by, and words that stay words."""

from __future__ import annotations

import pytest

from app.netboot.grub import config_of, failure_config, quoted


@pytest.mark.parametrize(
    ("path", "mac"),
    [
        ("grub/grub.cfg", ""),
        ("grub.cfg", ""),
        ("EFI/debian/grub.cfg", ""),
        ("grub/grub.cfg-01-52-54-00-00-00-0A", "52:54:00:00:00:0a"),
        ("grub/grub.cfg-0A070064", None),
        ("grub/grub.cfg-01-00-00-00-00-00-00", None),
        ("grub/grub.cfg-01-ff-ff-ff-ff-ff-ff", None),
        ("grub/grub.cfg.bak", None),
        ("grub/xgrub.cfg", None),
        ("grub/x86_64-efi/command.lst", None),
    ],
)
def test_names_of_its_configuration(path: str, mac: str | None) -> None:
    assert config_of(path) == mac


def test_nothing_in_quoted_words_is_a_command_or_a_variable() -> None:
    assert quoted("a=1  b;reboot\n$root it's") == r"'a=1' 'b;reboot' '$root' 'it'\''s'"


def test_a_failure_is_told_and_the_machine_starts_over() -> None:
    text = failure_config("web1 cannot boot rescue now", ("", "line 1: x; halt"))
    assert text.splitlines()[1:3] == [
        "echo 'Bootcart:' 'web1' 'cannot' 'boot' 'rescue' 'now'",
        "echo 'line' '1:' 'x;' 'halt'",
    ]
    assert text.endswith("\nreboot\n")
