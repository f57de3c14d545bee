"""From a file of any format to raw bars: numbers and times by role, parsed and not yet judged."""
