"""Texts that people wrote, for the teacher to judge: what customers, editors and others say, and what words mean.

The sentences that were collected for VADER (Hutto & Gilbert 2014; the source package of vaderSentiment, MIT, carries
them): of product reviews, editorials and tweets. Those of film reviews are left out, for SST-2 was made of the same.
WordNet 3.0 (Princeton; Debian's package wordnet-base) explains words and gives examples: "cloying: overly sweet".
"""

import html
import random
import re
import tarfile
from pathlib import Path

from recipes._english_text import untokenize

_SOURCES = ("amazonReviewSnippets", "nytEditorialSnippets", "tweets")
_SHARE = {"adj": 1.0, "adv": 0.7, "verb": 0.3, "noun": 0.12}


def sentences(archive: Path) -> list[str]:
    """Sentences of 3 to 40 words without an address, in order, none twice."""
    found = {}
    with tarfile.open(archive) as files:
        for source in _SOURCES:
            text = files.extractfile(f"hutto_ICWSM_2014/{source}_GroundTruth.txt").read().decode("utf-8", "replace")
            for line in text.splitlines():
                sentence = untokenize(html.unescape(line.split("\t", 2)[-1]))
                if 3 <= len(sentence.split()) <= 40 and "http" not in sentence:
                    found[sentence] = None
    return list(found)


def meanings(folder: Path) -> list[str]:
    """A word with what it means, or an example of its use, for a share of WordNet's entries; none twice."""
    chance, found = random.Random(0), {}
    for kind, share in _SHARE.items():
        for line in (folder / f"data.{kind}").read_text(encoding="utf-8").splitlines():
            if line.startswith(" ") or chance.random() > share:
                continue
            entry, gloss = line.split(" | ", 1)
            word = re.sub(r"\(.*", "", entry.split()[4]).replace("_", " ")
            examples = [each for each in re.findall(r'"([^"]+)"', gloss) if len(each.split()) >= 2]
            meaning = gloss.split(";")[0].split('"')[0].strip()
            found |= dict.fromkeys(examples)
            if chance.random() < 0.5:
                found[f"{word}: {meaning}"] = None
    return list(found)
