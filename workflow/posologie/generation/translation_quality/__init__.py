"""How well a translator translates: parallel text, corpus metrics with intervals."""
