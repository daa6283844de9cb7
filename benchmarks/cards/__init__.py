"""What training does on a card: measured one by one, kept in rows, and told on a page."""
