"""What a peer calls his file never decides where it goes."""

from pathlib import Path

import pytest

from wigwag.node.chat.names import readable_size, reserve, safe_name


@pytest.mark.parametrize(
    ("wanted", "safe"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\bob\\report.pdf", "report.pdf"),
        (".bashrc", "bashrc"),
        ("..", "file"),
        ("", "file"),
        (None, "file"),
        ("-rf", "_-rf"),
        ("a\x00b\x1b[31m\u202efdp.exe", "a_b_[31m_fdp.exe"),
        ("nul.txt", "_nul.txt"),
        ("a;rm -rf $HOME|`x`", "a_rm -rf _HOME__x_"),
        ("größe 1.txt", "größe 1.txt"),
    ],
)
def test_names_are_made_safe(wanted: str | None, safe: str) -> None:
    assert safe_name(wanted) == safe


def test_long_names_keep_their_endings() -> None:
    name = safe_name("ä" * 500 + ".tar.gz")
    assert len(name.encode()) <= 150
    assert name.endswith("ä.gz")
    assert len(safe_name("x." + "y" * 500).encode()) == 150


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("mine")
    (tmp_path / "a (1).txt").symlink_to(tmp_path / "elsewhere")
    assert reserve(tmp_path, "a.txt").name == "a (2).txt"
    assert (tmp_path / "a.txt").read_text() == "mine"
    assert not (tmp_path / "elsewhere").exists()


def test_sizes_are_readable() -> None:
    assert [readable_size(octets) for octets in (0, 1023, 1024, 5_000_000)] == [
        "0 octets",
        "1023 octets",
        "1.0 KiB",
        "4.8 MiB",
    ]
