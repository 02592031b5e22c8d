"""How jobs run and how files replace each other: modules that change no number, so that the code digest skips them."""
