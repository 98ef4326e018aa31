"""Pictures are read alike from directories and archives, here and on other file systems."""

import errno
import gc
import io
import os
import random
import tarfile
import tempfile
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest
from apache_beam.io.filesystems import FileSystems

from beam_jobs import stores
from beam_jobs.stores import PictureUnreadable, open_store
from records.dead_letters import Reason
from records.errors import UserError

FILES = {f"{number}.jpg": bytes([number]) * (100 + 37 * number) for number in range(40)}


def zipped(files, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", compression) as archive:
        warnings.simplefilter("ignore")  # of duplicate names
        for name, content in files:
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(files, format_=tarfile.PAX_FORMAT):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format_) as archive:
        for name, content in files:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def deflated(files):
    return zipped(files, zipfile.ZIP_DEFLATED)


ARCHIVES = {"stored.zip": zipped, "deflated.ZIP": deflated, "plain.tar": tarred}
both_archives = pytest.mark.parametrize(
    ("name", "pack"), [("images.zip", zipped), ("images.tar", tarred)]
)


def stored(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    return open_store(str(path))


def refusal(store, key):
    with pytest.raises(PictureUnreadable) as refused:
        store.read(key)
    assert refused.value.detail and "\n" not in refused.value.detail
    return refused.value.reason


def complaint(path):
    with pytest.raises(UserError) as error:
        open_store(str(path))
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    return str(error.value)


def put(kind, where, files):
    """Lay files out as a store of some kind; returns its path."""
    if isinstance(where, dict):
        base = "mem://bucket/Images"
        if kind == "directory":
            where |= {f"{base}/{name}": content for name, content in files.items()}
            return base
        where[f"{base}/{kind}"] = ARCHIVES[kind](files.items())
        return f"{base}/{kind}"
    if kind == "directory":
        for name, content in files.items():
            (where / name).write_bytes(content)
        return str(where)
    (where / kind).write_bytes(ARCHIVES[kind](files.items()))
    return str(where / kind)


@pytest.mark.parametrize("kind", ["directory", *ARCHIVES])
@pytest.mark.parametrize("is_remote", [False, True])
def test_every_kind_of_store_gives_the_same_bytes(kind, is_remote, tmp_path, memory):
    store = open_store(put(kind, memory if is_remote else tmp_path, FILES))
    keys = [*FILES] * 20
    random.Random(1).shuffle(keys)
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(store.read, keys)) == [FILES[key] for key in keys]
    assert refusal(store, "41.jpg") == Reason.MISSING
    assert refusal(store, "x" * 300) == Reason.MISSING


@pytest.mark.parametrize("kind", ["directory", *ARCHIVES])
@pytest.mark.parametrize("is_remote", [False, True])
def test_max_bytes_is_a_limit_not_beyond(kind, is_remote, tmp_path, memory, monkeypatch):
    monkeypatch.setattr(stores, "MAX_BYTES", 1000)
    files = {"fits.jpg": b"x" * 1000, "large.jpg": b"x" * 1001}
    store = open_store(put(kind, memory if is_remote else tmp_path, files))
    assert store.read("fits.jpg") == files["fits.jpg"]
    assert refusal(store, "large.jpg") == Reason.TOO_LARGE


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("nowhere")])
def test_what_is_no_file_of_a_directory_is_missing(make, tmp_path):
    make(tmp_path / "1.jpg")
    assert refusal(open_store(str(tmp_path)), "1.jpg") == Reason.MISSING


@pytest.mark.parametrize("is_remote", [False, True])
def test_a_failing_disk_is_no_missing_picture(is_remote, tmp_path, memory, monkeypatch):
    def fail(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    store = open_store(put("directory", memory if is_remote else tmp_path, FILES))
    monkeypatch.setattr(type(FileSystems.get_filesystem("mem://")), "open", fail)
    monkeypatch.setattr("beam_jobs.stores.open", fail, raising=False)
    with pytest.raises(OSError, match="Input/output error"):
        store.read("1.jpg")


@both_archives
def test_members_are_found_by_base_name(name, pack, tmp_path):
    files = [("./a/b/1.jpg", b"one"), ("2.jpg", b"two"), ("c\\3.jpg", b"three"), ("é ü.jpg", b"u")]
    store = stored(tmp_path, name, pack([*files, ("x" * 150 + "/4.jpg", b"four")]))
    keys = ["1.jpg", "2.jpg", "3.jpg", "é ü.jpg", "4.jpg"]
    assert [store.read(key) for key in keys] == [b"one", b"two", b"three", b"u", b"four"]


@both_archives
def test_two_members_of_one_name_are_ambiguous(name, pack, tmp_path):
    files = [("a/1.jpg", b"one"), ("b/1.jpg", b"two"), ("2.jpg", b""), ("c/1.jpg", b"three")]
    store = stored(tmp_path, name, pack(files))
    assert refusal(store, "1.jpg") == Reason.DUPLICATE_KEY
    assert store.read("2.jpg") == b""


@both_archives
def test_what_macos_adds_is_ignored(name, pack, tmp_path):
    files = [("a/1.jpg", b"one"), ("__MACOSX/a/1.jpg", b"-"), ("a/._1.jpg", b"-")]
    store = stored(tmp_path, name, pack([*files, ("a/.DS_Store", b"-")]))
    assert store.read("1.jpg") == b"one"
    assert refusal(store, "._1.jpg") == refusal(store, ".DS_Store") == Reason.MISSING


@pytest.mark.parametrize("type_", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, b"3", b"S"])
def test_only_regular_members_of_a_tar_are_pictures(type_, tmp_path):
    info = tarfile.TarInfo("1.jpg")
    info.type, info.linkname = type_, "/etc/hostname"
    store = stored(tmp_path, "images.tar", tarred([(info, b""), ("2.jpg", b"two")]))
    assert refusal(store, "1.jpg") == Reason.MISSING
    assert store.read("2.jpg") == b"two"


def test_links_and_directories_of_a_zip_are_no_pictures(tmp_path):
    link = zipfile.ZipInfo("1.jpg")
    link.external_attr = 0o120777 << 16
    files = [(link, "/etc/hostname"), ("3.jpg/", b""), ("2.jpg", b"two")]
    store = stored(tmp_path, "images.zip", zipped(files))
    assert refusal(store, "1.jpg") == refusal(store, "3.jpg") == Reason.MISSING


@pytest.mark.parametrize("format_", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_form_of_tar_is_read(format_, tmp_path):
    files = [(f"{'d' * 90}/{'n' * 90}.jpg", b"long"), ("1.jpg", b"one")]
    store = stored(tmp_path, "images.tar", tarred(files, format_))
    assert store.read("n" * 90 + ".jpg") == b"long"


def test_a_member_that_inflates_beyond_its_announced_size_is_refused(tmp_path):
    archive = deflated([("bomb.jpg", bytes(50 * 2**20))])
    lie = archive.replace((50 * 2**20).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    assert lie != archive
    assert refusal(stored(tmp_path, "images.zip", lie), "bomb.jpg") == Reason.UNDECODABLE


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressions_whose_output_python_does_not_bound_are_refused(method, tmp_path):
    store = stored(tmp_path, "images.zip", zipped([("1.jpg", bytes(10**6))], method))
    assert refusal(store, "1.jpg") == Reason.UNDECODABLE


def test_an_encrypted_member_is_named_as_such(tmp_path):
    archive = bytearray(zipped([("1.jpg", b"one"), ("2.jpg", b"two")]))
    # The first bit of the flags, at byte 8 of a header in the directory.
    archive[archive.index(b"PK\1\2") + 8] |= 1
    store = stored(tmp_path, "images.zip", archive)
    with pytest.raises(PictureUnreadable, match="encrypted") as refused:
        store.read("1.jpg")
    assert refused.value.reason == Reason.UNDECODABLE
    assert store.read("2.jpg") == b"two"


def test_a_damaged_member_costs_no_other(tmp_path):
    archive = bytearray(zipped([("1.jpg", b"one one one"), ("2.jpg", b"two")]))
    archive[archive.index(b"one one")] ^= 1
    store = stored(tmp_path, "images.zip", archive)
    assert refusal(store, "1.jpg") == Reason.UNDECODABLE
    assert store.read("2.jpg") == b"two"


@pytest.mark.parametrize("kind", ARCHIVES)
@pytest.mark.parametrize("share", [0, 0.3, 0.6])
def test_a_cut_archive_is_damaged(kind, share, tmp_path):
    whole = ARCHIVES[kind]([(name, random.Random(1).randbytes(3000)) for name in FILES])
    (tmp_path / kind).write_bytes(whole[: int(share * len(whole))])
    assert "is damaged" in complaint(tmp_path / kind)


def test_a_broken_header_in_the_middle_of_a_tar_hides_nothing(tmp_path):
    archive = bytearray(tarred([("1.jpg", b"one"), ("2.jpg", b"two"), ("3.jpg", b"three")]))
    archive[archive.index(b"2.jpg")] ^= 1
    (tmp_path / "images.tar").write_bytes(archive)
    assert "no header at byte 1024" in complaint(tmp_path / "images.tar")


def test_a_tar_header_that_points_back_is_no_endless_loop(tmp_path):
    info = tarfile.TarInfo("1.jpg")
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    # A negative size, in base 256; the checksum is the sum of the bytes with itself as blanks.
    header[124:136] = b"\xff" * 10 + b"\xfc\x00"
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    (tmp_path / "images.tar").write_bytes(bytes(header) + bytes(1024))
    assert "damaged" in complaint(tmp_path / "images.tar")


def test_the_number_of_members_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(stores, "MAX_MEMBERS", 39)
    for kind in ("stored.zip", "plain.tar"):
        assert "more than 39 files" in complaint(put(kind, tmp_path, FILES))


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_an_empty_archive_is_a_mistake(pack, tmp_path):
    path = tmp_path / ("images.zip" if pack is zipped else "images.tar")
    path.write_bytes(pack([]))
    assert "holds no file" in complaint(path)


@pytest.mark.parametrize("name", ["i.tar.gz", "i.TGZ", "i.tar.bz2", "i.tar.xz", "i.txz"])
def test_compressed_tars_are_refused_with_the_remedy(name, tmp_path):
    assert "uncompress it first" in complaint(tmp_path / name)


def test_a_gzip_file_that_is_called_tar_is_refused(tmp_path):
    (tmp_path / "images.tar").write_bytes(b"\x1f\x8b\x08" + bytes(2000))
    assert "is damaged" in complaint(tmp_path / "images.tar")


@pytest.mark.parametrize("name", ["images", "images.zip", "images.tar"])
@pytest.mark.parametrize("is_remote", [False, True])
def test_a_path_that_is_not_there_names_its_flag(name, is_remote, tmp_path, memory):
    base = "mem://bucket" if is_remote else tmp_path
    assert "--images" in complaint(f"{base}/{name}")


@pytest.mark.parametrize("is_remote", [False, True])
def test_a_file_of_another_kind_is_refused(is_remote, tmp_path, memory):
    path = put("directory", memory if is_remote else tmp_path, {"images.rar": b"Rar!"})
    assert "is no picture store" in complaint(f"{path}/images.rar")


def test_the_copy_of_a_remote_archive_vanishes_with_its_store(tmp_path, memory, monkeypatch):
    copies, make = [], tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: copies.append(make()) or copies[0])
    store = open_store(put("plain.tar", memory, FILES))
    assert len(copies) == 1 and list(tmp_path.iterdir()) == []
    del store
    gc.collect()
    assert copies[0].closed


def test_a_full_disk_names_the_directory(tmp_path, memory, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = put("plain.tar", memory, FILES)
    monkeypatch.setattr("shutil.copyfileobj", fail)
    assert "TMPDIR" in complaint(path)
