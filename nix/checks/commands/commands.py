#!/usr/bin/env python3
"""The commands in the shell blocks of documents: prints each that cannot be run, and ends with 1 if there is one.

usage: commands.py ROOT [--program NAME]... [--output NAME]... [DOCUMENT]...

A command can be run if it is on PATH, is Bash's own, is an executable file of ROOT, is NAME of a --program in target/release,
debug or profiled, or is one of OUTSIDE whose document says that it is needed. `.#NAME` after nix has to be an --output. Without
DOCUMENTs all of ROOT are looked at. What is behind sudo, env and the like, in a pipe or in $(…) is a command, too. The words of
a block for another machine, "```sh @MACHINE", are that machine's.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys

import shell

LANGUAGES = {"sh", "bash", "shell", "zsh", "console", "terminal", "shell-session", "shellsession", "sh-session"}

# `$ ` or `user@host:~$ `, in front of what is typed where the answers are shown, too.
PROMPT = re.compile(r"\s*(?:[\w.-]+@[\w.-]+:\S*)?[$%] ")

# What no shell can bring along, and the words by which a document says that it wants it.
OUTSIDE = {
    # It makes the shell.
    "nix": "Nix",
    # Another user's rights do not come out of a store.
    "sudo": "",
    # The machine's daemons.
    "docker": "`docker`",
    "systemctl": "systemd",
    "journalctl": "systemd",
    # A client's own, by which types are made of proto files, and writers called.
    "grpcurl": "`grpcurl`",
    "protoc": "`protoc`",
    # It updates itself, and holds the user's account.
    "gcloud": "`gcloud`",
    # What peers of other kinds are built with is theirs; none of ours needs it.
    "mvn": "Maven",
}

# Commands that run another: their options that take a word, and how many words come before the command.
RUNNERS = {
    "sudo": ("-u -g -h -p -C -D -R -T -U --user --group", 0),
    "env": ("-u -C --unset --chdir", 0),
    "exec": ("-a", 0),
    "nice": ("-n", 0),
    "xargs": ("-I -E -n -P -L -s -d", 0),
    "timeout": ("-k -s --signal --kill-after", 1),
    "nohup": ("", 0),
    "watch": ("-n", 0),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=pathlib.Path)
    parser.add_argument("--program", action="append", default=[])
    parser.add_argument("--output", action="append", default=[])
    parser.add_argument("documents", nargs="*", type=pathlib.Path)
    arguments = parser.parse_intermixed_args()
    faults = seen = 0
    for document in sorted(arguments.documents or arguments.root.rglob("*.md")):
        text = document.read_text(encoding="utf-8")
        for line, command in commands(text):
            seen += 1
            for fault in judge(command, text, arguments):
                faults += 1
                print(f"{document.relative_to(arguments.root)}:{line}: {fault}")
    if seen == 0:
        sys.exit("there is no command in any document")
    print(f"{seen} commands, {faults} of them cannot be run", file=sys.stderr)
    sys.exit(1 if faults else 0)


def commands(text):
    """Line and words of each simple command in the shell blocks of a document."""
    for first, lines in blocks(text):
        for number, script in scripts(first, lines):
            try:
                yield from ((number + offset, words) for offset, words in shell.commands(script))
            except shell.Unreadable as reason:
                yield number, ["unreadable", str(reason)]


def blocks(text):
    """First line's number and lines of each shell block for the reader's own machine."""
    fence, wanted, unnamed, quoted, block, first = None, False, False, False, [], 0
    for number, line in enumerate(text.splitlines(), 1):
        if fence is None:
            quoted = re.match(r"\s*>", line) is not None
        line = re.sub(r"^\s*> ?", "", line) if quoted else line
        mark = re.match(r"\s*(```+|~~~+)\s*(.*)", line)
        if fence is None and mark:
            fence, info, block, first = mark[1], mark[2].split(), [], number + 1
            language = re.match(r"\W*([\w-]*)", mark[2])[1].lower()
            wanted = not info or (language in LANGUAGES and not any(word.startswith("@") for word in info))
            unnamed = not info
        elif fence and mark and mark[1].startswith(fence) and not mark[2]:
            # Without a language it is a shell's if somebody is asked to type.
            if wanted and (not unnamed or any(map(PROMPT.match, block))):
                yield first, block
            fence = None
        elif fence:
            block.append(line)


def scripts(first, lines):
    """What is typed: the whole block, or, where there are prompts, what is behind them up to the end of the command."""
    if not any(map(PROMPT.match, lines)):
        yield first, "\n".join(lines) + "\n"
        return
    numbered = iter(enumerate(lines, first))
    for number, line in numbered:
        prompt = PROMPT.match(line)
        if not prompt:
            continue
        script = line[prompt.end() :] + "\n"
        while shell.is_open(script):
            more = next(numbered, None)
            if more is None:
                break
            script += more[1].removeprefix("> ") + "\n"
        yield number, script


def judge(words, text, arguments):
    """What is wrong with a simple command."""
    if words[0] == "unreadable":
        yield f"cannot be read: {words[1]}"
        return
    for word, rest in runs(words):
        if word in OUTSIDE:
            if OUTSIDE[word] not in prose(text):
                yield f"{word}: not in the shell, and the document does not say that it is needed"
            if word == "nix":
                named = (argument.removeprefix(".#") for argument in rest if argument.startswith(".#"))
                yield from (
                    f".#{name}: not an output" for name in named if "$" not in name and name not in arguments.output
                )
        elif not is_there(word, arguments):
            yield f"{word}: not in the shell"


def runs(words):
    """The words that are run, each with what follows it: sudo, and what sudo runs."""
    words = list(words)
    while words:
        while words and re.match(r"[A-Za-z_]\w*\+?=", words[0]):
            words.pop(0)
        if not words:
            return
        word = words.pop(0)
        yield word, words
        if word == "nix" and words[:1] in (["develop"], ["shell"]):
            behind = next((at for at, one in enumerate(words) if one in ("-c", "--command")), len(words))
            words = words[behind + 1 :]
        elif word in RUNNERS:
            words = behind_options(words, *RUNNERS[word])
        else:
            return


def behind_options(words, with_word, before):
    words = list(words)
    while words and (words[0].startswith("-") or re.match(r"[A-Za-z_]\w*=", words[0])):
        option = words.pop(0)
        if option == "--":
            break
        if option in with_word.split() and words:
            words.pop(0)
    return words[before:]


def is_there(word, arguments):
    if "/" in word:
        file = arguments.root / word
        built = re.fullmatch(r"(?:\./)?target/(?:release|debug|profiled)/([\w-]+)", word)
        if built:
            return built[1] in arguments.program
        return not word.startswith(("/", "~")) and file.is_file() and os.access(file, os.X_OK)
    asked = subprocess.run(["bash", "-c", 'type -t -- "$1"', "bash", word], stdout=subprocess.DEVNULL, check=False)
    return asked.returncode == 0


def prose(text):
    """The document without its blocks."""
    return re.sub(r"(?ms)^\s*(```+|~~~+).*?^\s*\1\s*$", "", text)


if __name__ == "__main__":
    main()
