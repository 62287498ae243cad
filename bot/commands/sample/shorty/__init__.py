"""shorty makes long addresses short."""
