"""The collections that `edge-mi data fetch` knows, and where PhysioNet serves them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edge_mi.errors import ConfigError

FILES_URL: Final = "https://physionet.org/files"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedCollection:
    """A collection as PhysioNet publishes it: its place, its licence, and where its terms are to be read."""

    slug: str
    version: str
    title: str
    licence: str
    doi: str

    @property
    def url(self) -> str:
        """The folder that holds SHA256SUMS.txt and everything that it lists."""
        return f"{FILES_URL}/{self.slug}/{self.version}"


PUBLISHED: Final = {
    "ptbxl": PublishedCollection(
        slug="ptb-xl", version="1.0.3", title="PTB-XL", doi="10.13026/kfzx-aw45",
        licence="Creative Commons Attribution 4.0",
    ),
    "ptbdb": PublishedCollection(
        slug="ptbdb", version="1.0.0", title="PTB Diagnostic ECG Database", doi="10.13026/C28C71",
        licence="Open Data Commons Attribution License 1.0",
    ),
    "ludb": PublishedCollection(
        slug="ludb", version="1.0.1", title="Lobachevsky University Electrocardiography Database",
        doi="10.13026/eegm-h675", licence="Open Data Commons Attribution License 1.0",
    ),
    "mimic-iv-ecg": PublishedCollection(
        slug="mimic-iv-ecg", version="1.0", title="MIMIC-IV-ECG", doi="10.13026/4nqg-sb35",
        licence="Open Data Commons Open Database License 1.0",
    ),
}  # fmt: skip


def collection(name: str) -> PublishedCollection:
    """The collection called `name`. Raises ConfigError for one that is not known."""
    try:
        return PUBLISHED[name]
    except KeyError:
        raise ConfigError(f"no collection {name}; expected one of {', '.join(PUBLISHED)}") from None
