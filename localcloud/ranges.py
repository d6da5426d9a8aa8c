"""Ranges of an object's versions, which the emulator answers with the whole; for `localcloud/emulator.py` alone."""

from __future__ import annotations

from typing import Any

Answer = tuple[int, dict[str, str], bytes]


def read_ranges_of_versions() -> None:
    """Answer a range of a version with that range, as AWS does and the emulator does for the newest version alone."""
    from ministack.services import s3

    get = s3._get_object

    def getting(bucket: str, key: str, headers: dict[str, str], query: dict[str, Any] | None = None) -> Answer:
        asked = headers.get("range", "") if (query or {}).get("versionId") else ""
        # A checksum of the whole is none of its part.
        sent = {name: value for name, value in headers.items() if not asked or name != "x-amz-checksum-mode"}
        status, answered, body = get(bucket, key, sent, query)
        if not asked or status != 200:
            return status, answered, body
        found = s3._parse_range(asked, len(body))
        if found is None:
            refused = {"Content-Type": "application/xml", "Content-Range": f"bytes */{len(body)}"}
            return 416, refused, s3._xml_body(s3._range_error_xml(bucket, key))
        start, end = found
        part = body[start : end + 1]
        about = {"Content-Length": str(len(part)), "Content-Range": f"bytes {start}-{end}/{len(body)}"}
        return 206, {**answered, **about}, part

    s3._get_object = getting
