"""Where the parser is in a text, and the scalars that it reads there.

A `Cursor` knows its line and column, skips blanks and comments, and reads the five styles of scalars (plain, single and
double quoted, literal, folded) with YAML's rules for folding lines. What surrounds a scalar is the parser's business;
it says how far the surrounding block is indented and whether commas and brackets end a plain scalar.
"""

from __future__ import annotations

from typing import NoReturn

END = "\0"
"""Stands for the end of the text; it cannot be in one."""

_CONTROL = frozenset(map(chr, (*range(9), 11, 12, *range(14, 32), *range(127, 133), *range(134, 160)))) | {"\ufeff"}
_INDICATORS = frozenset("-?:,[]{}#&*!|>'\"%@`")
_FLOW = frozenset(",[]{}")
_ESCAPES = {
    "0": "\0",
    "a": "\a",
    "b": "\b",
    "t": "\t",
    "\t": "\t",
    "n": "\n",
    "v": "\v",
    "f": "\f",
    "r": "\r",
    "e": "\x1b",
    " ": " ",
    '"': '"',
    "/": "/",
    "\\": "\\",
    "N": "\x85",
    "_": "\xa0",
    "L": "\u2028",
    "P": "\u2029",
}
_CODED = {"x": 2, "u": 4, "U": 8}


class Fault(Exception):
    """The text cannot be read from here on."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(line, message)
        self.line = line
        self.message = message


class Cursor:
    """A place in a text. ``line`` counts from 1, columns from 0."""

    def __init__(self, text: str) -> None:
        text = text.removeprefix("\ufeff")
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        if bad := _CONTROL.intersection(text):
            at = min(map(text.index, bad))
            raise Fault(text.count("\n", 0, at) + 1, f"character {ascii(text[at])[1:-1]} cannot be in a text")
        self._added = "" if text.endswith("\n") else "\n"
        self.text = text + self._added + END
        self.pos = 0
        self.line = 1
        self.start = 0

    @property
    def column(self) -> int:
        return self.pos - self.start

    @property
    def char(self) -> str:
        return self.text[self.pos]

    @property
    def at_end(self) -> bool:
        return self.text[self.pos] == END

    @property
    def first_on_line(self) -> bool:
        return not self.text[self.start : self.pos].strip(" ")

    def fail(self, message: str, line: int = 0) -> NoReturn:
        raise Fault(line or self.line, message)

    def blank_behind(self, width: int = 1) -> bool:
        """Whether a blank, a line's end or the text's end follows the next ``width`` characters."""
        return self.text[self.pos + width] in " \t\n\0"

    def at_marker(self) -> bool:
        """At ``---`` or ``...`` at the start of a line."""
        if self.pos != self.start or self.text[self.pos] not in "-.":
            return False
        return self.text[self.pos : self.pos + 3] in ("---", "...") and self.blank_behind(3)

    def skip(self) -> bool:
        """To the next character that is neither blank nor in a comment; True when that is on another line."""
        text, pos, crossed = self.text, self.pos, False
        while True:
            char = text[pos]
            if char == " " or char == "\t":
                pos += 1
            elif char == "#" and (pos == self.start or text[pos - 1] in " \t"):
                pos = text.index("\n", pos)
            elif char == "\n":
                pos += 1
                self.line += 1
                self.start = pos
                crossed = True
            else:
                break
        self.pos = pos
        return crossed

    def refuse_tab(self) -> None:
        """A tab among the blanks that indent a block could mean any width."""
        if "\t" in self.text[self.start : self.pos] and not self.text[self.start : self.pos].strip(" \t"):
            self.fail("a tab cannot indent; use spaces")

    def plain(self, indent: int, flow: bool) -> tuple[str, bool]:
        """A plain scalar: its text, and whether it is all on one line."""
        char = self.char
        if char in _INDICATORS and not (char in "-?:" and not self._ends_plain(self.pos + 1, flow)):
            self.fail(f"{char!r} cannot begin a value here; quote the text")
        parts = self._plain_line(flow)
        single = True
        while True:
            before = (self.pos, self.line, self.start)
            self._skip_blanks()
            if self.char != "\n":
                break
            breaks = self._skip_lines()
            goes_on = not self.at_end and not self.at_marker() and (flow or self.column > indent)
            if not goes_on or self.char == "#" or (flow and self.char in _FLOW):
                break
            if flow and self.char in ":?" and self._ends_plain(self.pos + 1, flow):
                break
            single = False
            parts += (" " if breaks == 1 else "\n" * (breaks - 1)) + self._plain_line(flow)
        self.pos, self.line, self.start = before
        return parts, single

    def _ends_plain(self, at: int, flow: bool) -> bool:
        """Whether the character at ``at`` ends a plain scalar when a colon stands before it."""
        char = self.text[at]
        return char in " \t\n\0" or (flow and char in _FLOW)

    def _plain_line(self, flow: bool) -> str:
        text, start = self.text, self.pos
        end = text.index("\n", start)
        if flow:
            end = min([end, *(at for sign in _FLOW if (at := text.find(sign, start, end)) >= 0)])
        at = text.find(":", start, end)
        while at >= 0 and not self._ends_plain(at + 1, flow):
            at = text.find(":", at + 1, end)
        end = at if at >= 0 else end
        at = text.find("#", start + 1, end)
        while at >= 0 and text[at - 1] not in " \t":
            at = text.find("#", at + 1, end)
        at = at if at >= 0 else end
        found = text[start:at].rstrip(" \t")
        self.pos = start + len(found)
        return found

    def _skip_blanks(self) -> None:
        while self.text[self.pos] in " \t":
            self.pos += 1

    def _skip_lines(self) -> int:
        """Over line ends and the blanks of what follows; how many line ends there were."""
        breaks = 0
        while self.text[self.pos] == "\n":
            self.pos += 1
            self.line += 1
            self.start = self.pos
            breaks += 1
            self._skip_blanks()
        return breaks

    def quoted(self) -> str:
        """A single- or double-quoted scalar, folded over lines."""
        quote, begun = self.char, self.line
        self.pos += 1
        shown: list[str] = []
        while True:
            char = self.text[self.pos]
            if char == quote:
                if quote == "'" and self.text[self.pos + 1] == "'":
                    shown.append("'")
                    self.pos += 2
                    continue
                self.pos += 1
                return "".join(shown)
            if char == END:
                self.fail("a quoted text has no end", begun)
            if char == "\\" and quote == '"':
                shown.append(self._escape())
            elif char == "\n":
                self._fold(shown)
            else:
                end = self._run_end(quote)
                run = self.text[self.pos : end]
                shown.append(run.rstrip(" \t") if self.text[end] == "\n" else run)
                self.pos = end

    def _run_end(self, quote: str) -> int:
        text, at = self.text, self.pos
        stops = "\n\\\0" + quote if quote == '"' else "\n\0'"
        while text[at] not in stops:
            at += 1
        return at

    def _fold(self, shown: list[str]) -> None:
        """A line's end within quotes: blanks behind it go, one end is a space, further ones are line ends."""
        breaks = self._skip_lines()
        if self.at_marker():
            self.fail("a document ends within a quoted text")
        shown.append(" " if breaks == 1 else "\n" * (breaks - 1))

    def _escape(self) -> str:
        code = self.text[self.pos + 1]
        self.pos += 2
        if code == "\n":
            self.pos -= 1
            breaks = self._skip_lines()
            return "\n" * (breaks - 1)
        if code in _ESCAPES:
            return _ESCAPES[code]
        if code not in _CODED:
            self.fail(f"\\{code if code.isprintable() else ''} is not an escape; write \\\\ for a backslash")
        digits = self.text[self.pos : self.pos + _CODED[code]]
        self.pos += len(digits)
        try:
            found = chr(int(digits, 16)) if digits.isalnum() and len(digits) == _CODED[code] else ""
        except (ValueError, OverflowError):
            found = ""
        if not found or "\ud800" <= found <= "\udfff":
            self.fail(f"\\{code}{ascii(digits)[1:-1]} is not a character")
        return found

    def block(self, indent: int) -> str:
        """A literal (``|``) or folded (``>``) scalar below a block that is indented by ``indent`` columns."""
        folded = self.char == ">"
        keep, width = self._block_header()
        least = max(indent, 0) + width if width else self._find_indentation(max(indent + 1, 1 if indent < 0 else 0))
        lines: list[str] = []
        while not self.at_end:
            end = self.text.index("\n", self.pos)
            line = self.text[self.pos : end]
            if line.strip(" ") and len(line) - len(line.lstrip(" ")) < least:
                break
            lines.append(line[least:])
            self.pos = self.start = end + 1
            self.line += 1
        last = len(lines)
        while last and not lines[last - 1]:
            last -= 1
        content = _fold_lines(lines[:last]) if folded else "\n".join(lines[:last])
        # A last line without an end in the text has none in the scalar either.
        ends = len(lines) - last + bool(last) - (self.at_end and bool(self._added))
        return content + "\n" * ({"+": ends, "-": 0}.get(keep, min(ends, bool(last))))

    def _block_header(self) -> tuple[str, int]:
        self.pos += 1
        keep, width = "", 0
        while self.char in "+-123456789":
            if self.char in "+-" and not keep:
                keep = self.char
            elif self.char.isdigit() and not width:
                width = int(self.char)
            else:
                break
            self.pos += 1
        if not self.blank_behind(0):
            self.fail(f"{self.char!r} cannot follow the sign of a block of text")
        self._skip_blanks()
        if self.char == "#" and self.text[self.pos - 1] in " \t":
            self.pos = self.text.index("\n", self.pos)
        if self.char != "\n":
            self.fail("a block of text begins on the next line")
        self.pos += 1
        self.line += 1
        self.start = self.pos
        return keep, width

    def _find_indentation(self, least: int) -> int:
        """Of the first line that is not empty, but not less than ``least``."""
        at, deepest = self.pos, 0
        while self.text[at] != END:
            end = self.text.index("\n", at)
            line = self.text[at:end]
            spaces = len(line) - len(line.lstrip(" "))
            if spaces < len(line):
                if least <= spaces < deepest:
                    self.fail("an empty line is indented further than the first line of the text", self.line)
                return max(least, spaces, deepest)
            deepest = max(deepest, spaces)
            at = end + 1
        return max(least, deepest)


def _fold_lines(lines: list[str]) -> str:
    """Lines of a folded block: a line's end is a space, except around empty and around further indented lines."""
    shown = ""
    pending = 0
    deeper_before = True
    for line in lines:
        if not line:
            pending += 1
            continue
        deeper = line[0] in " \t"
        if shown or pending:
            if deeper or deeper_before:
                shown += "\n" * (pending + (1 if shown else 0))
            else:
                shown += "\n" * pending if pending else " "
        shown += line
        pending, deeper_before = 0, deeper
    return shown
