"""Names as the kernel's tables in /proc have them, where white space separates one column from the next."""

from __future__ import annotations


def unescape(text: str) -> str:
    """Blanks, tabs, newlines and backslashes are written as three octal digits (seq_file.rst, mangle_path)."""
    if "\\" not in text:
        return text
    pieces = text.split("\\")
    return pieces[0] + "".join(
        chr(int(piece[:3], 8)) + piece[3:] if _is_octal(piece[:3]) else "\\" + piece for piece in pieces[1:]
    )


def _is_octal(digits: str) -> bool:
    return len(digits) == 3 and all(digit in "01234567" for digit in digits)
