"""How the storyteller's recipe cleans the classics, and what it keeps for measuring."""

import pytest

from recipes._stories_text import Story, held_out, paragraph, plain_quotes, split, stories_of, unfit

BOOK = """
JUST SO STORIES

By Somebody

TABLE OF CONTENTS:

 HOW THE FOX GOT HIS TAIL HOW THE HEN GOT HER COMB

HOW THE FOX GOT HIS TAIL

IN the wood, once upon a time, there was a VERY _sly_ fox, very sly indeed.[*]

[*] A kind of dog.

‘I’ll run,’ said he; ‘’tis late--too late!’

 Run, fox, run, As fast as you can!

The farmer lit his pipe and smiled.

CHAPTER II

 * * * * *

So he ran home.

HOW THE HEN GOT HER COMB

She found it.

*****

The author was born in a town.
"""


def test_a_book_is_cut_into_its_stories_and_only_they_remain():
    fox, hen = stories_of("Just So Stories", BOOK)
    assert (fox.title, hen.title) == ("HOW THE FOX GOT HIS TAIL", "HOW THE HEN GOT HER COMB")
    assert fox.parts == [
        [
            "In the wood, once upon a time, there was a very sly fox, very sly indeed.",
            '"I\'ll run," said he; "\'tis late—too late!"',
        ],
        ["So he ran home."],
    ]
    assert hen.parts == [["She found it."]]


def test_a_novel_begins_at_its_first_chapter_and_chapter_names_go():
    lines = ["TREASURE", "by A. Writer", " CONTENTS 1 2", "PART ONE--The Inn", "1", "The Old Dog", "It rained."]
    text = "\n\n".join([*lines, "THE END", "Note."])
    (novel,) = stories_of("Treasure Island", text)
    assert novel.title == "Treasure Island" and novel.parts == [["It rained."]]


@pytest.mark.parametrize(
    ("raw", "single", "clean"),
    [
        ("‘Don’t!’ said she.", True, '"Don\'t!" said she.'),
        ("‘He said “No” twice,’ said she.", True, "\"He said 'No' twice,\" said she."),
        ("“Who told ‘em?” asked Anne’s aunt.", False, "\"Who told 'em?\" asked Anne's aunt."),
    ],
)
def test_speech_is_in_straight_double_marks(raw, single, clean):
    assert plain_quotes(raw, single) == clean


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("[Illustration: “A FOX”]", ""),
        ("Page 34, quotation mark added.", ""),
        ("The Swineherd", ""),
        ("“I am NOT a fox,” said MARY in CHAPTER IV.", '"I am not a fox," said Mary in chapter IV.'),
        ("It was--well--late.", "It was—well—late."),
    ],
)
def test_a_paragraph_loses_what_is_not_the_story(raw, clean):
    assert paragraph(raw, common=frozenset({"am", "not", "chapter"})) == clean


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("The Savages danced.", "savages"),
        ("A slaughterhouse.", "slaughterhouse"),
        ("He took a cut-throat home.", "cut-throat"),
        ("They passed the class with a shell and a begun mission.", None),
        ("", None),
    ],
)
def test_whole_words_and_beginnings_are_unfit_and_their_likes_are_not(text, word):
    assert unfit(text) == word


def test_the_split_is_by_story_and_keeps_twins_and_novels_to_read():
    title = next(f"THE TALE OF {n}" for n in range(99) if held_out(Story("Grimms Fairy Tales", f"THE TALE OF {n}")))
    kept, twin, novel = (
        Story("Grimms Fairy Tales", title),
        Story("Grimms Fairy Tales", f"{title} HANSEL"),
        Story("Novel", title),
    )
    assert split([kept, twin, novel]) == ([twin, novel], [kept])
