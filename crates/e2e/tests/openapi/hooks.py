"""What JSON Schema cannot say of the events that gateway and relay take, said to schemathesis.

A document counts characters where a limit counts bytes of UTF-8 in Unicode's normal form C, its expressions do not
tell characters beyond the basic plane apart, and it cannot compare a header with a member. A request that is right by
its document but not by these rules may be refused: it is left out here, and only such a one.
"""

import json
import unicodedata

import schemathesis

MOST_BYTES = {"producto_id": 128, "country": 64, "weather": 64}
MOST_BYTES_OF_LINES = 1024


@schemathesis.serializer("application/x-ndjson")
def lines(_context, sale):
    """One object a line: the schema is that of a line."""
    return (json.dumps(sale) + "\n").encode()


@schemathesis.hook
def filter_case(_context, case):
    return case.meta.generation.mode.is_negative or is_right(case)


def is_right(case):
    if isinstance(case.body, list):
        return all(fits(item) for item in case.body)
    if not isinstance(case.body, dict):
        return True
    return fits(case.body) and has_one_key(case)


def fits(event):
    names = (fits_as_name(event.get(name, ""), most) for name, most in MOST_BYTES.items())
    lines_of_text = event.get("description") or ""
    return all(names) and len(lines_of_text.encode()) <= MOST_BYTES_OF_LINES


def fits_as_name(text, most):
    normal = unicodedata.normalize("NFC", text)
    return len(normal.encode()) <= most and not any(is_unseen(c) for c in normal if c > "\uffff")


def is_unseen(c):
    """Of a character beyond the basic plane."""
    without_ink = c in "\U0001d159\U00016fe4\U00013441\U00013442"
    ignorable = 0xE0000 <= ord(c) <= 0xE0FFF or ord(c) & 0xFFFE == 0xFFFE
    return without_ink or ignorable or unicodedata.category(c) == "Cf"


def has_one_key(case):
    """A line is a batch's: there an item's own key may be another than the batch's."""
    header, member = (case.headers or {}).get("Idempotency-Key"), case.body.get("idempotency_key")
    return None in (header, member) or header in (member, f'"{member}"') or "ndjson" in case.media_type
