"""Why a machine does not boot: rules over its events and the facts of its segment; pure, told the time."""

from app.netboot.diagnose.case import Case, Facts
from app.netboot.diagnose.rules import RULES, Verdict, diagnose

__all__ = ["RULES", "Case", "Facts", "Verdict", "diagnose"]
