"""Preferences: the appliance's own settings, with what each means."""

from __future__ import annotations

from collections.abc import Sequence

from app.model.engine import Preference
from app.screens.areas.area import ListArea, bindings
from app.screens.dialogs.form import Field, Form, Values
from app.screens.registry import Action
from app.screens.widgets.lines import Span
from app.screens.widgets.table import Column, Table


class PrefsArea(ListArea):
    """The list; Enter or `e` changes one."""

    area = "prefs"
    nouns = frozenset({"prefs", "commands"})
    BINDINGS = bindings("prefs")

    def __init__(self) -> None:
        columns: Sequence[Column[Preference]] = (
            Column("NAME", lambda one: one.name, least=12, most=26),
            Column("VALUE", lambda one: (one.value, "" if one.value == one.default else "key"), least=8, most=34),
            Column("DEFAULT", self._default, least=8, most=34),
            Column("WHAT IT IS", lambda one: one.description, least=20, most=90, rank=1, grow=True),
        )
        super().__init__(Table(columns, key=lambda one: one.name, empty="no preference", id="prefs"))

    def _default(self, one: Preference) -> Span:
        return one.default, "dim" if one.value == one.default else "warn"

    def about(self, item: Preference) -> str:
        return item.description

    def valid(self, action: Action) -> bool:
        if action.id == "reset_pref":
            pref: Preference | None = self.table.current
            return pref is not None and pref.value != pref.default
        return True

    async def fetch(self) -> Sequence[Preference]:
        return (await self.app.session.client.prefs.list()).items

    async def on_table_chosen(self, event: Table.Chosen) -> None:
        """Enter changes it."""
        await self.app.action_do("edit_pref")

    async def do_edit_pref(self) -> None:
        """`e`."""
        pref = self.table.current
        if pref is None:
            return
        choices: tuple[str, ...] = pref.choices
        if pref.name.endswith("-bootenv"):
            choices = tuple(
                env.name
                for env in self.app.session.bootenvs
                if env.harmless and not (env.unknown_only and pref.name == "default-bootenv")
            )

        async def save(values: Values) -> Preference:
            if values["value"] == pref.value:
                return pref
            return await self.app.session.client.prefs.set(pref.name, values["value"])

        options = pref.name == "dhcp-options"
        field = Field("value", "Value", f"default: {pref.default}", pref.value, choices, options=options)
        saved = await self.app.push_screen_wait(
            Form(f"Preference {pref.name}", (field,), save, lines=[pref.description])
        )
        if saved is not None:
            self.app.say(f"{saved.name} is {saved.value}  (z undoes it)")
            await self.reload()

    async def do_reset_pref(self) -> None:
        """`r`."""
        pref = self.table.current
        if pref is None or pref.value == pref.default:
            self.app.say("this is the default already")
            return
        saved = await self.app.session.client.prefs.set(pref.name, pref.default)
        self.app.say(f"{saved.name} is {saved.value} again  (z undoes it)")
        await self.reload()
