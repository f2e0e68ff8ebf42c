"""What a person sees of a run once it is over: `report.html`, one file that opens anywhere."""
