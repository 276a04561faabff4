"""Where pretrained networks come from: cards, the catalogue, and fetching."""
