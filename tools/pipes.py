#!/usr/bin/env python3
"""Finds pipes of shell scripts whose last part may end before the first has written all: usage: pipes.py [--expect N] PATH...

With pipefail such a pipe fails, now and then, although each part did what it should. `grep -q` and `head` end early, where
`grep` into a here-string, a comparison with what was read, and `sed -n 1p` read everything. Prints each, and exits with 1; with
--expect it exits with 0 if there are just so many.
"""

import pathlib
import re
import sys

BEFORE = r"\|&?\s*(?:\\\s*)?(?:\w+=\S*\s+)*"
SEARCH = r"grep\b(?:\s+-[\w=-]+)*\s+(?:-[a-zA-Z]*[qm]|--quiet|--silent|--max-count)"
EARLY = re.compile(rf"(?<!\|){BEFORE}(?:{SEARCH}|head\b)")
SHELL = re.compile(r"\A(?:#!.*\b(?:ba|da)?sh\b|# shellcheck shell=)")


def scripts(path):
    if path.is_file():
        yield path
        return
    for file in sorted(path.rglob("*")):
        if file.is_file() and (
            file.suffix in {".sh", ".nix"} or SHELL.match(file.read_bytes()[:80].decode(errors="replace"))
        ):
            yield file


def early(file):
    text = file.read_text()
    # A comment is no command.
    bare = re.sub(r"(?m)^\s*#.*$", lambda comment: " " * len(comment.group()), text)
    for found in EARLY.finditer(bare):
        yield f"{file}:{text.count(chr(10), 0, found.start()) + 1}: {' '.join(found.group().split())}"


def main(arguments):
    expected = 0
    if arguments[:1] == ["--expect"]:
        expected, arguments = int(arguments[1]), arguments[2:]
    paths = [pathlib.Path(argument) for argument in arguments]
    found = [line for path in paths for file in scripts(path) for line in early(file)]
    for line in found:
        print(line)
    return 0 if paths and len(found) == expected else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
