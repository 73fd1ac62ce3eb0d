"""Which files a batch consists of."""

from PIL import Image

from workers.intake import Candidate, Ignored, Linked, walk


def test_folders_are_walked_in_order_and_every_file_is_answered_once(tmp_path):
    for name in ("b/2.JPG", "b/10.jpg", "a/z.tif", ".trash/x.jpg", "b/.hidden.jpg", "notes.txt", "MOVIE.MP4"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    Image.new("RGB", (4, 4)).save(tmp_path / "picture.dat", "JPEG")
    found = list(walk([tmp_path, tmp_path / "b" / "2.JPG", tmp_path / "gone.jpg"]))
    names = [one.name for one in found if isinstance(one, Candidate)]
    assert names == ["MOVIE.MP4", "picture.dat", "a/z.tif", "b/10.jpg", "b/2.JPG", "gone.jpg"]
    assert [one.path.name for one in found if isinstance(one, Ignored)] == ["notes.txt"]


def test_what_was_named_itself_is_never_passed_over(tmp_path):
    note = tmp_path / "notes.txt"
    note.write_text("x")
    assert list(walk([note])) == [Candidate(note, "notes.txt")]


def test_a_folder_that_links_to_itself_ends(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "a.jpg").write_text("x")
    found = list(walk([tmp_path]))
    assert [(one.path.name, type(one)) for one in found] == [("loop", Ignored), ("a.jpg", Candidate)]


def test_a_link_in_a_folder_is_refused_by_name_and_one_that_was_named_is_followed(tmp_path):
    outside = tmp_path / "elsewhere.jpg"
    outside.write_text("x")
    folder = tmp_path / "card"
    folder.mkdir()
    (folder / "link.jpg").symlink_to(outside)
    (folder / "broken.jpg").symlink_to(tmp_path / "gone")
    (folder / "notes.txt").symlink_to(outside)
    found = list(walk([folder, folder / "link.jpg"]))
    assert {one.path.name: one.refused.reason for one in found if isinstance(one, Linked)} == {
        "link.jpg": "link",
        "broken.jpg": "link",
    }
    assert [one.path.name for one in found if isinstance(one, Ignored)] == ["notes.txt"]
    assert list(walk([folder / "link.jpg"])) == [Candidate(folder / "link.jpg", "link.jpg")]
