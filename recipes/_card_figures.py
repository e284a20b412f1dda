"""What the model cards tell of each model's metrics.json: rows of what was measured and the value."""


def percent(measured: dict) -> str:
    """Example: {"value": .9, "low": .88, "high": .92, "n": 872} gives "90.0 % (95 % interval 88.0-92.0, n = 872)"."""
    value, low, high = (f"{100 * measured[key]:.1f}" for key in ("value", "low", "high"))
    return f"{value} % (95 % interval {low}-{high}, n = {measured['n']:,})"


def _topics(m: dict) -> tuple[str, str]:
    what = f"zero-shot: the right one of {len(m['topics'])} topics ({', '.join(m['topics'])}) for everyday sentences"
    return f"{what} (`tests/models/topics_ko.tsv`)", percent(m["topic_first"])


def sentiment_en(m: dict) -> list[tuple[str, str]]:
    return [
        ("SST-2 development sentences, as the treebank has them", percent(m["sst2_dev"])),
        ("the same, written the ordinary way (don't, commas without spaces)", percent(m["sst2_dev_as_written"])),
        ("everyday sentences of this project (`tests/models/everyday_en.tsv`)", percent(m["everyday"])),
    ]


def entities_en(m: dict) -> list[tuple[str, str]]:
    dev = m["wnut17_dev"]
    kinds = ", ".join(f"{kind} {100 * f1:.1f}" for kind, f1 in dev["by_type"].items())
    return [
        (
            f"WNUT-17 development part: F1 of exact names with the right type (n = {dev['n']})",
            f"{100 * dev['f1']:.1f} %",
        ),
        ("the same: precision, recall", f"{100 * dev['precision']:.1f} %, {100 * dev['recall']:.1f} %"),
        ("the same: F1 by type", kinds),
        ("the same: F1 of exact names, whatever their type", f"{100 * dev['f1_whatever_the_type']:.1f} %"),
        ("the same, all in lower case: F1 with the right type", f"{100 * m['in_lower_case']:.1f} %"),
    ]


def answer_en(m: dict) -> list[tuple[str, str]]:
    all_, by_article = m["held_out"], m["held_out_article_by_article"]
    return [
        (
            f"token F1, all questions of three articles never trained on (n = {all_['n']:,})",
            f"{100 * all_['f1']:.1f} %",
        ),
        (f"the same, questions with an answer (n = {all_['n_answerable']:,})", f"{100 * all_['f1_answerable']:.1f} %"),
        ("the same, questions without an answer: how often it says so", f"{100 * all_['f1_unanswerable']:.1f} %"),
        (
            "questions with an answer, were it not allowed to say that there is none",
            f"{100 * all_['f1_answerable_when_it_must_answer']:.1f} %",
        ),
        (
            "all questions, and those with an answer, where the line for no answer is set on the other two articles",
            f"{100 * by_article['f1']:.1f} %, {100 * by_article['f1_answerable']:.1f} %",
        ),
        (
            "all questions, by article",
            ", ".join(f"{t.replace('_', ' ')} {100 * f:.1f}" for t, f in m["articles"].items()),
        ),
    ]


def sentiment_ko(m: dict) -> list[tuple[str, str]]:
    films, daily = m["films_three_classes"], m["everyday_three_classes"]
    return [
        ("films never trained on, negative or positive, as the reviews come", percent(m["films_as_they_come"])),
        ("the same, as many negative as positive", percent(m["films_balanced"])),
        ("the same films, three classes", f"{percent(films)}, macro F1 {films['macro_f1']:.3f}"),
        ("everyday sentences (`tests/models/everyday_ko.tsv`), negative or positive", percent(m["everyday"])),
        ("everyday sentences, three classes", f"{percent(daily)}, macro F1 {daily['macro_f1']:.3f}"),
    ]


def fill_mask_ko(m: dict) -> list[tuple[str, str]]:
    rows = [
        (
            f"hidden words guessed first, reviews of films never trained on (n = {m['masked_words']:,})",
            f"{100 * m['first']:.1f} %",
        ),
        ("the same, among the first five guesses", f"{100 * m['among_five']:.1f} %"),
        ("the same, mean cross-entropy", f"{m['loss']:.2f} nats"),
    ]
    return rows + [
        (f"guesses for “{prompt}”", ", ".join(f"`{piece}`" for piece in pieces))
        for prompt, pieces in m["examples"].items()
    ]


def clip_emoji(m: dict) -> list[tuple[str, str]]:
    rows = []
    for key, language in (("en", "English"), ("ko", "Korean")):
        f = m[key]
        rows += [
            (f"the {language} name found first among all {m['emoji']:,}, on new backgrounds", percent(f["first"])),
            ("the same, among the first five", percent(f["among_five"])),
            ("the same, first, every name in a sentence", percent(f["in_a_sentence"])),
        ]
        rows += [(f"the bare picture on {kind}, first", percent(value)) for kind, value in f["bare"].items()]
        for what in ("scale", "background", "group"):
            values = ", ".join(f"{name} {100 * value:.0f} %" for name, value in f[f"by_{what}"].items())
            rows.append((f"first, by {what}", values))
    return rows


def flux_emoji(m: dict) -> list[tuple[str, str]]:
    rows = []
    for key, language in (("en", "English"), ("ko", "Korean")):
        f = m[key]
        groups = ", ".join(f"{name} {100 * value:.0f} %" for name, value in f["by_group"].items())
        rows += [
            (
                f"{language}: of pictures drawn for names chosen at random, how many pocket/clip-emoji finds among "
                f"{m['emoji']:,} names, among its first five",
                percent(f["among_five"]),
            ),
            ("the same, first", percent(f["first"])),
            (
                "the true pictures at 64 x 64, among the first five (the ceiling)",
                percent(f["true_pictures"]["among_five"]),
            ),
            ("the same after the autoencoder", percent(f["through_the_autoencoder"]["among_five"])),
            ("among the first five, by group", groups),
        ]
    return rows


def entities_ko(m: dict) -> list[tuple[str, str]]:
    def entities(measured: dict) -> str:
        f1, precision, recall = (f"{100 * measured[key]:.1f}" for key in ("f1", "precision", "recall"))
        return f"F1 {f1} % (precision {precision}, recall {recall}; n = {measured['n']:,})"

    return [
        (f"entities of {m['sentences']} held-out sentences, start, end and type all right", entities(m["entities"])),
        ("the same, joined by transformers' own pipeline", entities(m["not_settled"])),
        ("the first figure's, in news", entities(m["news"])),
        ("in film reviews", entities(m["reviews"])),
        *((f"of type {kind}", entities(measured)) for kind, measured in m["types"].items()),
    ]


def stories_en(m: dict) -> list[tuple[str, str]]:
    rows = [
        (
            f"perplexity per character, {m['stories']} whole stories never trained on ({m['characters']:,} characters)",
            f"{m['perplexity_per_character']:.3f}",
        ),
        (
            "the same, in nats and in bits per character",
            f"{m['nats_per_character']:.3f}, {m['bits_per_character']:.3f}",
        ),
        (
            f"nats per piece ({m['characters_per_piece']:.2f} characters each; guessing blindly: 8.32)",
            f"{m['nats_per_piece']:.3f}",
        ),
        ("nats per character, by book", ", ".join(f"{book} {value:.3f}" for book, value in m["by_book"].items())),
        (f"of {m['samples_read']} samples, how many hold a word of the list", str(m["samples_with_unfit_words"])),
    ]
    return rows + [("a sample, not picked", sample.replace("\n", " ").replace("|", " ")) for sample in m["samples"]]


def stars_ko(m: dict) -> list[tuple[str, str]]:
    def listed(values: list[float], unit: str = "") -> str:
        return ", ".join(f"{star}: {value:.2f}{unit}" for star, value in enumerate(values, 1))

    return [
        (
            f"films never trained on, mean absolute error of the likeliest star, as the reviews come "
            f"(n = {m['reviews']:,})",
            f"{m['mean_absolute_error']:.3f} stars",
        ),
        ("the same, all five stars counting the same", f"{m['balanced']:.3f} stars"),
        ("the same reviews, error of the mean of the probabilities", f"{m['of_the_mean']:.3f} stars"),
        ("the same reviews, if every review got the star that suits most", f"{m['always_the_same']:.3f} stars"),
        ("exactly right", percent(m["exact"])),
        ("at most one star off", percent(m["at_most_one_off"])),
        ("error by the true star", listed(m["by_star"])),
        ("share of each star among the reviews", listed([100 * v for v in m["share"]], " %")),
        ("share of each star among the answers", listed([100 * v for v in m["given"]], " %")),
    ]


def sentences_ko(m: dict) -> list[tuple[str, str]]:
    return [
        (
            f"KorSTS development pairs, rank correlation of cosine and rating (n = {m['pairs']:,})",
            f"{m['spearman']:.3f} (95 % interval {m['spearman_low']:.3f}-{m['spearman_high']:.3f})",
        ),
        ("the same, Pearson's correlation", f"{m['pearson']:.3f}"),
        ("the same pairs, rank correlation of the body alone (pocket/fill-mask-ko)", f"{m['body_spearman']:.3f}"),
        _topics(m),
    ]


def entail_ko(m: dict) -> list[tuple[str, str]]:
    by_label = ", ".join(f"{label} {100 * right:.1f} %" for label, right in m["right_of"].items())
    return [
        ("XNLI-ko, pairs with premises never trained on", percent(m["held_out"])),
        ("the same, by the right answer", by_label),
        ("the same, always the commonest label", f"{100 * m['commonest']:.1f} %"),
        _topics(m),
    ]
