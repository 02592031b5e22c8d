"""What a model answers: option orders, label automaton, parsing, batching and the engine."""
