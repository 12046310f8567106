"""How a run is trained: settings, schedules, one run, and several side by side. Nothing is drawn or written in here."""
