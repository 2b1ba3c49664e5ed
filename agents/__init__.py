"""Who does the work: typed input in, typed result out, no graph."""
