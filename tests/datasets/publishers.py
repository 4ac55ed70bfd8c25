"""The publishers of data sets, drawn on a site on the loopback: their addresses, listings and files."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path

import pytest

from derm.datasets import downloads
from tests.web import Answer, Web, jpeg

DBW86T = ("/dataverse/api/datasets/:persistentId/versions/:latest-published/files"
          "?persistentId=doi:10.7910/DVN/DBW86T")


def point_at(site: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """All publishers on one host."""
    monkeypatch.setattr(downloads, "FITZPATRICK17K", f"{site.url}/fitzpatrick17k.csv")
    monkeypatch.setattr(downloads, "SCIN", f"{site.url}/scin/")
    monkeypatch.setattr(downloads, "DATAVERSE", f"{site.url}/dataverse")
    monkeypatch.setattr(downloads, "MENDELEY", f"{site.url}/mendeley")


def _digest(data: bytes, algorithm: str) -> str:
    return hashlib.new(algorithm, data).hexdigest()


def _zipped(files: list[Path], *, below: str = "") -> bytes:
    """An archive of the files; their names only, or below a folder."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file in files:
            archive.write(file, below + file.name)
    return buffer.getvalue()


def put_fitzpatrick17k(web: Web) -> list[str]:
    """Five rows: two good, one dead, one that is another picture today, one without an address."""
    good = [jpeg(1), jpeg(2)]
    hashes = [_digest(data, "md5") for data in good] + ["d" * 32, "e" * 32, "f" * 32]
    urls = [web.put("/atlas/1.jpg", good[0]), web.put("/atlas/img?imageId=2", good[1]),
            f"{web.url}/atlas/dead.jpg", web.put("/atlas/other.jpg", jpeg(3)), ""]
    header = ("md5hash,fitzpatrick_scale,fitzpatrick_centaur,label,nine_partition_label,three_partition_label,qc,"
              "url,url_alphanum\n")
    rows = "".join(f"{md5},3,-1,psoriasis,inflammatory,non-neoplastic,,{url},x\n"
                   for md5, url in zip(hashes, urls, strict=True))
    web.put("/fitzpatrick17k.csv", (header + rows).encode())
    return hashes


def put_scin(web: Web, published: Path) -> None:
    """The bucket, with what is in the folder."""
    for file in published.rglob("*.*"):
        web.put(f"/scin/{file.relative_to(published).as_posix()}", file.read_bytes())


def put_ham10000(web: Web, published: Path) -> None:
    """A listing as Dataverse gives it: the table ingested, with a hash of something else; other files beside."""
    entries = []
    for number, part in enumerate(sorted(published.glob("HAM10000_images_part_*"))):
        data = _zipped(sorted(part.glob("*.jpg")))
        # As Dataverse does: the file itself lies on a store elsewhere.
        store = {"Location": web.put(f"/store/{number}", data)}
        web.put(f"/dataverse/api/access/datafile/{number}", Answer(status=303, headers=store))
        entries.append({"id": number, "filename": f"{part.name}.zip", "filesize": len(data),
                        "md5": _digest(data, "md5")})
    table = (published / "HAM10000_metadata.csv").read_bytes()
    web.put("/dataverse/api/access/datafile/9?format=original", table)
    entries += [{"id": 9, "filename": "HAM10000_metadata.tab", "filesize": 1, "md5": "0" * 32,
                 "originalFileName": "HAM10000_metadata.csv", "originalFileFormat": "text/csv"},
                {"id": 10, "filename": "ISIC2018_Task3_Test_Images.zip", "filesize": 1, "md5": "0" * 32}]
    listing = [{"label": entry["filename"], "restricted": False, "dataFile": entry} for entry in entries]
    web.put(DBW86T, json.dumps({"status": "OK", "data": listing}).encode())


def put_pad_ufes(web: Web, published: Path) -> None:
    """A data set as Mendeley Data's public API gives it: archives with a folder inside; refuses our own name."""
    files = sorted((published / "images").glob("*.png"))
    data = {"metadata.csv": (published / "metadata.csv").read_bytes(),
            "imgs_part_1.zip": _zipped(files[:3], below="imgs_part_1/"),
            "imgs_part_2.zip": _zipped(files[3:], below="imgs_part_2/")}
    listing = [{"filename": name, "id": name, "size": len(body), "content_details": {
        "id": name, "sha256_hash": _digest(body, "sha256"), "size": len(body),
        "download_url": web.put(f"/files/{name}", body)}} for name, body in data.items()]
    answer = Answer(json.dumps({"id": "zr7vgbcyr2", "version": 1, "files": listing}).encode())
    web.put("/mendeley/public-api/datasets/zr7vgbcyr2",
            lambda asked: answer if asked.headers["User-Agent"].startswith("Mozilla") else Answer(status=403))
