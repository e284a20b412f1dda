"""The code shown of a text task at a provider does what was done, and holds no token."""

from __future__ import annotations

import io
from contextlib import redirect_stdout

import pytest

from pipelines.run import Run
from pipelines.show_code import notebook
from tests.hub.remote_asking import REQUESTS, offered, ran
from tests.hub.token_watch import as_a_visitor, watched

pytestmark = pytest.mark.hub


@pytest.fixture
def provider(monkeypatch, caplog):
    with watched(monkeypatch, caplog) as server:
        yield server


class TestCode:
    @pytest.fixture
    def runnable(self, provider, monkeypatch):
        def execute(code: str) -> object:
            space: dict[str, object] = {}
            with as_a_visitor(monkeypatch, provider), redirect_stdout(io.StringIO()):
                exec(code, space)
            return space["result"]

        return execute

    def same(self, task: str, run: Run, result: object) -> bool:
        """Tell whether what the code leaves in `result` is what was shown."""
        shown = run.result
        if task == "sentiment":
            return [{each.label: each.score for each in row} for row in result] == [row["scores"] for row in shown]
        if task == "zero_shot":
            return list(result.values()) == pytest.approx(shown["scores"], abs=1e-5)
        if task == "entities":
            return [(each.start, each.end) for each in result] == [(each["start"], each["end"]) for each in shown]
        if task == "answer":
            return (result.answer, result.start) == (shown["answer"], shown["start"])
        if task == "fill_mask":
            return [each.token_str for each in result] == [each["token"] for each in shown]
        if task == "generate":
            return result == "".join(each["token"] for each in shown["tokens"])
        if task == "summarize":
            return result.startswith(shown["summary"])
        if task == "translate":
            return result == shown["translation"]
        if task == "similarity":
            return all(row == pytest.approx(kept, abs=1e-5) for row, kept in zip(result, shown["matrix"], strict=True))
        if task == "keywords":
            return [word for word, _ in result] == [each["keyword"] for each in shown]
        return result == pytest.approx(shown["scores"])

    @pytest.mark.parametrize("task", sorted(REQUESTS))
    def test_it_does_what_was_done(self, provider, runnable, task):
        offered(provider, task)
        run = ran(task)
        asked = [order.body for order in provider.asked("POST")]
        assert "InferenceClient" in run.code and 'os.environ["HF_TOKEN"]' in run.code and "hf_" not in run.code
        provider.requests.clear()
        assert self.same(task, run, runnable(run.code))
        again = [order.body for order in provider.asked("POST")]
        for body in (*asked, *again):
            body.pop("logprobs", None), body.pop("top_logprobs", None)
        assert again == asked
        assert '"huggingface_hub' in "".join(notebook(run.code, task)["cells"][1]["source"])

    @pytest.mark.parametrize(
        ("task", "name", "kind"),
        [
            ("generate", "together", "conversational"),
            ("generate", "novita", "text-generation"),
            ("generate", "hf-inference", "text-generation"),
            ("similarity", "scaleway", "feature-extraction"),
            ("summarize", "hf-inference", "feature-extraction"),
            ("zero_shot", "hf-inference", "sentence-similarity"),
            ("entail", "hf-inference", "text-classification"),
        ],
    )
    def test_it_does_so_at_other_providers_and_in_other_ways(self, provider, runnable, task, name, kind):
        offered(provider, task, name, kind)
        changes = {"hypothesis": ""} if task == "entail" else {}
        run = ran(task, **changes)
        assert f'provider="{name}"' in run.code
        result = runnable(run.code)
        if task == "entail":
            assert {each.label: each.score for each in result[0]} == run.result["scores"]
        else:
            assert self.same(task, run, result)

    def test_what_was_typed_never_becomes_code(self, provider):
        offered(provider, "translate")
        evil = "\"\"\"''' + __import__('os').system('x') <<text>> <<model>> {0} \\"
        code = ran("translate", text=evil).code
        compile(code, "shown", "exec")
        assert repr(evil)[1:-1] in code
