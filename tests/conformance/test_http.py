"""What is asked for and what is given: files, parts of files, conditions, and the ways to write a path."""

from __future__ import annotations

import email.policy
import os
import re
import time
from collections.abc import Iterator
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from statistics import median
from urllib.parse import quote

import pytest

from tests.conformance.httpbench import LARGE, MARK, SMALL, Bench, benched, link_local, resident
from tests.conformance.tftpbench import READER6, SERVER, SERVER6

pytestmark = pytest.mark.root

URL = f"http://{SERVER}:8090"
DATE = re.compile(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT")
EARLIER, LATER = "Thu, 01 Jan 1998 00:00:00 GMT", "Thu, 01 Jan 2099 00:00:00 GMT"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The service and its readers."""
    with benched(tmp_path_factory.mktemp("http")) as made:
        yield made


def _parts(fields: Message, body: bytes) -> list[tuple[str, bytes]]:
    """Content-Range and octets of each part, as Python's mail parser reads them."""
    head = f"Content-Type: {fields['Content-Type']}\r\n\r\n".encode()
    read = BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    assert read.get_content_type() == "multipart/byteranges"
    found: list[tuple[str, bytes]] = []
    for part in read.iter_parts():  # pyright: ignore[reportAttributeAccessIssue]
        assert part["Content-Type"] == "application/octet-stream"
        octets = part.get_payload(decode=True)
        assert isinstance(octets, bytes)
        found.append((part["Content-Range"], octets))
    return found


def _span(bench: Bench, span: str, name: str = "small.bin", **fields: str) -> tuple[int, Message, bytes]:
    return bench.ask("GET", f"/{name}", {"Range": span, **{key.replace("_", "-"): fields[key] for key in fields}})


@pytest.mark.parametrize("name", ["small.bin", "empty.bin"])
def test_h01_a_file_arrives_whole(bench: Bench, name: str) -> None:
    status, fields, body = bench.ask("GET", f"/{name}")

    assert (status, body) == (200, bench.content(name))
    assert fields["Content-Length"] == str(len(body))
    assert fields["Content-Type"] == "application/octet-stream"
    assert fields["Accept-Ranges"] == "bytes"
    assert re.fullmatch(r'"[!#-~]+"', fields["ETag"])
    assert DATE.fullmatch(fields["Last-Modified"])
    assert DATE.fullmatch(fields["Date"])


@pytest.mark.parametrize("asks", [{}, {"Range": "bytes=0-9"}, {"Range": "bytes=0-1,5-6"}, {"Range": "bytes=99999-"}])
def test_h02_head_is_a_get_without_a_body(bench: Bench, asks: dict[str, str]) -> None:
    _, got, _ = bench.ask("GET", "/small.bin")
    status, fields, body = bench.ask("HEAD", "/small.bin", asks)

    assert (status, body) == (200, b"")
    varies = {"Date"}
    assert {k: v for k, v in fields.items() if k not in varies} == {k: v for k, v in got.items() if k not in varies}


@pytest.mark.parametrize(
    ("span", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("bytes=4000-", 4000, SMALL),
        ("bytes=-10", SMALL - 10, SMALL),
        ("bytes=-99999", 0, SMALL),
        ("bytes=4990-99999", 4990, SMALL),
        ("BYTES=1-2", 1, 3),
    ],
)
def test_h03_one_range(bench: Bench, span: str, start: int, end: int) -> None:
    status, fields, body = _span(bench, span)

    assert (status, body) == (206, bench.content("small.bin")[start:end])
    assert fields["Content-Range"] == f"bytes {start}-{end - 1}/{SMALL}"
    assert fields["Content-Length"] == str(end - start)
    assert fields["ETag"]


@pytest.mark.parametrize("span", [f"bytes={SMALL}-", "bytes=9999-99999", "bytes=-0", "bytes=5000-,6000-"])
def test_h04_a_range_beyond_the_end(bench: Bench, span: str) -> None:
    status, fields, body = _span(bench, span)

    assert (status, fields["Content-Range"], body) == (416, f"bytes */{SMALL}", b"")


@pytest.mark.parametrize(
    "span", ["octets=0-1", "bytes=5-2", "bytes=a-b", "bytes=-", "bytes=", "0-1", "bytes=0-1,z", ""]
)
def test_h05_what_is_no_range_is_ignored(bench: Bench, span: str) -> None:
    status, _, body = _span(bench, span)

    assert (status, body) == (200, bench.content("small.bin"))


@pytest.mark.parametrize(
    "spans",
    [
        [(0, 9), (100, 199)],
        [(4990, 4999), (0, 0), (7, 7)],
        [(0, 9), (10, 19)],
        [(start, start) for start in range(0, 256, 2)],
    ],
    ids=["two", "out of order", "beside each other", "128"],
)
def test_h06_several_ranges(bench: Bench, spans: list[tuple[int, int]]) -> None:
    content = bench.content("small.bin")
    status, fields, body = _span(bench, "bytes=" + ", ".join(f"{first}-{last}" for first, last in spans))

    assert status == 206
    assert fields["Content-Range"] is None
    assert fields["Content-Length"] == str(len(body))
    assert _parts(fields, body) == [
        (f"bytes {first}-{last}/{SMALL}", content[first : last + 1]) for first, last in spans
    ]


def test_h06_curl_takes_several_ranges_of_a_large_file(bench: Bench) -> None:
    said = bench.curl("-r", f"{MARK}-{MARK + 3},{LARGE - 2}-", f"{URL}/large.iso")

    assert "\nmark\n" in said.replace("\r", "")
    assert f"bytes {LARGE - 2}-{LARGE - 1}/{LARGE}" in said


@pytest.mark.parametrize("span", ["bytes=0-9,6000-", "bytes=0-5,3-9", "bytes=0-9,", "bytes=0-9,0-9,0-9"])
def test_h07_one_range_is_left(bench: Bench, span: str) -> None:
    status, fields, body = _span(bench, span)

    assert (status, fields["Content-Range"], body) == (206, f"bytes 0-9/{SMALL}", bench.content("small.bin")[:10])


def test_h08_a_hundred_overlapping_ranges_are_not_a_hundred_files(bench: Bench) -> None:
    status, fields, body = _span(bench, "bytes=" + ",".join(f"{first}-" for first in range(100)))
    assert (status, fields["Content-Range"], len(body)) == (206, f"bytes 0-{SMALL - 1}/{SMALL}", SMALL)

    status, fields, body = _span(bench, "bytes=0-99,200-299," + ",".join(f"{at}-{at + 50}" for at in range(90)))
    assert [len(octets) for _, octets in _parts(fields, body)] == [140, 100]

    status, _, body = _span(bench, "bytes=" + ",".join(f"{2 * at}-{2 * at}" for at in range(129)))
    assert (status, body) == (200, bench.content("small.bin"))


def test_h09_if_range(bench: Bench) -> None:
    _, fields, _ = bench.ask("HEAD", "/small.bin")
    tag, date = fields["ETag"], fields["Last-Modified"]

    for condition, status in (
        (tag, 206), (date, 206), (f"W/{tag}", 200), ('"other"', 200), (EARLIER, 200), (LATER, 200), ("x", 200),
    ):  # fmt: skip
        assert (condition, _span(bench, "bytes=0-9", If_Range=condition)[0]) == (condition, status)
    assert _span(bench, "bytes=0-9,20-29", If_Range='"other"')[0] == 200
    assert _span(bench, f"bytes={SMALL}-", If_Range='"other"')[0] == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_h10_if_none_match(bench: Bench, method: str) -> None:
    tag = bench.ask("HEAD", "/small.bin")[1]["ETag"]

    for condition in (tag, f'"x", {tag}', f"W/{tag}", "*"):
        status, fields, body = bench.ask(method, "/small.bin", {"If-None-Match": condition})
        assert (condition, status, fields["ETag"], body) == (condition, 304, tag, b"")
    assert bench.ask(method, "/small.bin", {"If-None-Match": '"x"'})[0] == 200


def test_h11_if_modified_since(bench: Bench) -> None:
    _, fields, _ = bench.ask("HEAD", "/small.bin")
    date = fields["Last-Modified"]

    for condition, status in ((date, 304), (LATER, 304), (EARLIER, 200), ("yesterday", 200)):
        assert bench.ask("GET", "/small.bin", {"If-Modified-Since": condition})[0] == status
    assert bench.ask("GET", "/small.bin", {"If-Modified-Since": date, "If-None-Match": '"x"'})[0] == 200
    assert bench.curl("-z", date, "-o", "/dev/null", "-w", "%{http_code}", f"{URL}/small.bin") == "304"


def test_h12_if_match_and_if_unmodified_since(bench: Bench) -> None:
    _, fields, _ = bench.ask("HEAD", "/small.bin")
    tag, date = fields["ETag"], fields["Last-Modified"]

    for asks, status in (
        ({"If-Match": tag}, 200), ({"If-Match": "*"}, 200), ({"If-Match": '"x"'}, 412), ({"If-Match": f"W/{tag}"}, 412),
        ({"If-Unmodified-Since": date}, 200), ({"If-Unmodified-Since": EARLIER}, 412),
        ({"If-Match": tag, "If-Unmodified-Since": EARLIER}, 200), ({"If-Match": '"x"', "Range": "bytes=0-9"}, 412),
        ({"If-Match": '"x"', "If-None-Match": tag}, 412),
    ):  # fmt: skip
        got, _, body = bench.ask("GET", "/small.bin", asks)
        assert (asks, got, len(body)) == (asks, status, SMALL if status == 200 else 0)


def test_h13_ten_gigabytes(bench: Bench) -> None:
    status, fields, _ = bench.ask("HEAD", "/large.iso")
    assert (status, fields["Content-Length"]) == (200, str(LARGE))

    before = resident()
    assert _span(bench, f"bytes={MARK}-{MARK + 3}", "large.iso")[2] == b"mark"
    status, fields, body = _span(bench, "bytes=-5", "large.iso")
    assert (status, fields["Content-Range"], body) == (206, f"bytes {LARGE - 5}-{LARGE - 1}/{LARGE}", bytes(5))
    edge = 1 << 32  # what does not fit into 32 bits
    status, fields, body = _span(bench, f"bytes={edge - 3}-{edge + 2}", "large.iso")
    assert (status, fields["Content-Range"], body) == (206, f"bytes {edge - 3}-{edge + 2}/{LARGE}", bytes(6))
    several = {"Range": f"bytes=0-1,{MARK}-{MARK + 3},-2"}
    tag = fields["ETag"]
    status, fields, body = bench.ask("GET", "/large.iso", {**several, "If-Range": tag})
    assert (status, body.count(b"\r\nContent-Range: bytes "), b"\r\n\r\nmark\r\n" in body) == (206, 3, True)
    assert bench.ask("HEAD", "/large.iso", several)[1]["Content-Length"] == str(LARGE)
    seen = bench.curl("-r", f"{LARGE - 50_000_000}-", "-o", "/dev/null", "-w", "%{size_download}", f"{URL}/large.iso")
    assert seen == "50000000"
    assert resident() - before < 20 << 20


def test_h14_a_broken_download_goes_on(bench: Bench, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_bytes(bench.content("small.bin")[:1234])
    bench.curl("-C", "-", "-o", str(out), f"{URL}/small.bin")

    assert out.read_bytes() == bench.content("small.bin")


def _seconds(bench: Bench, path: str) -> float:
    took: list[float] = []
    for _ in range(9):
        began = time.monotonic()
        assert bench.ask("GET", path)[0] == 200
        took.append(time.monotonic() - began)
    return median(took)


@pytest.mark.parametrize("folders", [1, pytest.param(10, marks=pytest.mark.full)])
def test_h15_a_file_among_a_hundred_thousand(bench: Bench, folders: int) -> None:
    for folder in range(folders):
        tree = bench.root / f"mirror{folders}" / f"d{folder}"
        tree.mkdir(parents=True)
        (tree / "0.rpm").write_bytes(b"package")
        for number in range(1, 10_000):
            os.link(tree / "0.rpm", tree / f"{number}.rpm")

    alone = _seconds(bench, "/small.bin")
    path = f"/mirror{folders}/d{folders - 1}/9999.rpm"
    assert bench.ask("GET", path)[2] == b"package"
    assert _seconds(bench, path) < alone + 0.05
    assert bench.ask("GET", path.replace("9999", "99999"))[0] == 404


def test_h16_one_connection_carries_several_requests(bench: Bench) -> None:
    one = b"GET /small.bin HTTP/1.1\r\nHost: boot\r\nRange: bytes=%d-%d\r\n%s\r\n"
    said = bench.raw(b"".join(one % (at, at, b"" if at < 9 else b"Connection: close\r\n") for at in range(10)))

    assert said.count(b"HTTP/1.1 206 ") == 10
    assert re.findall(rb"Content-Range: bytes (\d)-", said) == [b"%d" % at for at in range(10)]
    urls = [f"{URL}/small.bin"] * 3
    assert bench.curl("-o", "/dev/null", "-o", "/dev/null", "-o", "/dev/null", "-w", "%{num_connects}", *urls) == "100"


def test_h16_http_1_0_ends_with_the_connection(bench: Bench) -> None:
    said = bench.raw(b"GET /small.bin HTTP/1.0\r\n\r\n")

    assert said.startswith(b"HTTP/1.0 200 OK\r\n")
    assert said.endswith(b"\r\n\r\n" + bench.content("small.bin"))


WAYS = [
    "//EFI/BOOT/grubx64.efi", "/EFI//BOOT///grubx64.efi", "/./EFI/./BOOT/grubx64.efi", "/EFI\\BOOT\\grubx64.efi",
    "/EFI%5CBOOT%5Cgrubx64.efi", "/EFI%2FBOOT%2fgrubx64.efi", "/%45FI/BOOT/grubx64.ef%69", "/EFI/BOOT/grubx64.efi?x=1",
    "/EFI/BOOT/grubx64.efi?" + "&".join(f"x{at}=1" for at in range(100)),
]  # fmt: skip


@pytest.mark.parametrize("target", WAYS)
def test_h17_ways_to_write_a_path(bench: Bench, target: str) -> None:
    said = bench.get(target)

    assert said.startswith(b"HTTP/1.1 200 OK\r\n")
    assert said.endswith(b"this is EFI/BOOT/grubx64.efi\n")


def test_h17_a_name_with_spaces_and_letters_beyond_ascii(bench: Bench) -> None:
    assert bench.ask("GET", quote("/a file (1)+ü.txt"))[2] == "this is a file (1)+ü.txt\n".encode()


@pytest.mark.parametrize("name", [".treeinfo", ".discinfo", "images/.keep"])
def test_h18_dot_files(bench: Bench, name: str) -> None:
    assert bench.ask("GET", f"//{name}")[::2] == (200, f"this is {name}\n".encode())


@pytest.mark.parametrize("origin", [URL, f"http://[{SERVER6}]:8090", "http://some.name"])
def test_h19_the_absolute_form(bench: Bench, origin: str) -> None:
    assert bench.get(f"{origin}/.treeinfo").endswith(b"this is .treeinfo\n")


@pytest.mark.parametrize("host", [SERVER6, "link-local"])
def test_h26_files_come_over_ipv6(bench: Bench, host: str) -> None:
    host = host if ":" in host else f"{link_local(bench.server)}%eth0"
    content = bench.content("small.bin")

    assert bench.ask("GET", "/small.bin", host=host)[::2] == (200, content)
    status, fields, body = bench.ask("GET", "/large.iso", {"Range": f"bytes={MARK}-{MARK + 3},-1"}, host=host)
    assert status == 206
    assert [octets for _, octets in _parts(fields, body)] == [b"mark", b"\0"]
    assert bench.ask("GET", "/nothing.here", host=host)[0] == 404


def test_h26_curl_over_ipv6_is_told_of(bench: Bench, tmp_path: Path) -> None:
    out = tmp_path / "out"
    bench.curl("-o", str(out), f"http://[{SERVER6}]:8090//small.bin")

    assert out.read_bytes() == bench.content("small.bin")
    assert READER6 in {event.address for event in bench.listener.world.events if event.kind == "http.sent"}


@pytest.mark.parametrize(
    "path", ["/boot/52-54-00-00-00-07.ipxe", "/agent/register", "/reports/token/started", "/answers/token/preseed.cfg"]
)
def test_h26_what_is_made_for_one_machine_is_not_there_for_another_over_ipv6(bench: Bench, path: str) -> None:
    assert bench.ask("GET", path, host=SERVER6)[::2] == (404, b"not found\n")
