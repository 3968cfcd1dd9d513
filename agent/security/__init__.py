"""Who may do what, and how it is kept secret (PS3.15)."""
