"""So much of a shell's grammar that the simple commands of a document's examples can be told apart.

What is not understood raises Unreadable: nothing is passed over in silence.
"""

import re

OPENING = {"if", "then", "else", "elif", "while", "until", "do", "{", "!", "time"}
CLOSING = {"fi", "done", "}"}
UNKNOWN = {"case", "select", "coproc"}


class Unreadable(Exception):
    """The text is no shell, or more than this knows."""


class Open(Unreadable):
    """The text ends within a command."""


def commands(script):
    """Each simple command as its line, from 0, and its words. Assignments are words; redirections are left out."""
    return Scanner(script).script("")


def is_open(script):
    """Whether a shell would ask for another line."""
    if re.search(r"((?<!\\)(\\\\)*\\|\||&&)\s*$", script):
        return True
    try:
        commands(script)
    except Open:
        return True
    except Unreadable:
        pass
    return False


def substituted(line):
    """Words of the commands that a line of a here-document substitutes."""
    for mark in re.finditer(r"\$\((?!\()", line):
        inside = Scanner(line)
        inside.at = mark.end()
        yield from (words for _, words in inside.script(")"))


class Command:
    """A simple command that is being read."""

    def __init__(self):
        self.line, self.words, self.skipped = 0, [], False

    def finished(self, functions):
        """It, unless it is one of the script's own; the next one begins."""
        found = [(self.line, self.words)] if self.words and self.words[0] not in functions else []
        self.words, self.skipped = [], False
        return found


class Scanner:
    def __init__(self, text):
        self.text, self.at, self.heredocs, self.functions, self.backquoted = text, 0, [], set(), False

    def script(self, end):
        """Commands up to `end`: the end of the text, or the parenthesis or backquote that closes a substitution."""
        found, command = [], Command()
        while True:
            self.blanks()
            char = self.peek()
            if char in ("", end):
                break
            if char == "\n":
                self.at += 1
                found += command.finished(self.functions) + self.bodies()
            elif char == "#":
                self.at = self.until("\n")
            elif char in ";&|" and not self.text.startswith("&>", self.at):
                self.at += 1
                found += command.finished(self.functions)
            elif char == "(":
                self.parenthesis(command, found)
            elif not self.redirection(found):
                self.argument(command, found)
        if char != end or self.heredocs:
            raise Open(f"{end or 'the end of a here-document'} is missing")
        self.at += len(end)
        return found + command.finished(self.functions)

    def parenthesis(self, command, found):
        """Arithmetic, a subshell or, behind a word, a function."""
        if command.words:
            if len(command.words) != 1 or not re.match(r"\(\s*\)", self.text[self.at :]):
                raise Unreadable("a parenthesis within a command")
            self.functions.add(command.words.pop())
            self.at = self.behind(")")
        elif self.text.startswith("((", self.at):
            self.at = self.behind("))")
        else:
            self.at += 1
            found += self.script(")")

    def argument(self, command, found):
        """A word, which is a keyword where a command begins."""
        line = self.text.count("\n", 0, self.at)
        word = self.word(found)
        if command.words or command.skipped:
            command.words += [] if command.skipped else [word]
        elif word in UNKNOWN:
            raise Unreadable(f"{word} is more than this check knows")
        elif word == "for":
            # The name and the list; what is done is behind `do`.
            command.skipped = True
        elif word == "[[":
            self.at = self.behind("]]")
        elif word not in OPENING | CLOSING:
            command.line, command.words = line, [word]

    def redirection(self, found):
        mark = re.compile(r"\d*(<<<|<<-?|>>|>\||[<>]&|&>>?|<>|[<>](?!\())").match(self.text, self.at)
        if not mark:
            return False
        self.at = mark.end()
        self.blanks()
        start = self.at
        target = self.word(found)
        if mark[1] in ("<<", "<<-"):
            quoted = re.search(r"[\\'\"]", self.text[start : self.at])
            self.heredocs.append((target, mark[1] == "<<-", bool(quoted)))
        return True

    def bodies(self):
        """Passes over the here-documents of the line that has just ended; in what is not quoted commands are run."""
        found = []
        for end, tabs, quoted in self.heredocs:
            while True:
                if self.at >= len(self.text):
                    raise Open(f"{end} is missing")
                stop = self.until("\n")
                line, self.at = self.text[self.at : stop], stop + 1
                if (line.lstrip("\t") if tabs else line) == end:
                    break
                if not quoted:
                    at = self.text.count("\n", 0, self.at) - 1
                    found += [(at, words) for words in substituted(line)]
        self.heredocs = []
        return found

    def word(self, found):
        """The next word without its quotes; what it substitutes goes to `found`, and stays as it was written."""
        word = ""
        while (char := self.peek()) not in ("", " ", "\t", "\n", ";", "&", "|", ")", "`"):
            if char == "'":
                start, self.at = self.at + 1, self.behind("'", 1)
                word += self.text[start : self.at - 1]
            elif char == '"':
                self.at += 1
                word += self.double(found)
            elif char == "\\":
                word += self.text[self.at + 1 : self.at + 2].strip("\n")
                self.at += 2
            elif char == "$" or self.text.startswith(("<(", ">("), self.at):
                word += self.dollar(found)
            elif char in "<>(":
                break
            else:
                word += char
                self.at += 1
        if char == "`" and not self.backquoted:
            return word + self.backquotes(found) + self.word(found)
        if not word and char == ")":
            raise Unreadable("a parenthesis that nothing opened")
        return word

    def double(self, found):
        word = ""
        while (char := self.peek()) != '"':
            if char == "":
                raise Open('" is missing')
            if char == "\\":
                word += self.text[self.at + 1 : self.at + 2]
                self.at += 2
            elif char == "$":
                word += self.dollar(found)
            elif char == "`":
                word += self.backquotes(found)
            else:
                word += char
                self.at += 1
        self.at += 1
        return word

    def backquotes(self, found):
        start, self.at, self.backquoted = self.at, self.at + 1, True
        found += self.script("`")
        self.backquoted = False
        return self.text[start : self.at]

    def dollar(self, found):
        start = self.at
        if self.text.startswith("$((", self.at):
            self.at = self.behind("))")
        elif self.text[self.at + 1 : self.at + 2] == "(":
            self.at += 2
            found += self.script(")")
        elif self.text.startswith("${", self.at):
            self.at = self.behind("}")
        else:
            self.at += 1
        return self.text[start : self.at]

    def blanks(self):
        while self.text.startswith((" ", "\t", "\\\n"), self.at):
            self.at += 2 if self.text[self.at] == "\\" else 1

    def peek(self):
        return self.text[self.at : self.at + 1]

    def until(self, mark):
        found = self.text.find(mark, self.at)
        return len(self.text) if found < 0 else found

    def behind(self, mark, skip=0):
        found = self.text.find(mark, self.at + skip)
        if found < 0:
            raise Open(f"{mark} is missing")
        return found + len(mark)
