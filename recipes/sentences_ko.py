"""Trains pocket/sentences-ko: vectors of Korean sentences and words, from one table of word pieces.

    python -m recipes.sentences_ko --data DIR              train, measure, write the card
    python -m recipes.sentences_ko --data DIR --evaluate   only measure: reproduces every figure of the card

DIR holds ``korsts_train.tsv``, ``korsts_dev.tsv`` and ``klue_nli.json``. The model is a BERT without any layer: the
mean of its pieces' vectors, rare pieces counting more, which in little time is better than three layers (see the card).
It begins with the pieces of pocket/fill-mask-ko. The teacher is asked once; its answers and the checkpoint lie in
``--work``. ``--held-out`` keeps a tenth of the rated pairs aside to try settings on.
"""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import embedding_bag, layer_norm, normalize
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel

from recipes import _korean_teacher_vectors as teacher
from recipes._cards import write_card
from recipes._korean_sentences import (
    ABOUT,
    Pairs,
    hold_out,
    read_inference,
    read_sts,
    topics_to_find,
    whole_words,
    without,
)
from recipes._smaller import in_eight_bits
from recipes._training import accuracy, publish, save_checkpoint, write_json

POCKET = Path(__file__).parent.parent / "assets" / "pocket"
BODY, FOLDER = POCKET / "fill-mask-ko", POCKET / "sentences-ko"
EVERYDAY = Path(__file__).parent / "everyday_ko_train.tsv"
WIDTH, BALLAST, LENGTH = 256, 8, 512
MEANING = WIDTH - BALLAST
WORDS = 3000


class Table(torch.nn.Module):
    """Vectors of pieces, as BERT's embedding layer computes them: scaled to one length each, then shifted.

    Of the 256 numbers of a piece the last eight are ballast, which the layer norm weighs and its gain of zero then
    drops: the more ballast, the less the piece counts in the mean over a text.
    """

    def __init__(self, body: torch.Tensor, counts: np.ndarray, texts: int):
        super().__init__()
        weight = np.clip(np.log(texts / counts), 0.05, None)
        weight[:5] = 0.05  # [CLS] and its like stand in every text
        share = torch.from_numpy(0.9 * weight / weight.max()).float()[:, None]
        apart = body - body.mean(0)
        pieces = apart @ torch.linalg.eigh(apart.T @ apart).eigenvectors[:, -MEANING:]
        pieces = MEANING**0.5 * normalize(pieces - pieces.mean(1, keepdim=True))
        ballast = (1 - share**2).sqrt() * (WIDTH / BALLAST) ** 0.5 * torch.tensor([1.0, -1.0] * (BALLAST // 2))
        self.table = torch.nn.Parameter(torch.cat([pieces * share, ballast], 1))
        self.shift = torch.nn.Parameter(torch.zeros(WIDTH))
        self.register_buffer("gain", (torch.arange(WIDTH) < MEANING).float())

    def means(self, rows: list[list[int]]) -> torch.Tensor:
        ids = torch.tensor([piece for row in rows for piece in row])
        starts = torch.tensor(np.cumsum([0] + [len(row) for row in rows[:-1]]))
        vectors = layer_norm(self.table, (WIDTH,), self.gain, self.shift * self.gain, 1e-12)
        return embedding_bag(ids, vectors, starts, mode="mean")

    def forward(self, rows: list[list[int]]) -> torch.Tensor:
        """Token ids of every text give vectors of length one: (texts, 256)."""
        return normalize(self.means(rows), dim=-1)


def rows_of(tokenizer, texts: list[str]) -> list[list[int]]:
    return tokenizer(texts, truncation=True, max_length=LENGTH)["input_ids"]


def correlation(first: np.ndarray, second: np.ndarray, pairs: Pairs) -> float:
    """Spearman's, of the cosines with the ratings of people."""
    from scipy.stats import spearmanr

    return float(spearmanr((first * second).sum(1), pairs.alike).statistic)


def reading(rated: Pairs, inference: Pairs, tokenizer) -> dict[str, list[str]]:
    """All texts that the teacher is asked about, in groups."""
    words = whole_words(tokenizer.convert_ids_to_tokens(list(range(len(tokenizer)))))
    everyday = [line.rstrip("\n").split("\t", 1)[1] for line in EVERYDAY.open(encoding="utf-8") if line.strip()]
    return {"rated": rated.texts, "everyday": everyday, "words": words[:WORDS], "inference": inference.texts}


def train(data: Path, work: Path, steps: int, rate: float, held_out: bool) -> Table:
    """Draws the table to the teacher's vectors, to their likeness among one another, and pairs into their order."""
    work.mkdir(parents=True, exist_ok=True)
    tokenizer = AutoTokenizer.from_pretrained(BODY)
    rated = without(read_sts(data / "korsts_train.tsv"), read_sts(data / "korsts_dev.tsv"))
    inference = read_inference(data / "klue_nli.json")
    groups = reading(rated, inference, tokenizer)
    asked = [teacher.ask(texts, work / f"teacher-{name}.npy") for name, texts in groups.items()]
    known = dict(zip([text for texts in groups.values() for text in texts], np.concatenate(asked), strict=True))
    texts, wanted = list(known), teacher.opened(np.stack(list(known.values())), MEANING)
    rows, place = rows_of(tokenizer, texts), {text: i for i, text in enumerate(texts)}
    kept, held = hold_out(rated, 10)
    rated = kept if held_out else rated
    sides = [
        (np.array([place[t] for t in pairs.first]), np.array([place[t] for t in pairs.second]), pairs.alike)
        for pairs in (rated, inference, held)
    ]

    counts = 1 + np.bincount(np.concatenate([np.unique(row) for row in rows]), minlength=len(tokenizer))
    body = AutoModel.from_pretrained(BODY, dtype=torch.float32).get_input_embeddings().weight.detach()
    model, rng = Table(body, counts, len(texts)), np.random.default_rng(0)
    with torch.no_grad():
        model.shift -= model.means(rows).mean(0)
        wanted = torch.from_numpy(wanted @ teacher.facing(model(rows).numpy()[:, :MEANING], wanted))
    wanted = torch.nn.functional.pad(wanted, (0, BALLAST))
    optimizer, done = torch.optim.Adam(model.parameters(), lr=rate, betas=(0.9, 0.98)), 0
    checkpoint = work / "table.checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        done = state["done"]

    for step in range(done, steps):
        optimizer.param_groups[0]["lr"] = rate * min(1, (step + 1) / 30) * (1 - step / steps)
        some = [rng.choice(len(s[0]), size=size, replace=False) for s, size in zip(sides, (256, 128), strict=False)]
        chosen = np.concatenate([s[side][i] for s, i in zip(sides, some, strict=False) for side in (0, 1)])
        chosen = np.append(chosen, rng.choice(len(texts), size=512, replace=False))
        vectors, targets = model([rows[i] for i in chosen]), wanted[chosen]
        loss, start = 2 * (1 - (vectors * targets).sum(1)).mean(), 0
        for (_, _, alike), places, share in zip(sides, some, (0.1, 0.03), strict=False):
            first, second = vectors[start : start + 2 * len(places)].chunk(2)
            loss = loss + share * teacher.in_order((first * second).sum(1), torch.from_numpy(alike[places]))
            start += 2 * len(places)
        few = rng.choice(len(chosen), size=256, replace=False)
        loss = loss + 4 * (vectors[few] @ vectors[few].T - targets[few] @ targets[few].T).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (step + 1) % 25 == 0 or step + 1 == steps:
            with torch.no_grad():
                first, second = (model([rows[i] for i in side]).numpy() for side in sides[2][:2])
            told = f"{'held-out' if held_out else 'some trained'} pairs: {correlation(first, second, held):.4f}"
            print(f"step {step + 1}: loss {loss.item():.3f} | {told}", flush=True)
            save_checkpoint(checkpoint, model=model.state_dict(), optimizer=optimizer.state_dict(), done=step + 1)
    return model


def save(model: Table, folder: Path) -> None:
    """A folder that ``from_pretrained`` reads, the table in eight bits; places and token types add nothing."""
    tokenizer = AutoTokenizer.from_pretrained(BODY, model_max_length=LENGTH)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        num_hidden_layers=0,
        num_attention_heads=4,
        intermediate_size=2 * WIDTH,
        max_position_embeddings=LENGTH,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=tokenizer.pad_token_id,
    )
    whole = BertModel(config, add_pooling_layer=False)
    layer = whole.embeddings
    with torch.no_grad():
        layer.word_embeddings.weight.copy_(model.table)
        layer.position_embeddings.weight.zero_()
        layer.token_type_embeddings.weight.zero_()
        layer.LayerNorm.weight.copy_(model.gain)
        layer.LayerNorm.bias.copy_(model.shift * model.gain)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".part-") as part:
        target = Path(part) / folder.name
        whole.save_pretrained(target)
        in_eight_bits(target)
        tokenizer.save_pretrained(target)
        publish(target, folder)


@torch.no_grad()
def vectors_of(folder: Path, texts: list[str]) -> np.ndarray:
    """As the app computes them: the mean of the last hidden states over the real tokens, scaled to length one."""
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    order, result = np.argsort([len(text) for text in texts]), np.zeros((len(texts), WIDTH), dtype=np.float32)
    for start in range(0, len(order), 128):
        some = order[start : start + 128]
        inputs = tokenizer([texts[i] for i in some], padding=True, truncation=True, return_tensors="pt")
        hidden, mask = model(**inputs).last_hidden_state, inputs["attention_mask"].unsqueeze(-1)
        result[some] = normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1).numpy()
    return result


def evaluate(folder: Path, data: Path) -> dict:
    """On KorSTS's development pairs, and on topics of sentences written for this project (zero-shot)."""
    from scipy.stats import pearsonr

    pairs = read_sts(data / "korsts_dev.tsv")
    sentences, topics, right = topics_to_find()
    parts = [pairs.first, pairs.second, sentences, [ABOUT.format(topic) for topic in topics]]
    vectors = vectors_of(folder, [text for part in parts for text in part])
    first, second, read, labels = np.split(vectors, np.cumsum([len(part) for part in parts])[:-1])
    body_first, body_second = np.split(vectors_of(BODY, pairs.first + pairs.second), 2)
    rng, again = np.random.default_rng(0), []
    for _ in range(300):
        some = rng.integers(len(first), size=len(first))
        again.append(correlation(first[some], second[some], Pairs([], [], pairs.alike[some])))
    return {
        "pairs": len(first),
        "spearman": round(correlation(first, second, pairs), 4),
        "spearman_low": round(float(np.quantile(again, 0.025)), 4),
        "spearman_high": round(float(np.quantile(again, 0.975)), 4),
        "pearson": round(float(pearsonr((first * second).sum(1), pairs.alike).statistic), 4),
        "body_spearman": round(correlation(body_first, body_second, pairs), 4),
        "topics": topics,
        "topic_first": accuracy((read @ labels.T).argmax(1) == right),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/sentences-ko"), help="teacher's vectors, checkpoint")
    parser.add_argument("--output", type=Path, default=FOLDER)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--rate", type=float, default=0.01)
    parser.add_argument("--held-out", action="store_true", help="keep a tenth of the rated pairs aside")
    parser.add_argument("--evaluate", action="store_true", help="measure the folder that is there, train nothing")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if not options.evaluate:
        model = train(options.data, options.work, options.steps, options.rate, options.held_out)
        save(model, options.output)
    figures = evaluate(options.output, options.data)
    print(figures)
    write_json(options.output / "metrics.json", figures)
    write_card(options.output)


if __name__ == "__main__":
    main()
