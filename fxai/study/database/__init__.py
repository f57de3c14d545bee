"""The database of studies: SQLite or PostgreSQL, opened so that nothing is lost, written in whole transactions."""
