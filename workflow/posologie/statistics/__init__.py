"""From item scores to tables: intervals, paired tests, attribution."""
