"""Records on disk: WFDB, CinC .mat and CSV, read with numpy alone."""
