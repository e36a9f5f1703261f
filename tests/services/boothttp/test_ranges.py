"""Ranges and conditions (RFC 9110 sections 13 and 14) as a table."""

from __future__ import annotations

import pytest

from app.services.boothttp.ranges import Part, choose, etag, http_date

SIZE, WHEN = 1000, 1_700_000_000_123_456_789
TAG, DATE = etag(WHEN, SIZE), http_date(WHEN)
LATER, EARLIER = http_date(WHEN + 10**12), http_date(WHEN - 10**12)
WHOLE, NOTHING, WRONG, LOST = Part(200, 0, SIZE), Part(304, 0, 0), Part(416, 0, 0), Part(412, 0, 0)

TABLE = [
    ({}, WHOLE),
    ({"Range": "bytes=0-99"}, Part(206, 0, 100)),
    ({"Range": "bytes=100-"}, Part(206, 100, 900)),
    ({"Range": "bytes=-100"}, Part(206, 900, 100)),
    ({"Range": "bytes=-5000"}, Part(206, 0, 1000)),
    ({"Range": "bytes=999-5000"}, Part(206, 999, 1)),
    ({"Range": "BYTES=0-0"}, Part(206, 0, 1)),
    ({"Range": "bytes=1000-"}, WRONG),
    ({"Range": "bytes=5000-6000"}, WRONG),
    ({"Range": "bytes=-0"}, WRONG),
    ({"Range": "bytes=5-2"}, WHOLE),
    ({"Range": "bytes=-"}, WHOLE),
    ({"Range": "bytes=a-b"}, WHOLE),
    ({"Range": "bytes=0-1,5000-"}, Part(206, 0, 2)),
    ({"Range": "bytes=0-9, 5-19,\t0-0"}, Part(206, 0, 20)),
    ({"Range": "bytes=,0-1,"}, Part(206, 0, 2)),
    ({"Range": "bytes=,"}, WHOLE),
    ({"Range": "bytes=0-1,x"}, WHOLE),
    ({"Range": "bytes=0-1,5-2"}, WHOLE),
    ({"Range": "bytes=1000-,5000-"}, WRONG),
    ({"Range": "bytes=" + ",".join(["0-0"] * 128)}, Part(206, 0, 1)),
    ({"Range": "bytes=" + ",".join(["0-0"] * 129)}, WHOLE),
    ({"Range": "items=0-5"}, WHOLE),
    ({"Range": "bytes=٠-٩"}, WHOLE),
    ({"Range": "bytes=" + "9" * 40 + "-"}, WHOLE),
    ({"Range": "bytes=0-99", "If-Range": TAG}, Part(206, 0, 100)),
    ({"Range": "bytes=0-99", "If-Range": '"other"'}, WHOLE),
    ({"Range": "bytes=0-99", "If-Range": "W/" + TAG}, WHOLE),
    ({"Range": "bytes=0-99", "If-Range": DATE}, Part(206, 0, 100)),
    ({"Range": "bytes=0-99", "If-Range": EARLIER}, WHOLE),
    ({"Range": "bytes=0-99", "If-Range": "garbage"}, WHOLE),
    ({"Range": "bytes=0-1,5-6", "If-Range": '"other"'}, WHOLE),
    ({"If-Match": f'"x", {TAG}'}, WHOLE),
    ({"If-Match": "*"}, WHOLE),
    ({"If-Match": '"x"'}, LOST),
    ({"If-Match": "W/" + TAG}, LOST),
    ({"If-Match": TAG, "If-Unmodified-Since": EARLIER, "If-None-Match": TAG}, NOTHING),
    ({"If-Unmodified-Since": DATE}, WHOLE),
    ({"If-Unmodified-Since": EARLIER, "Range": "bytes=0-99"}, LOST),
    ({"If-Unmodified-Since": "yesterday"}, WHOLE),
    ({"If-None-Match": TAG}, NOTHING),
    ({"If-None-Match": f'"x", W/{TAG}'}, NOTHING),
    ({"If-None-Match": "*"}, NOTHING),
    ({"If-None-Match": '"x"', "If-Modified-Since": LATER}, WHOLE),
    ({"If-Modified-Since": DATE}, NOTHING),
    ({"If-Modified-Since": LATER}, NOTHING),
    ({"If-Modified-Since": EARLIER}, WHOLE),
    ({"If-Modified-Since": "yesterday"}, WHOLE),
]


@pytest.mark.parametrize(("headers", "part"), TABLE, ids=[str(row[0]) for row in TABLE])
def test_parts(headers: dict[str, str], part: Part) -> None:
    assert choose(headers, SIZE, WHEN) == part


def test_a_head_has_no_part() -> None:
    assert choose({"Range": "bytes=0-99"}, SIZE, WHEN, head=True) == WHOLE


def test_several_parts_stand_as_they_were_asked_for_and_overlapping_ones_once() -> None:
    part = choose({"Range": "bytes=500-599,0-9,550-649,10-19"}, SIZE, WHEN)

    assert [(piece.start, piece.count) for piece in part.pieces] == [(500, 150), (0, 10), (10, 10), (0, 0)]
    assert part.count == sum(len(piece.head) + piece.count for piece in part.pieces)


def test_an_empty_file_has_no_part() -> None:
    assert choose({"Range": "bytes=0-"}, 0, WHEN) == WRONG
    assert choose({"Range": "bytes=-5"}, 0, WHEN) == WRONG
    assert choose({}, 0, WHEN) == Part(200, 0, 0)
