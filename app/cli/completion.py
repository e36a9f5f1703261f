"""Shell completion: three small scripts that ask this program for the words, so that they never go stale."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from itertools import pairwise

from app.cli.forms import COMMON, Argument, Option, Verb, leading
from app.cli.nouns import COMPLETION, ENGINE_VERBS, NOUNS, find, options_of
from app.errors import BootcartError

OTHERS = ("serve", "attach", "lab", "fetch")
KEYS_SECONDS = 2.0

_SCRIPTS = {
    "bash": """\
_bootcart() {
    local IFS=$'\\n'
    # A colon is part of a key, not the end of a word.
    local line=("${COMP_WORDS[@]:1:COMP_CWORD}") current="${COMP_WORDS[COMP_CWORD]}"
    COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" completion words "${line[@]}" 2>/dev/null)" -- "$current"))
}
complete -o default -F _bootcart bootcart
""",
    "zsh": """\
#compdef bootcart
_bootcart() {
    local -a found
    found=("${(@f)$("${words[1]}" completion words "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if (( ${#found[1]} )); then compadd -- "${found[@]}"; else _files; fi
}
if [ "$funcstack[1]" = "_bootcart" ]; then _bootcart "$@"; else compdef _bootcart bootcart; fi
""",
    "fish": """\
function __bootcart_words
    set -l line (commandline -opc)
    $line[1] completion words $line[2..-1] (commandline -ct) 2>/dev/null
end
complete -c bootcart -f -a '(__bootcart_words)'
complete -c bootcart -n '__fish_seen_subcommand_from create update' -F
""",
}


def script(shell: str) -> str:
    """The completion script of a shell."""
    return _SCRIPTS[shell]


def candidates(words: Sequence[str]) -> list[str]:
    """What may stand in place of the last of the words after `bootcart`."""
    *before, current = words or [""]
    return sorted(word for word in _possible(before, current) if word.startswith(current))


def _possible(before: list[str], current: str) -> Sequence[str]:
    # With a word to come: where an option takes it, none is left.
    options, words = leading([*before, ""])
    more, others = leading(words[1:])
    if not words or (len(words) > 1 and not others):
        return ()
    *first, _ = [*words[:1], *others]
    if len(first) < 2 and current.startswith("-"):
        return [option.flag for option in COMMON]
    if not first:
        return [*(noun.name for noun in NOUNS), *(verb.name for verb in (*ENGINE_VERBS, COMPLETION)), *OTHERS]
    verb, rest = _verb(first, [*options, *more])
    if verb is None:
        noun = find(first[0]) if len(first) == 1 else None
        return [each.name for each in noun.verbs] if noun else []
    flags = {option.flag: option for option in options_of(verb)}
    last = flags.get(rest[-1]) if rest else None
    if last is not None and last.kind != "switch":
        return _values(last, before)
    if current.startswith("-"):
        return [*flags, "--help"]
    place = _place(rest, flags)
    arguments = verb.arguments
    if place < len(arguments):
        return _values(arguments[place], before)
    return _values(arguments[-1], before) if arguments and arguments[-1].many else []


def _verb(words: list[str], options: list[str]) -> tuple[Verb | None, list[str]]:
    """The verb of the words, and what follows it, the options that stood before it first."""
    for verb in (*ENGINE_VERBS, COMPLETION):
        if verb.name == words[0]:
            return verb, [*options, *words[1:]]
    noun = find(words[0])
    if noun is None or len(words) < 2:
        return None, []
    return noun.verb(words[1]), [*options, *words[2:]]


def _place(rest: list[str], flags: dict[str, Option]) -> int:
    """How many arguments have been given: words that are neither flags nor the values of flags."""
    count, valued = 0, False
    for word in rest:
        if valued:
            valued = False
        elif word.startswith("-") and word != "-":
            option = flags.get(word)
            valued = option is not None and option.kind != "switch"
        else:
            count += 1
    return count


def _values(wanted: Option | Argument, before: list[str]) -> Sequence[str]:
    if wanted.choices:
        return wanted.choices
    return _keys(wanted.keys, before) if wanted.keys else ()


def _keys(noun: str, before: list[str]) -> Sequence[str]:
    """The keys of a noun's objects, as the engine knows them; nothing where none answers at once."""
    from app.client.endpoint import choose

    told = dict(pairwise(before))
    try:
        endpoint = choose(told.get("--endpoint", ""), told.get("--data-dir", ""), os.environ)
        return asyncio.run(asyncio.wait_for(_asked(noun, endpoint), KEYS_SECONDS))
    except (BootcartError, TimeoutError):
        # A word that cannot be completed is typed.
        return ()


async def _asked(noun: str, endpoint: str) -> Sequence[str]:
    from app.client.http import HttpClient

    client = HttpClient(endpoint)
    found = find(noun)
    try:
        page = await getattr(client, noun).list()
        return [str(getattr(item, found.key if found else "name")) for item in page.items]
    finally:
        await client.close()
