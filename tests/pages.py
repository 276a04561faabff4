"""A page as a reader and as a browser take it."""

from html.parser import HTMLParser


class Outline(HTMLParser):
    """The visible text, tags in their order, and what a browser would fetch or run."""

    def __init__(self, page_text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str | None] = []
        self.handlers: list[str] = []
        self.texts: list[str] = []
        self.hidden = False
        self.feed(page_text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.hidden = tag == "style"
        self.addresses += [value for name, value in attrs if name in {"src", "href", "srcset", "data", "action"}]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_endtag(self, tag):
        self.hidden = False

    def handle_data(self, data):
        if not self.hidden and data.strip():
            self.texts.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        return " ".join(self.texts)
