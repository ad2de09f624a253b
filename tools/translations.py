#!/usr/bin/env python3
"""Spanish pages next to the English ones: prints what differs, and ends with 1 if anything does.

usage: translations.py ROOT [--expect FILE]

A Spanish page is ROOT/*.es.md or ROOT/docs/es/*.md. Its first link leads to the English page, whose first link leads back.
Both have, one after another, the same headings by level, the same fenced blocks to the byte, and paragraphs, list items
and rows of tables with the same `code`, links and numbers, in any order. A link to a Spanish page is the same as one to its
English page. Relative links of both lead to files that are there, and to headings by GitHub's rule.

With --expect, what is found has to be what FILE says.
"""

import argparse
import difflib
import itertools
import os
import pathlib
import re
import sys
import urllib.parse
from collections import Counter
from typing import NamedTuple

FENCE = re.compile(r"\s*(```+|~~~+)\s*(.*)")
HEADING = re.compile(r"(#{1,6}) +(.*)")
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"(`+)(.+?)\1")
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


class Part(NamedTuple):
    line: int
    # block, heading, row, item or paragraph
    kind: str
    text: str
    # Of a block its language, of a heading its level.
    detail: str = ""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=pathlib.Path)
    parser.add_argument("--expect", type=pathlib.Path)
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    pages = sorted([*root.glob("*.es.md"), *root.glob("docs/es/*.md")])
    if not pages:
        sys.exit(f"there is no Spanish page in {root}")
    found = []
    for page, line, fault in sorted(faults(root, pages)):
        found.append(f"{page.relative_to(root)}:{line}: {fault}")
    if arguments.expect:
        expected = arguments.expect.read_text(encoding="utf-8").splitlines()
        found = list(difflib.unified_diff(expected, found, str(arguments.expect), "found", lineterm=""))
    print(*found, sep="\n", end="\n" if found else "")
    sys.exit(1 if found else 0)


def faults(root, pages):
    """Page, line and word of everything that is wrong."""
    # Spanish page -> English page
    pairs = {}
    for page in pages:
        english = first_link(page)
        if not isinstance(english, pathlib.Path) or not (english.is_file() and english.is_relative_to(root)):
            yield page, 1, "its first link does not lead to the English page"
        elif first_link(english) != page:
            yield english, 1, f"its first link does not lead to {page.relative_to(root)}"
        else:
            pairs[page] = english
    for spanish, english in pairs.items():
        yield from differences(root, spanish, english, pairs)
        yield from broken_links(root, spanish)
        yield from broken_links(root, english)


def first_link(page):
    return next((target_of(page, link)[0] for part in parts(page) for link in links(part)), None)


def parts(page):
    """Everything between empty lines, in order."""
    found, lines = [], iter(enumerate(page.read_text(encoding="utf-8").splitlines(), 1))
    going_on = False
    for number, line in lines:
        if fence := FENCE.match(line):
            found.append(Part(number, "block", "\n".join(block(line, fence[1], lines)), fence[2]))
        elif heading := HEADING.match(line):
            found.append(Part(number, "heading", heading[2], heading[1]))
        elif line.startswith("|"):
            found.append(Part(number, "row", line))
        elif re.match(r"\s*([-*+]|\d+[.)]) ", line):
            found.append(Part(number, "item", line))
        elif line.strip() and going_on:
            found[-1] = found[-1]._replace(text=f"{found[-1].text}\n{line}")
        elif line.strip():
            found.append(Part(number, "paragraph", line))
        going_on = bool(line.strip()) and found[-1].kind in ("item", "paragraph")
    return found


def block(opening, mark, lines):
    """The lines up to the end of the block, without its indentation."""
    indent = opening[: len(opening) - len(opening.lstrip())]
    for _, line in lines:
        if line.strip().startswith(mark) and not line.strip().strip(mark[0]):
            return
        yield line.removeprefix(indent)


def differences(root, spanish, english, pairs):
    ours = [(part, content(root, spanish, part, pairs)) for part in parts(spanish)]
    theirs = [(part, content(root, english, part, pairs)) for part in parts(english)]
    matcher = difflib.SequenceMatcher(None, [one for _, one in ours], [one for _, one in theirs], autojunk=False)
    for step, start, end, from_there, to_there in matcher.get_opcodes():
        here, there = ours[start:end], theirs[from_there:to_there]
        if step == "replace" and [part.kind for part, _ in here] == [part.kind for part, _ in there]:
            for (part, one), (counterpart, other) in zip(here, there):
                if one != other:
                    fault = difference(part.kind, one, other)
                    yield spanish, part.line, f"{fault} ({english.relative_to(root)}:{counterpart.line})"
        elif step != "equal":
            for part, _ in here:
                yield spanish, part.line, f"this {part.kind} is not in {english.relative_to(root)}"
            for part, _ in there:
                yield english, part.line, f"this {part.kind} is not in {spanish.relative_to(root)}"


def content(root, page, part, pairs):
    """What is the same in both languages."""
    if part.kind == "block":
        return part.kind, part.detail, tuple(part.text.split("\n"))
    text, code = without_code(part.text)
    targets = [target_of(page, link)[0] for link in links(part)]
    where = [one if isinstance(one, str) else os.path.relpath(pairs.get(one, one), root) for one in targets]
    numbers = NUMBER.findall(LINK.sub("]", text))
    return part.kind, part.detail, tuple(sorted(code)), tuple(sorted(where)), tuple(sorted(numbers))


def difference(kind, ours, theirs):
    if ours[1] != theirs[1]:
        return f"the {kind} is {ours[1] or 'unnamed'}, not {theirs[1] or 'unnamed'}"
    if kind == "block":
        lines = itertools.zip_longest(ours[2], theirs[2], fillvalue=None)
        return next(f"the block has {one!r}, not {other!r}" for one, other in lines if one != other)
    for name, here, there in zip(("code", "links", "numbers"), ours[2:], theirs[2:]):
        if here != there:
            here, there = Counter(here), Counter(there)
            return f"{name} of the {kind}: {shown(there - here)} missing, {shown(here - there)} too many"
    raise AssertionError("nothing differs")


def shown(counted):
    return ", ".join(counted.elements()) or "none"


def without_code(text):
    """The text, and the code in it."""
    text = " ".join(text.split())
    return CODE.sub("", text), [code for _, code in CODE.findall(text)]


def links(part):
    return [] if part.kind == "block" else LINK.findall(without_code(part.text)[0])


def target_of(page, link):
    """The file or address, and the heading."""
    path, _, anchor = link.partition("#")
    if re.match(r"[a-z][a-z0-9+.-]*:", link):
        return link, ""
    return (page.parent / urllib.parse.unquote(path)).resolve() if path else page, urllib.parse.unquote(anchor)


def broken_links(root, page):
    for part in parts(page):
        for link in links(part):
            path, anchor = target_of(page, link)
            if isinstance(path, str):
                continue
            if not path.is_relative_to(root) or not path.exists():
                yield page, part.line, f"{link}: there is no such file in the repository"
            elif anchor and (path.suffix != ".md" or anchor not in anchors(path)):
                yield page, part.line, f"{link}: there is no such heading"


def anchors(page):
    """Of each heading, as GitHub makes them."""
    found = []
    for part in parts(page):
        if part.kind == "heading":
            text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", part.text).strip().lower()
            anchor = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
            again = sum(one == anchor for one, _ in found)
            found.append((anchor, f"{anchor}-{again}" if again else anchor))
    return [unique for _, unique in found]


if __name__ == "__main__":
    main()
