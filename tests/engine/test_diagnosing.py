"""What the rules are told of this host."""

from __future__ import annotations

from pathlib import Path

from app.engine.diagnosing import firewall_of


def test_a_firewall_is_known_by_what_anybody_may_read(tmp_path: Path) -> None:
    assert firewall_of(tmp_path) == ""

    (tmp_path / "etc/ufw").mkdir(parents=True)
    (tmp_path / "etc/ufw/ufw.conf").write_text("ENABLED=no\nLOGLEVEL=low\n")
    assert firewall_of(tmp_path) == ""
    (tmp_path / "etc/ufw/ufw.conf").write_text("ENABLED=yes\nLOGLEVEL=low\n")
    assert firewall_of(tmp_path) == "ufw"

    (tmp_path / "run").mkdir()
    (tmp_path / "run/firewalld.pid").write_text("7")
    assert firewall_of(tmp_path) == "firewalld"
