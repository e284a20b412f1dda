"""The baseline: a bare gradio Blocks app with as many tabs as ours, one text field and one empty event in each."""

import gradio as gr

from tabs import TABS


def same(text: str) -> str:
    return text


with gr.Blocks(analytics_enabled=False) as page:
    for name in TABS:
        with gr.Tab(name):
            field = gr.Textbox(label=name)
            gr.Button(name).click(same, field, field, api_visibility="private")
    gr.api(same, api_name="empty_event")

if __name__ == "__main__":
    page.launch(ssr_mode=False)
