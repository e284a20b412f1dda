"""The tabs, in the order in which they stand on the page. A new tab is one module and one name here."""

TABS = ("text_tasks", "sentiment", "tokenizer", "clip", "image_generation")
