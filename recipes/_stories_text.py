"""Children's classics made into clean stories: no title pages, verses, notes or headings, nothing unfit for a class."""

import gzip
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from zlib import crc32

UNFIT = Path(__file__).parent / "unfit_en.txt"
# Books of many stories. All others are one story each.
COLLECTIONS = (
    "Andersen s Fairy Tales",
    "Grimms Fairy Tales",
    "Just So Stories",
    "The Adventures of Sherlock Holmes",
    "The Blue Fairy Book",
    "The Jungle Book",
)
JUNGLE = ("Mowgli’s Brothers", "Kaa’s Hunting", "“Tiger! Tiger!”", "The White Seal", "“Rikki-Tikki-Tavi”",
          "Toomai of the Elephants", "Her Majesty’s Servants")  # fmt: skip
# Told by both the Grimms and Lang, or by Andersen in parts: a story must not stand on both sides of the split.
TWINS = re.compile(
    r"HANSEL|RUMPEL|GOOSE-GIRL|SNOW-WHITE|TAILOR|FEAR WAS|RED RIDING|SLEEPING BEAUTY|BRIAR ROSE|CINDERELLA|ASHPUTTEL"
    r"|LITTLE THUMB|TOM THUMB|ROBBER BRIDEGROOM|BLUE BEARD|TOADS AND DIAMONDS|MOTHER HOLLE"
)
HELD_OUT = 8  # one story of so many, of the collections, is held out
PART = re.compile(
    r"(CHAPTER|PART|ADVENTURE)\b.{0,80}|(FIRST|SECOND|THIRD|FOURTH|FIFTH|SIXTH|SEVENTH) STORY\b.{0,70}"
    r"|[IVX]+\.?|[IVX]+\. .{3,70}|\d+\.?|\d+\. .{3,70}"
)
BARE = re.compile(r"(CHAPTER )?([IVXL]+|\d+)\.?")
SENTENCE_END = re.compile(r"[.?!,;:)\"—…-]$")
# Words that begin with an apostrophe, which the single quotation marks of five books must not swallow.
ELIDED = re.compile(r"[‘'](?=(?:[Tt]is|[Tt]was|[Tt]were|[Tt]will|em|[Ss]tute|cause|tself|n|un|ud|ere|satiable)\b)")


@dataclass
class Story:
    """``parts`` are chapters, each a list of paragraphs."""

    book: str
    title: str
    parts: list[list[str]] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n\n".join(paragraph for part in self.parts for paragraph in part)


def read_stories(path: Path) -> list[Story]:
    """All stories of the file, cleaned; those too short to be a story are left out."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        books = re.split(r"^# (.+)$", file.read(), flags=re.MULTILINE)[1:]
    stories = [s for name, text in zip(books[::2], books[1::2], strict=True) for s in stories_of(name, text)]
    return [story for story in stories if len(story.text) > 1_000]


def stories_of(book: str, text: str) -> list[Story]:
    """Cut a book at its headings and clean what is between.

    Example: stories_of("Just So Stories", "BY ME\\n\\nHOW IT BEGAN\\n\\nOnce there was a _fox_.") gives one story,
    "HOW IT BEGAN", with the parts [["Once there was a fox."]].
    """
    stories, skip = [], False
    single = text.count("‘") > 3 * text.count("“")
    common = frozenset(re.findall(r"\b[a-z]{2,}\b", text))
    for raw in re.split(r"\n\s*\n", text.strip("\n")):
        line = raw.strip()
        if line in ("THE END", "*****", "Arthur Conan Doyle"):
            break
        if raw.startswith(" "):  # verses, tables of contents, letters: whatever the page sets apart
            skip = False
            continue
        title = begins_story(book, line)
        if title:
            stories.append(Story(book, title, [[]]))
        elif PART.fullmatch(line):
            if book not in COLLECTIONS and not stories:
                stories.append(Story(book, book))
            if stories:
                stories[-1].parts.append([])
        elif stories and not skip:
            clean = paragraph(line, single, common)
            if clean and not unfit(clean):
                stories[-1].parts[-1].append(clean)
        # A chapter whose heading is a number alone has its name in the next line.
        skip = bool(BARE.fullmatch(line)) and book not in COLLECTIONS
    return [Story(s.book, s.title, [part for part in s.parts if part]) for s in stories]


def begins_story(book: str, line: str) -> str | None:
    """The title, if this line is one that begins a story of a collection."""
    if book == "The Jungle Book":
        return line if line in JUNGLE else None
    if book == "The Adventures of Sherlock Holmes":
        found = re.fullmatch(r"(?:ADVENTURE )?[IVX]+\. ([A-Z][A-Z' -]{6,})", line)
        return found[1] if found else None
    if book not in COLLECTIONS or len(line) > 80 or not re.fullmatch(r"[A-Z][A-Z’'.,;:()\[\] -]{3,}", line):
        return None
    return (
        None
        if PART.fullmatch(line) or re.match(r"(CONTENTS|TABLE|PREPARER|.*FAIRY (TALES|BOOK)$)|JUST SO", line)
        else line
    )


def paragraph(text: str, single: bool = False, common: frozenset[str] = frozenset()) -> str:
    """One paragraph as it is read today: straight quotation marks, no marks of italics or notes, no shouting.

    Args:
        text: The paragraph, on one line.
        single: The book puts speech in single quotation marks.
        common: Words that the book writes in small letters too; others in capitals are names.

    Returns:
        The cleaned paragraph; "" for notes, pictures, headings and lines of stars.
    """
    if re.match(r"\*|\[(Illustration|\*|later)|\(\d\)|\W*$", text) or "http:" in text or re.match(r"Page \d", text):
        return ""
    text = re.sub(r"\[\*+\]|\(\d\)|(?<=\w)\*+|\*+(?=\s|$)|[|_`]", "", text)
    if re.search(r"[\[\]*/&]", text):
        return ""
    text = re.sub(r"\s*-{2,}\s*", "—", text)
    text = plain_quotes(text, single)
    text = re.sub(r"(?<![\w'])([A-Z]{2,}(?:'[A-Z]+)?)(?![\w])", lambda m: quiet(m, text, common), text)
    text = re.sub(r"\s+", " ", text).strip()
    return text if SENTENCE_END.search(text) else ""


def plain_quotes(text: str, single: bool = False) -> str:
    """Speech in straight double quotation marks, speech within speech and apostrophes in straight single ones.

    Example: plain_quotes("‘I won’t!’ said the fox.", single=True) gives '"I won\\'t!" said the fox.'
    """
    text = ELIDED.sub("’", text)
    if single:
        text = re.sub(r"[“”]", "\0", text)
        text = text.replace("‘", '"')
        text = re.sub(r"(?<=[.,;:?!—\0)-])’(?!\w)|^’|(?<=\s)’(?=\W|$)", '"', text)
        text = re.sub(r'("[^"’]{1,60}\w)’(?!\w)', r'\1"', text)
        text = text.replace("\0", "'")
    return re.sub(r"[‘’]", "'", re.sub(r"[“”]", '"', text))


def quiet(match: re.Match, text: str, common: frozenset[str]) -> str:
    """A word in capitals for emphasis, in small letters, names with a capital; Roman numerals stay."""
    word = match[1]
    if re.fullmatch(r"[IVXL]+", word):
        return word
    before = text[: match.start()].rstrip()
    starts = not before or before[-1] in '.?!"' or word.split("'")[0].lower() not in common
    return word.capitalize() if starts else word.lower()


@cache
def unfit_words() -> tuple[frozenset[str], tuple[str, ...], tuple[str, ...]]:
    """(whole words, beginnings of words, phrases) of the list."""
    lines = [line.strip() for line in UNFIT.read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    single = [line for line in lines if line.rstrip("*").isalpha()]
    return (
        frozenset(line for line in single if not line.endswith("*")),
        tuple(line[:-1] for line in single if line.endswith("*")),
        tuple(" " + line.rstrip("*") for line in lines if line not in single),
    )


def unfit(text: str) -> str | None:
    """The first word in a text that is unfit for a class, or an unfit phrase; None when there is none.

    Example: unfit("He lit his pipe.") gives "pipe"
    """
    words, beginnings, phrases = unfit_words()
    lowered = text.lower()
    for word in re.findall(r"[^\W_]+", lowered):
        if word in words or word.startswith(beginnings):
            return word
    return next((phrase.strip() for phrase in phrases if phrase in f" {lowered}"), None)


def held_out(story: Story) -> bool:
    """Whether a story is kept for measuring: some of the collections, by a checksum of the title; never a twin."""
    title = story.title.upper()
    return story.book in COLLECTIONS and not TWINS.search(title) and crc32(title.encode()) % HELD_OUT == 0


def split(stories: list[Story]) -> tuple[list[Story], list[Story]]:
    """(to train on, to measure on)"""
    return [s for s in stories if not held_out(s)], [s for s in stories if held_out(s)]
