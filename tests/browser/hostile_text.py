"""Texts that would run as code on a page that forgets to escape them, made from a grammar.

    [escape from where it stands] [tag with a handler, or a template, or an address], written in one of several ways

What runs sets window.__pwned; what becomes an element has the class mc-pwn, even where the browser would not run it.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

RUN = "window.__pwned=(window.__pwned||0)+1"
ESCAPES = (
    "",
    '"',
    "'",
    '">',
    "'>",
    "`",
    "</textarea>",
    "</script>",
    "</style>",
    "</title>",
    "-->",
    "]]>",
    "\\",
    "*/",
    ")//",
)
TAGS = (
    *(
        "<img class=mc-pwn src=x onerror={run}>",
        "<svg class=mc-pwn onload={run}>",
        "<script class=mc-pwn>{run}</script>",
    ),
    *("<iframe class=mc-pwn srcdoc='<script>parent.{run}</script>'>", "<details class=mc-pwn open ontoggle={run}>x"),
    *("<input class=mc-pwn autofocus onfocus={run}>", "<video class=mc-pwn src=x onerror={run}></video>"),
    *("<body class=mc-pwn onpageshow={run}>", "<a class=mc-pwn href='javascript:{run}'>x</a>", "<b class=mc-pwn>x</b>"),
    *("<style class=mc-pwn>@keyframes a{{}}</style><p style='animation:a 1s' onanimationstart={run}>",),
    *(
        "<math class=mc-pwn><mi xlink:href='javascript:{run}'>x</mi></math>",
        "<object class=mc-pwn data='javascript:{run}'>",
    ),
    *(
        "<svg class=mc-pwn><animate onbegin={run} attributeName=x dur=1s>",
        "<form class=mc-pwn action='javascript:{run}'>",
    ),
    *("<template class=mc-pwn><img src=x onerror={run}></template>", "<select class=mc-pwn onfocus={run} autofocus>"),
)
TEMPLATES = (
    "${{{run}}}",
    "{{{{{run}}}}}",
    "#{{{run}}}",
    "<%= {run} %>",
    "javascript:{run}",
    "data:text/html,<script>{run}</script>",
)


def _entities(text: str) -> str:
    return "".join(f"&#{ord(letter)};" if letter.isalpha() else letter for letter in text)


def _unicode(text: str) -> str:
    return text.replace("window", "\\u0077indow")


WAYS: tuple[Callable[[str], str], ...] = (
    lambda text: text,
    lambda text: text.replace(" ", "/", 1),
    lambda text: "".join(c.upper() if i % 2 else c for i, c in enumerate(text)) if "__pwned" not in text else text,
    lambda text: text.replace("<", "\x0b<").replace("=", " = ", 1),
    lambda text: text.replace(RUN, _entities(RUN)),
    lambda text: text.replace(RUN, _unicode(RUN)),
    lambda text: text.replace("<", "&lt;").replace(">", "&gt;"),
    lambda text: text.replace("<", "<<", 1),
    lambda text: text.replace(" ", "\t"),
)


def texts(most: int = 500, start: int = 7) -> list[str]:
    """Return so many different hostile texts, each of one line, in an order that `start` decides."""
    bodies = [tag.format(run=RUN) for tag in (*TAGS, *TEMPLATES)]
    made = {way(escape + body) for escape, body, way in itertools.product(ESCAPES, bodies, WAYS)}
    return random.Random(start).sample(sorted(made), most)
