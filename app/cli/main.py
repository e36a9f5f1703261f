"""`bootcart NOUN VERB [KEY]`: parse, find the engine, do it, say how it went."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence

from app.cli.forms import COMMON, Noun, Verb, leading
from app.cli.nouns import COMPLETION, ENGINE_VERBS, NOUNS, find
from app.cli.outputs import Output
from app.cli.parsing import parse
from app.errors import BootcartError, InvalidError

INTERRUPTED = 130


def main(argv: Sequence[str]) -> int:
    """Run one verb; returns the exit code of CLI.md."""
    words = list(argv)
    # The form of an error is wanted even when what follows cannot be parsed.
    output = Output("json" if "--json" in words else "text")
    try:
        return _run(words, output)
    except BootcartError as error:
        _flush(sys.stdout)
        output.error(error)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has enough. What is still buffered must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except SystemExit as exit_:
        # argparse ends --help so.
        return exit_.code if isinstance(exit_.code, int) else 1


def _run(words: list[str], output: Output) -> int:
    noun, verb, rest = choose(words)
    if verb is None:
        _write(noun_help(noun) if noun else usage())
        return 0
    prog = " ".join(part for part in ("bootcart", noun.name if noun else "", verb.name) if part)
    if verb is COMPLETION and rest[:1] == ["words"]:
        from app.cli.completion import candidates

        _write("".join(f"{word}\n" for word in candidates(rest[1:])))
        return 0
    given = parse(prog, verb, rest)
    output.form = _form(given.json, given.yaml, given.quiet)
    if verb is COMPLETION:
        from app.cli.completion import script

        _write(script(given.shell))
        return 0
    from app.cli.verbs import run
    from app.client.endpoint import choose as choose_endpoint

    endpoint = choose_endpoint(given.endpoint or "", given.data_dir or "")
    code = asyncio.run(run(verb, noun, given, endpoint, output))
    sys.stdout.flush()
    return code


def choose(words: Sequence[str]) -> tuple[Noun | None, Verb | None, list[str]]:
    """The noun and verb of the words, and what is left; no verb where help is wanted. Raises InvalidError.

    Common options may stand before each of the two: they are put first in what is left.
    """
    options, words = leading(words)
    first = words[0] if words else "--help"
    if first in ("-h", "--help"):
        return None, None, []
    for verb in (*ENGINE_VERBS, COMPLETION):
        if verb.name == first:
            return None, verb, [*options, *words[1:]]
    noun = find(first)
    if noun is None:
        nouns = " ".join(noun.name for noun in NOUNS)
        raise InvalidError(f"no noun {first!r}", hint=f"one of {nouns}; see: bootcart --help")
    more, words = leading(words[1:])
    second = words[0] if words else ""
    if second in ("-h", "--help"):
        return noun, None, []
    verb = noun.verb(second)
    if verb is None:
        verbs = " ".join(verb.name for verb in noun.verbs)
        told = f"{noun.name} cannot {second!r}" if second else f"what about {noun.name}?"
        raise InvalidError(told, hint=f"one of {verbs}; see: bootcart {noun.name} --help")
    return noun, verb, [*options, *more, *words[1:]]


def _form(json: bool | None, yaml: bool | None, quiet: bool | None) -> str:
    chosen = [name for name, on in (("json", json), ("yaml", yaml), ("quiet", quiet)) if on]
    if len(chosen) > 1:
        raise InvalidError(f"--{chosen[0]} and --{chosen[1]} exclude each other", hint="give one of them")
    return chosen[0] if chosen else "text"


def usage() -> str:
    """All nouns and the verbs without one."""
    lines = [f"  {noun.name:<13} {noun.summary}" for noun in NOUNS]
    verbs = [f"  {verb.name:<13} {verb.summary}" for verb in (*ENGINE_VERBS, COMPLETION)]
    told = f"Before the noun or after the verb: {' '.join(option.flag for option in COMMON)}\nEvery form takes --help."
    return "\n".join(("bootcart NOUN VERB [KEY] [OPTIONS]", "", *lines, "", *verbs, "", told, ""))


def noun_help(noun: Noun) -> str:
    """The verbs of one noun."""
    lines = [f"  {verb.name:<10} {verb.summary}" for verb in noun.verbs]
    head = f"bootcart {noun.name} VERB [KEY] [OPTIONS]: {noun.summary}"
    return "\n".join((head, "", *lines, "", f"Every verb takes --help: bootcart {noun.name} list --help", ""))


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _flush(stream: object) -> None:
    # What was written before an error comes before it.
    flush = getattr(stream, "flush", None)
    if flush is not None:
        flush()
