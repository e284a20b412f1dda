"""The baseline for a class: gr.Interface over transformers' own pipeline, with gradio's default queue."""

import gradio as gr
from transformers import pipeline

from settings import POCKET

classify = pipeline("text-classification", model=str(POCKET / "sentiment-ko"), device="cpu", dtype="float32")


def sentiment(text: str) -> dict[str, float]:
    return {each["label"]: each["score"] for each in classify(text, top_k=None)}


page = gr.Interface(sentiment, "text", "label", analytics_enabled=False, api_name="sentiment")

if __name__ == "__main__":
    page.launch(ssr_mode=False)
