"""The app with Hugging Face's router on this machine: ROUTER is its address."""

import os

from huggingface_hub import constants

import app
from pipelines import loading

constants.INFERENCE_PROXY_TEMPLATE = os.environ["ROUTER"] + "/router/{provider}"


def main():
    loading.start_warm_up = lambda: None
    page = app.build()
    app.launch(page)
    page.block_thread()


if __name__ == "__main__":
    main()
