"""Stories, one file per user goal."""
