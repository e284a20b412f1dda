"""The app with one endpoint more, an event that does nothing: what any event costs while a class works."""

import gradio as gr

import app


def same(text: str) -> str:
    return text


page = app.build()
with page:
    gr.api(same, api_name="empty_event")

if __name__ == "__main__":
    app.launch(page)
    page.block_thread()
