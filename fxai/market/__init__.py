"""Price bars in, causal features and fill prices out, cut by time; no torch here."""
