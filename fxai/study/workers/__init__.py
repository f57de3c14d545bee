"""Running a study: the parent, its workers in their slots, and what each does with a trial."""
