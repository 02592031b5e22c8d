"""A judge rates training items: the ratings that the quality screen reads."""
